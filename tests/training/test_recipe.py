"""Recipes and settings: what can be changed, what is refused, what config.yaml keeps."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.data.samples import Samples
from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess
from mobilenets.searching.distill import whole_network_recipe
from mobilenets.training.input import fitted
from mobilenets.training.recipe import FINETUNE, SCRATCH, Recipe, settable
from mobilenets.training.settings import Settings, read_config, write_config


@pytest.mark.parametrize("recipe", [FINETUNE, SCRATCH, Recipe(freeze=3, balance="loss", patience=4)])
def test_a_recipe_survives_its_dictionary(recipe: Recipe) -> None:
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_values_of_the_command_line_take_the_type_of_the_default() -> None:
    changed = FINETUNE.override(
        {"lr": "0.001", "epochs": "7", "freeze": "4", "augment.crop_scale": "0.5,1", "augment.rot90": "true"}
    )
    assert (changed.lr, changed.epochs, changed.freeze) == (0.001, 7, 4)
    assert changed.augment.crop_scale == (0.5, 1.0)
    assert changed.augment.rot90 is True
    assert changed.weight_decay == FINETUNE.weight_decay


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", "fast"),
        ("lr", "-1"),
        ("epochs", "0"),
        ("batch_size", "1"),
        ("optimizer", "adam"),
        ("balance", "yes"),
        ("freeze", "half"),
        ("ema", "1"),
        ("label_smoothing", "1.5"),
        ("augment.rot90", "maybe"),
        ("augment.crop_scale", "0.5"),
        ("augment.hflip", "2"),
        ("clip", "inf"),
        ("epochs", 2.5),
    ],
)
def test_an_impossible_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(UserError, match=name.removeprefix("augment.")):
        FINETUNE.override({name: value})


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"learning_rate.*lr.*augment\.hflip"):
        FINETUNE.override({"learning_rate": 1})


def test_every_settable_name_can_be_set_to_its_own_value() -> None:
    values = FINETUNE.to_dict()
    assert set(values) == set(settable())
    assert FINETUNE.override(values) == FINETUNE


@given(
    seed=st.integers(0, 2**31),
    minutes=st.none() | st.floats(0.1, 100),
    val=st.none() | st.floats(0.01, 0.9) | st.text("äöü中文 /", min_size=1),
)
def test_config_yaml_gives_the_settings_back(
    tmp_path_factory: pytest.TempPathFactory, seed: int, minutes: float | None, val: float | str | None
) -> None:
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    settings = Settings(data="фото/照片", seed=seed, minutes=minutes, val=val)
    write_config(path, settings, SCRATCH)
    assert read_config(path) == (settings, SCRATCH)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "settings: 3",
        "{",
        "settings: {data: x, colour: red}\nrecipe: {}",
        "settings: {data: x}\nrecipe: {}\nepochs: 3",
    ],
)
def test_a_file_that_is_no_config_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml"):
        read_config(path)


def test_auto_has_five_minutes_unless_told_otherwise() -> None:
    assert Settings(data="x").seconds == 300
    assert Settings(data="x", epochs=3).seconds is None
    assert Settings(data="x", recipe="finetune").seconds is None
    assert Settings(data="x", recipe="finetune", minutes=2).seconds == 120


@pytest.mark.parametrize(
    "wrong",
    [
        {"recipe": "fast"},
        {"minutes": 1.0, "epochs": 2},
        {"minutes": -1.0},
        {"minutes": float("nan")},
        {"minutes": float("inf")},
        {"seed": -1},
        {"seed": 2**63},
        {"threads": 10**9},
        {"recipe": "probe", "weights": "none"},
    ],
)
def test_settings_that_contradict_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError):
        Settings(data="x", **wrong)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("seed", "abc", "a whole number"),
        ("seed", 1.5, "a whole number"),
        ("seed", True, "a whole number"),
        ("size", [96], "a whole number or null"),
        ("width", "wide", "a number or null"),
        ("max_pixels", "120M", "a whole number or null"),
        ("any_orientation", "maybe", "true or false or null"),
        ("val", [0.2], "a number or text or null"),
        ("data", None, "text"),
        ("rare", 5, "text"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_the_kind_that_is_taken(
    tmp_path: Path, name: str, value: object, wanted: str
) -> None:
    path = tmp_path / "config.yaml"
    write_config(path, Settings(data="x"), FINETUNE)
    content = yaml.safe_load(path.read_text())
    content["settings"][name] = value
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=f"{name}: .* is not a value for it; use {wanted}$"):
        read_config(path)


def test_a_config_without_its_data_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("settings: {seed: 3}\nrecipe: {}\n")
    with pytest.raises(UserError, match=r"config\.yaml: has no setting 'data'"):
        read_config(path)


def test_a_crop_of_nothing_is_refused_and_not_taken_for_none_given() -> None:
    with pytest.raises(UserError, match="crop 0"):
        fitted(Settings(data="x", crop=0.0), Preprocess(size=32), Samples.of([]))


def test_scratch_starts_from_random_weights() -> None:
    assert Settings(data="x", recipe="scratch").pretrained is None
    assert Settings(data="x").pretrained == "default"
    with pytest.raises(UserError, match="scratch"):
        Settings(data="x", recipe="scratch", weights="torchvision-v1")


def test_a_whole_network_is_trained_by_a_search_however_the_run_was() -> None:
    run = FINETUNE.planned(25, per_epoch=10).override({"freeze": 4, "views": 2})
    assert (whole_network_recipe(run, 3).epochs, whole_network_recipe(run, 3).steps) == (3, 0)
    assert (whole_network_recipe(run).freeze, whole_network_recipe(run).views) == ("none", 0)
