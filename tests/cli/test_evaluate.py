"""`mobilenets evaluate` as a user runs it: figures that can be checked by hand, and wrong data."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mobilenets.arch import build
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.model_card import ModelCard, write_safetensors
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.opening import load
from mobilenets.tasks.classify.answers import Prediction

CLASSES = ("daisy", "rose", "tulip")
KEYS = {
    "accuracy", "accuracy_ci95", "balanced_accuracy", "macro_f1", "top5", "log_loss", "ece", "n", "classes",
    "per_class", "confusion",
}  # fmt: skip


def save_model(path: Path, classes: tuple[str, ...]) -> Path:
    """A tiny network as `.onnx`, and as `.safetensors` beside it."""
    torch.manual_seed(0)
    net = build("mobilenet_v3_small", width=0.35, num_classes=len(classes))
    model = MobileNet(net).eval()
    torch.nn.init.normal_(model.classifier.weight, 0, 20.0)
    card = ModelCard("tiny", net, classes, Preprocess(size=32))
    export_onnx(model, card, path)
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    write_safetensors(path.with_suffix(".safetensors"), tensors, card)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "model.onnx", CLASSES)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache folder for all tests here: which engine is the fastest is measured once."""
    return tmp_path_factory.mktemp("home")


def evaluated(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(result.stdout)
    return metrics


def assert_one_line_error(result: subprocess.CompletedProcess[str], *names: str) -> None:
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for name in names:
        assert name in result.stderr


# --- figures --------------------------------------------------------------------------------------------


def test_json_has_exactly_the_keys_of_metrics_json(cli, model: Path, photos: Path) -> None:
    result = cli("evaluate", model, photos, "--json")
    metrics = evaluated(result)
    assert result.returncode == 0, result.stderr
    assert metrics.keys() == KEYS
    assert metrics["n"] == 36
    assert metrics["classes"] == list(CLASSES)
    assert [row["n"] for row in metrics["per_class"].values()] == [12, 12, 12]
    assert [sum(row) for row in metrics["confusion"]] == [12, 12, 12]


def test_the_figures_are_those_of_the_predictions(cli, model: Path, photos: Path) -> None:
    metrics = evaluated(cli("evaluate", model, photos, "--json"))
    confusion = np.zeros((3, 3), int)
    paths = sorted(photos.rglob("*.jpg"))
    for path, result in zip(paths, load(model).predict_many(paths), strict=True):
        assert isinstance(result, Prediction)
        confusion[CLASSES.index(path.parent.name), CLASSES.index(result.label)] += 1
    assert metrics["confusion"] == confusion.tolist()
    assert metrics["accuracy"] == pytest.approx(confusion.trace() / 36)


def test_data_without_some_of_the_models_classes_is_numbered_as_the_model_does(cli, model: Path, photos: Path) -> None:
    everything = evaluated(cli("evaluate", model, photos, "--json"))
    shutil.rmtree(photos / "daisy")
    metrics = evaluated(cli("evaluate", model, photos, "--json"))
    assert metrics["n"] == 24
    assert metrics["confusion"] == [[0, 0, 0], *everything["confusion"][1:]]


def test_two_classes_also_have_an_auroc(cli, tmp_path: Path, photos: Path) -> None:
    shutil.rmtree(photos / "tulip")
    two = save_model(tmp_path / "two.onnx", ("daisy", "rose"))
    metrics = evaluated(cli("evaluate", two, photos, "--json"))
    assert metrics.keys() == KEYS | {"auroc"}
    assert 0 <= metrics["auroc"] <= 1
    assert "AUROC" in cli("evaluate", two, photos).stdout


def test_the_table_says_what_json_says(cli, model: Path, photos: Path) -> None:
    metrics, table = evaluated(cli("evaluate", model, photos, "--json")), cli("evaluate", model, photos).stdout
    low, high = metrics["accuracy_ci95"]
    for text in (
        "photos             36",
        f"{metrics['accuracy']:.4f}   (95 % interval {low:.4f} to {high:.4f})",
        f"balanced accuracy  {metrics['balanced_accuracy']:.4f}",
        f"macro F1           {metrics['macro_f1']:.4f}",
        f"log loss           {metrics['log_loss']:.4f}",
        f"calibration error  {metrics['ece']:.4f}",
    ):
        assert text in table
    for k, name in enumerate(CLASSES):
        for other, count in enumerate(metrics["confusion"][k]):
            assert (f"{count:6d}  {name} → {CLASSES[other]}" in table) == (k != other and count > 0)


# --- data -----------------------------------------------------------------------------------------------


def test_of_split_data_the_test_part_is_taken_else_val_or_the_part_asked_for(
    cli, model: Path, photos: Path, tmp_path: Path
) -> None:
    for part, count in (("train", 6), ("val", 4), ("test", 2)):
        for name in CLASSES:
            (tmp_path / "split" / part / name).mkdir(parents=True)
            for i in range(count):
                shutil.copy(photos / name / f"{i:03d}.jpg", tmp_path / "split" / part / name)
    data = tmp_path / "split"
    assert evaluated(cli("evaluate", model, data, "--json"))["n"] == 6
    assert evaluated(cli("evaluate", model, data, "--json", "--split", "train"))["n"] == 18
    shutil.rmtree(data / "test")
    assert evaluated(cli("evaluate", model, data, "--json"))["n"] == 12
    assert_one_line_error(cli("evaluate", model, data, "--split", "test"), "split", "test")


def test_a_csv_names_paths_relative_to_itself(cli, model: Path, photos: Path) -> None:
    table = photos.parent / "list.csv"
    table.write_text("path,label\nphotos/rose/000.jpg,rose\nphotos/tulip/001.jpg,tulip\n")
    assert evaluated(cli("evaluate", model, table, "--json"))["n"] == 2


def test_unreadable_photographs_are_reported_and_left_out(cli, model: Path, photos: Path) -> None:
    (photos / "rose" / "000.jpg").write_bytes(b"not a photo")
    result = cli("evaluate", model, photos, "--json")
    assert result.returncode == 1
    assert evaluated(result)["n"] == 35
    assert str(photos / "rose" / "000.jpg") in result.stderr
    assert "1 of 36 could not be read" in result.stderr


def test_classes_in_any_script_are_printed(process, tmp_path: Path) -> None:
    names = ("إبرة", "玫瑰")
    for k, name in enumerate(names):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("RGB", (40, 40), (200 * k, 50, 50)).save(tmp_path / "data" / name / "a.png")
    model = save_model(tmp_path / "m.onnx", names)
    result = process("evaluate", model, tmp_path / "data", env={"PYTHONIOENCODING": "ascii"})
    assert result.returncode == 0, result.stderr
    assert all(name in result.stdout for name in names)


def test_both_engines_measure_the_same(cli, model: Path, photos: Path) -> None:
    by_onnx = evaluated(cli("evaluate", model, photos, "--json"))
    by_torch = evaluated(cli("evaluate", model.with_suffix(".safetensors"), photos, "--json"))
    assert by_onnx["confusion"] == by_torch["confusion"]
    assert by_onnx["log_loss"] == pytest.approx(by_torch["log_loss"], abs=1e-4)


# --- wrong use ------------------------------------------------------------------------------------------


def test_classes_that_the_model_does_not_know_are_listed(cli, model: Path, photos: Path) -> None:
    (photos / "tulip").rename(photos / "orchid")
    result = cli("evaluate", model, photos)
    assert_one_line_error(result, "orchid", "daisy, rose, tulip")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "path"),
        ("path,label\n", "no images"),
        ("file,class\na.jpg,rose\n", "path"),
        ("path,label\nphotos/rose/000.jpg\n", "line 2"),
        ("path,label\nphotos/rose/000.jpg,rose\ngone.jpg,rose\n", "line 3"),
    ],
)
def test_a_bad_csv_is_told_with_its_line(cli, model: Path, photos: Path, content: str, named: str) -> None:
    table = photos.parent / "list.csv"
    table.write_text(content)
    assert_one_line_error(cli("evaluate", model, table), "list.csv", named)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["model.onnx", "nowhere"], "nowhere"),
        (["model.onnx", "empty"], "empty"),
        (["model.onnx", "model.onnx"], "model.onnx"),
        (["missing.onnx", "photos"], "missing.onnx: no such file or folder"),
        (["empty", "photos"], "empty: holds no model.onnx"),
        (["corrupt.onnx", "photos"], "corrupt.onnx: not a model"),
        (["model.onnx", "photos", "--engine", "magic"], "magic"),
        (["model.onnx", "photos", "--split", "holiday"], "holiday"),
        (["model.onnx"], "DATA"),
    ],
)
def test_wrong_arguments_are_named(
    cli, model: Path, photos: Path, tmp_path: Path, arguments: list[str], named: str
) -> None:
    shutil.copy(model, tmp_path / "model.onnx")
    (tmp_path / "empty").mkdir()
    (tmp_path / "corrupt.onnx").write_bytes(model.read_bytes()[:1000])
    assert_one_line_error(cli("evaluate", *arguments), named)


def test_data_of_which_nothing_can_be_read_is_no_data(cli, model: Path, tmp_path: Path) -> None:
    for name in ("rose", "tulip"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "a.jpg").touch()
    result = cli("evaluate", model, tmp_path / "data", "--json")
    assert (result.returncode, result.stdout) == (2, "")
    assert "none of its 2 photos can be read" in result.stderr
    assert "Traceback" not in result.stderr
