"""`mobilenets evaluate RUN DATA`: photographs that the run was trained on are known by content, and kept apart."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import write_photos
from mobilenets.cli.main import main
from mobilenets.data.manifest import FILE, list_images
from mobilenets.data.sources.read import read_splits
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.model_card import ModelCard, write_safetensors
from mobilenets.preprocess import Preprocess
from small import network

NAMES = ("daisy", "rose", "tulip")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left of a run on `photos` beside it: model.onnx, model.safetensors and data.csv."""
    folder = tmp_path_factory.mktemp("evaluated")
    photos, run = write_photos(folder / "photos", NAMES, 10, size=40), folder / "run"
    run.mkdir()
    model = network()
    card = ModelCard("test", model.net, NAMES, Preprocess(size=32))
    export_onnx(model, card, run / "model.onnx")
    write_safetensors(run / "model.safetensors", {k: v.numpy() for k, v in model.state_dict().items()}, card)
    list_images(read_splits(photos), photos).write(run / FILE)
    return run


def paths_of(run: Path, split: str) -> list[Path]:
    photos = run.parent / "photos"
    splits = read_splits(photos)
    return [sample.path for sample in getattr(splits, split)]


def copied(paths: list[Path], folder: Path, prefix: str = "copy of ") -> Path:
    """Copies of photographs, under other names and in another folder."""
    for path in paths:
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.parent.name / f"{prefix}{path.name}")
    return folder


@pytest.fixture
def evaluate(capsys: pytest.CaptureFixture[str]):
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        code = main(["evaluate", "--engine", "onnxruntime", *map(str, arguments)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def metrics_of(evaluate, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    code, out, _ = evaluate(*arguments, "--json")
    metrics: dict[str, Any] = json.loads(out)
    return code, metrics


def test_the_figures_are_of_what_the_run_was_not_trained_on(evaluate, run: Path, tmp_path: Path) -> None:
    code, metrics = metrics_of(evaluate, run, run.parent / "photos")
    assert (code, metrics["n"], metrics["trained_on"]["n"], metrics["validated_by"]["n"]) == (0, 6, 24, 6)
    _, alone = metrics_of(evaluate, run, copied(paths_of(run, "val"), tmp_path / "val"))
    assert metrics["confusion"] == alone["confusion"]
    assert metrics["validated_by"]["accuracy"] == metrics["accuracy"]
    assert metrics["trained_on"].keys() >= {"n", "accuracy", "per_class", "confusion"}


def test_the_table_says_how_many_others_were_trained_on(evaluate, run: Path) -> None:
    code, out, _ = evaluate(run, run.parent / "photos")
    assert code == 0
    assert out.startswith("photos             6   (not trained on; 24 others were)\n")
    assert "They validated the run, and so chose what was kept" in out
    assert "trained on         24, accuracy 0." in out


def test_new_photographs_are_what_they_were(evaluate, run: Path, tmp_path: Path) -> None:
    more = write_photos(tmp_path / "more", NAMES, 4, size=40, seed=5)
    code, metrics = metrics_of(evaluate, run, more)
    assert (code, metrics["n"], metrics["trained_on"]["n"], metrics["validated_by"]["n"]) == (0, 12, 0, 0)
    _, out, _ = evaluate(run, more)
    assert out.startswith("photos             12\n")
    assert out.endswith("trained on         0\n")


@pytest.mark.parametrize("model", ["", "model.onnx", "model.safetensors"])
def test_a_copy_under_another_name_counts_as_trained_on(evaluate, run: Path, tmp_path: Path, model: str) -> None:
    data = copied(paths_of(run, "train")[::5], write_photos(tmp_path / "more", NAMES, 2, size=40, seed=6))
    code, out, _ = evaluate(run / model, data, "--json", "--engine", "auto")
    metrics = json.loads(out)
    assert (code, metrics["n"], metrics["trained_on"]["n"]) == (0, 6, 5)


def test_where_all_were_trained_on_it_is_said_and_the_exit_code_is_1(evaluate, run: Path, tmp_path: Path) -> None:
    data = copied(paths_of(run, "train"), tmp_path / "known")
    code, out, err = evaluate(run, data)
    assert code == 1
    assert out.startswith("Trained on all of them: how well")
    assert "photos             24\n" in out
    assert "was trained on all of these photos" in err
    code, metrics = metrics_of(evaluate, run, data)
    assert (code, metrics["n"], metrics["accuracy"], metrics["trained_on"]["n"]) == (1, 0, None, 24)


def test_an_export_knows_its_run_and_a_model_elsewhere_nothing(evaluate, run: Path, tmp_path: Path) -> None:
    exported = tmp_path / "run" / "exports" / "onnx" / "model.onnx"
    exported.parent.mkdir(parents=True)
    shutil.copy(run / "model.onnx", exported)
    shutil.copy(run / FILE, tmp_path / "run")
    assert metrics_of(evaluate, exported, run.parent / "photos")[1]["trained_on"]["n"] == 24
    (tmp_path / "run" / FILE).unlink()
    assert "trained_on" not in metrics_of(evaluate, exported, run.parent / "photos")[1]


def test_a_run_that_lost_its_list_says_that_nothing_is_kept_apart(evaluate, run: Path, tmp_path: Path) -> None:
    lost = Path(shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns(FILE)))
    (lost / "config.yaml").write_text("seed: 0\n")
    code, out, told = evaluate(lost, run.parent / "photos")
    assert code == 0
    assert "not trained on" not in out
    assert f"{lost}: has no data.csv: which of these photos it was trained on is not known" in told


def test_a_damaged_list_is_one_line(evaluate, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    text = (run / FILE).read_text("utf-8")
    (tmp_path / "run" / FILE).write_text(text.replace(",val,", ",holdout,"), "utf-8")
    code, out, err = evaluate(tmp_path / "run", run.parent / "photos")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "data.csv, line" in err
