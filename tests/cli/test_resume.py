"""`mobilenets train --resume`: the split of the run stands whatever became of its folder, and so do its settings."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import write_photos
from mobilenets.cli.main import main
from mobilenets.data.manifest import FILE, Manifest
from mobilenets.model_card import read_card, read_tensors
from mobilenets.training import fitting
from mobilenets.training.settings import check_same, read_config
from stopped import interrupted, press_ctrl_c

COMMAND = (
    "train", "photos", "--model=mobilenet_v3_small", "--weights=none", "--width=0.35", "--size=32",
    "--recipe=finetune", "--epochs=2", "--precision=fp32", "--set=batch_size=8", "--lr=0.002",
)  # fmt: skip


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos`, `run`, which Ctrl-C stopped in the second of two epochs, and `whole`, which ended."""
    folder = tmp_path_factory.mktemp("stopped")
    write_photos(folder / "photos", ("daisy", "rose"), 15, size=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*COMMAND, "--out", "whole"]) == 0
    run = interrupted(lambda step: step == 4, *COMMAND, "--out", "run", cwd=folder)
    assert run.returncode == 130, run.stderr
    return folder


@pytest.fixture
def here(stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `stopped` as the working folder; `photos` is where the run says it is."""
    for name in ("photos", "run"):
        shutil.copytree(stopped / name, tmp_path / name)
    for file in ("config.yaml", FILE):
        text = (tmp_path / "run" / file).read_text("utf-8")
        (tmp_path / "run" / file).write_text(text.replace(str(stopped), str(tmp_path)), "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str]):
    """Exit code and lines on standard error of a command, without those of progress."""

    def call(*arguments: str | Path) -> tuple[int, list[str]]:
        capfd.readouterr()
        code = main([*map(str, arguments)])
        lines = capfd.readouterr().err.splitlines()
        progress = ("training", "looking at", "checking", "index")
        return code, [line for line in lines if line and not line.startswith(progress)]

    return call


def tensors(run: Path) -> dict[str, np.ndarray]:
    return read_tensors(run / "model.safetensors")


def equal(one: Path, other: Path) -> bool:
    a, b = tensors(one), tensors(other)
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def names(run: Path, split: str) -> set[str]:
    return {row["path"] for row in rows(run / FILE) if row["split"] == split}


def validated(run: Path) -> set[str]:
    return {"/".join(Path(row["path"]).parts[-2:]) for row in rows(run / "predictions.csv")}


# --- data that changed ----------------------------------------------------------------------------------


def test_a_stopped_run_knows_its_photographs(here: Path) -> None:
    listed = rows(here / "run" / FILE)
    assert {Path(row["folder"], row["path"]) for row in listed} == set((here / "photos").rglob("*.jpg"))
    assert validated(here / "run") == names(here / "run", "val")


def test_the_same_command_goes_on_without_photographs_that_came_to_the_weights_of_an_uninterrupted_run(
    here: Path, stopped: Path, told
) -> None:
    write_photos(here / "more", ("daisy", "rose"), 7, size=40, seed=9)
    for path in sorted((here / "more").rglob("*.jpg")):
        path.rename(here / "photos" / path.parent.name / f"0 {path.name}")
    before = (here / "run" / FILE).read_bytes()
    code, lines = told(*COMMAND, "--out", "run", "--resume")
    assert code == 0
    came = "daisy/0 000.jpg, daisy/0 001.jpg, daisy/0 002.jpg and 11 more"
    assert lines == [f"photos: 14 photos came since and are left out: {came}"]
    assert equal(here / "run", stopped / "whole")
    assert validated(here / "run") == names(here / "run", "val")
    assert (here / "run" / FILE).read_bytes() == before


def test_what_is_gone_or_changed_is_named_and_never_does_what_was_trained_on_validate(here: Path, told) -> None:
    trained = sorted(names(here / "run", "train"))
    (here / "photos" / trained[0]).unlink()
    shutil.copy(here / "photos" / trained[2], here / "photos" / trained[1])
    code, lines = told("train", "--resume", "--out", "run")
    assert code == 0
    assert lines[:2] == [
        f"photos: 1 photo is gone: {trained[0]}",
        f"photos: 1 photo is changed and left out: {trained[1]}",
    ]
    assert "will not be exactly" in lines[2]
    assert len(lines) == 3
    assert validated(here / "run") == names(here / "run", "val")


@pytest.mark.parametrize("change", ["came", "went", "renamed"])
def test_other_classes_are_refused_in_one_line(here: Path, told, change: str) -> None:
    if change == "came":
        write_photos(here / "photos", ("violet",), 5, size=40)
    else:
        write_photos(here / "photos", ("aster",), 5, size=40)
        shutil.rmtree(here / "photos" / "rose")
    if change == "renamed":
        shutil.rmtree(here / "photos" / "aster")
        (here / "photos" / "daisy").rename(here / "photos" / "tulip")
        write_photos(here / "photos", ("rose",), 15, size=40)
    before = tensors(here / "run")
    code, lines = told("train", "--resume", "--out", "run")
    assert (code, len(lines)) == (2, 1)
    assert "its classes are not those of run any more" in lines[0]
    assert read_card(here / "run").classes == ("daisy", "rose")
    assert all(np.array_equal(before[k], v) for k, v in tensors(here / "run").items())


def test_where_too_little_is_left_it_is_refused_in_one_line(here: Path, told) -> None:
    for name in names(here / "run", "val"):
        (here / "photos" / name).unlink()
    code, lines = told("train", "--resume", "--out", "run")
    assert code == 2
    assert lines[-1].startswith("mobilenets train: photos: no validation photo of run is left")


def test_a_run_without_a_list_is_drawn_anew_with_a_line_that_says_so(here: Path, stopped: Path, told) -> None:
    (here / "run" / FILE).unlink()
    code, lines = told("train", "--resume", "--out", "run")
    assert code == 0
    assert [line for line in lines if "has no data.csv" in line] == lines
    assert equal(here / "run", stopped / "whole")


def test_other_classes_are_refused_for_a_run_without_a_list_too(here: Path, told) -> None:
    (here / "run" / FILE).unlink()
    write_photos(here / "photos", ("violet",), 5, size=40)
    code, lines = told("train", "--resume", "--out", "run")
    assert (code, len(lines)) == (2, 1)
    (here / "run" / "model.safetensors").unlink()  # the checkpoint alone knows how many there were
    code, lines = told("train", "--resume", "--out", "run")
    assert code == 2
    assert "last.pt: is of another network or of other classes" in lines[-1]


# --- other places ---------------------------------------------------------------------------------------


def test_data_that_was_moved_is_told_with_its_old_place_and_data_takes_the_new_one_from_any_working_folder(
    here: Path, stopped: Path, told, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "photos").rename(here / "album")
    code, lines = told("train", "--resume", "--out", "run")
    assert (code, len(lines)) == (2, 1)
    assert f"{here / 'photos'}: the photos of run were there" in lines[0]
    assert "--data NEW" in lines[0]
    code, lines = told("train", "album", "--resume", "--out", "run")
    assert (code, len(lines)) == (2, 1)
    assert "DATA: album now, but it is photos" in lines[0]
    assert "--data" in lines[0]
    write_photos(here / "others", ("daisy", "rose"), 15, size=40, seed=3)
    code, lines = told("train", "--resume", "--out", "run", "--data", "others")
    assert code == 2
    assert "others: holds none of the photos of run" in lines[-1]
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    code, lines = told("train", here / "photos", "--resume", "--out", "../run", "--data", "../album")
    assert (code, lines) == (0, [])
    monkeypatch.chdir(here)
    assert equal(here / "run", stopped / "whole")


# --- the same command -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--epochs=9", "--epochs: 9 now, but it is 2 in run/config.yaml"),
        ("--lr=0.01", "--lr: 0.01 now, but it is 0.002 in"),
        ("--set=batch_size=4", "--batch-size: 4 now, but it is 8 in"),
        ("--set=mixup=0.5", "--mixup: 0.5 now, but it is 0.0 in"),
        ("--val=0.5", "--val: 0.5 now, but it was not given in"),
        ("--model=mobilenet_v2", "--model: mobilenet_v2 now, but it is mobilenet_v3_small in"),
        ("--any-orientation", "--any-orientation: True now, but it was not given in"),
        ("--seed=1", "--seed: 1 now, but it is 0 in"),
    ],
)
def test_a_setting_that_differs_is_named_with_both_values(here: Path, told, option: str, message: str) -> None:
    code, lines = told(*COMMAND, option, "--out", "run", "--resume")
    assert (code, len(lines)) == (2, 1)
    assert message in lines[0]


def test_a_time_that_became_epochs_agrees_as_either(here: Path, told) -> None:
    config = here / "run" / "config.yaml"
    config.write_text(config.read_text("utf-8") + "asked:\n  minutes: 5.0\n  epochs: null\n", "utf-8")
    refused = [told("train", "--resume", "--out", "run", option)[1][0] for option in ("--minutes=6", "--epochs=3")]
    assert "--minutes: 6.0 now, but it is 5.0 in" in refused[0]
    assert "--epochs: 3 now" in refused[1]
    settings, recipe = read_config(config)
    check_same(config, settings, recipe, {"minutes": 5.0}, {})
    check_same(config, settings, recipe, {"epochs": 2, "val": 0.2, "data": str(here / "photos")}, {"lr": "2e-3"})


def test_without_out_the_run_that_was_stopped_last_goes_on(here: Path, stopped: Path, told) -> None:
    (here / "runs").mkdir()
    shutil.copytree(stopped / "whole", here / "runs" / "photos")
    (here / "run").rename(here / "runs" / "photos-2")
    assert told(*COMMAND, "--resume")[0] == 0
    assert equal(here / "runs" / "photos-2", stopped / "whole")
    code, lines = told(*COMMAND, "--resume")
    assert (code, len(lines)) == (2, 1)
    assert "photos-2: this run is complete" in lines[0]
    assert "--from runs/photos-2" in lines[0]


def test_a_repeated_run_takes_its_data_from_where_it_was_or_is(
    here: Path, stopped: Path, told, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert told("train", "--config", "../run/config.yaml", "--out", "again")[0] == 0
    assert equal(Path("again"), stopped / "whole")
    assert Manifest.read(Path("again", FILE)).folders[0] == str(here / "photos")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["photos", "--data", "album"], "--data: is for --resume"),
        (["--resume", "--config", "run/config.yaml", "--out", "run"], "--config"),
        (["photos", "--config", "run/config.yaml", "--data", "album"], "--data"),
        (["--resume"], "--out DIR"),
    ],
)
def test_what_contradicts_itself_is_refused(here: Path, told, arguments: list[str], named: str) -> None:
    code, lines = told("train", *arguments)
    assert (code, len(lines)) == (2, 1)
    assert named in lines[0]


# --- stopped before the first step ----------------------------------------------------------------------


def test_ctrl_c_before_the_first_step_ends_at_once_and_the_training_goes_on(
    here: Path, told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe is kept then: what can go on is not called complete."""
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "measure_speed", press_ctrl_c)
        code, lines = told(*COMMAND, "--weights=run/model.safetensors", "--epochs=1", "--out", "early")
    going_on = "go on with: mobilenets train --resume --out early"
    assert (code, lines[-2:]) == (130, [going_on, "mobilenets train: interrupted"])
    assert (here / "early" / "model.safetensors").exists()
    assert not (here / "early" / "metrics.json").exists()
    assert told("train", "--resume", "--out", "early")[0] == 0
    assert len(rows(here / "early" / "history.csv")) == 1
