"""`mobilenets export RUN`: which photographs are compared on and calibrated with, wherever they are by now."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from conftest import write_photos
from mobilenets.cli.main import main
from mobilenets.data.manifest import FILE, list_images
from mobilenets.data.sample import Sample
from mobilenets.data.samples import Samples
from mobilenets.data.sources.read import read_splits
from mobilenets.model_card import read_card, write_safetensors
from mobilenets.training.settings import Settings, write_config
from mobilenets.verbs.export import _samples
from small import card_of, network

NAMES = ("rose", "tulip", "雏菊")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What export needs of a run on `photos`, trained with a relative path, seen from another working folder."""
    monkeypatch.chdir(tmp_path)
    photos, run = write_photos(Path("photos"), NAMES, 10, size=40), tmp_path / "run"
    run.mkdir()
    model = network()
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    write_safetensors(run / "model.safetensors", tensors, card_of(model))
    settings = Settings(str(photos), seed=4)
    write_config(run / "config.yaml", settings, settings.make_recipe({}))
    list_images(read_splits(photos, seed=4), photos).write(run / FILE)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return run


def paths(samples: object) -> list[str]:
    assert isinstance(samples, Samples)
    return [f"{sample.path.parent.name}/{sample.path.name}" for sample in samples]


def samples(model: Path, data: Path | None = None) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """To calibrate with, to compare on."""
    train, val, _ = _samples(model, data, read_card(model))
    return train, val


def of_run(run: Path) -> tuple[list[str], list[str]]:
    rows = [line.split(",") for line in (run / FILE).read_text("utf-8").splitlines()[1:]]
    train, val = ([row[0] for row in rows if row[2] == split] for split in ("train", "val"))
    return train, val


def test_what_was_trained_on_calibrates_and_what_validated_is_compared_on(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), "--to", "onnx"]) == 0
    assert json.loads((run / "exports" / "onnx" / "verify.json").read_text("utf-8"))["n"] == 6
    assert "random pixels" not in capsys.readouterr().err
    train, val = samples(run)
    assert (paths(train), paths(val)) == of_run(run)
    assert paths(samples(run / "model.safetensors")[1]) == of_run(run)[1]


def test_photographs_that_came_are_told_and_change_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = write_photos(run.parent / "more", NAMES, 5, size=40, seed=1)
    for path in more.rglob("*.jpg"):
        path.rename(run.parent / "photos" / path.parent.name / f"0{path.name}")
    train, val = samples(run)
    assert (paths(train), paths(val)) == of_run(run)
    assert "15 photos came since and are left out" in capsys.readouterr().err


def test_data_that_was_moved_is_told_with_its_old_place_and_data_takes_the_new_one(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.move(run.parent / "photos", run.parent / "album")
    assert samples(run) == ((), ())
    told = capsys.readouterr().err
    assert f"random pixels are compared: {run.parent / 'photos'}: the photos of {run} were there" in told
    assert "--data NEW" in told
    assert main(["export", str(run), "--to", "onnx", "--int8"]) == 2
    assert "--data NEW" in capsys.readouterr().err
    train, val = samples(run, Path("../album"))
    assert (paths(train), paths(val)) == of_run(run)
    assert capsys.readouterr().err == ""


def test_photographs_of_others_are_taken_as_they_are_with_a_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = write_photos(run.parent / "others", NAMES[:2], 5, size=40, seed=1)
    train, val = samples(run, others)
    assert (len(train), len(val)) == (8, 2)
    assert "0 photos of" in capsys.readouterr().err


def test_a_run_without_a_list_has_its_split_drawn_anew_with_a_line(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = of_run(run)
    (run / FILE).unlink()
    train, val = samples(run)
    assert (paths(train), paths(val)) == before
    assert "has no data.csv" in capsys.readouterr().err
