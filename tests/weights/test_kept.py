"""Which weights a run keeps is recorded with them, and said wherever their figures are shown."""

import csv
import json
from pathlib import Path

import pytest

import mobilenets as mn
from conftest import write_photos
from mobilenets.arch import build
from mobilenets.cli.main import main
from mobilenets.model_card import read_card
from mobilenets.runtime.opening import load
from mobilenets.weights.kept import best_epoch, closing_lines, read_history, read_kept
from small import write_random

CLASSES = ("daisy", "rose")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs with a training, a validation and a test part."""
    folder = tmp_path_factory.mktemp("data")
    for i, (part, count) in enumerate({"train": 16, "val": 8, "test": 6}.items()):
        write_photos(folder / part, CLASSES, count, seed=i)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net = build("mobilenet_v3_small", width=0.35, num_classes=2)
    return write_random(tmp_path_factory.mktemp("weights") / "start.safetensors", net, CLASSES, 32)


def _train(data: Path, weights: Path, out: Path, lr: float, epochs: int = 2) -> Path:
    """A fine-tuning from a probe; a rate of 100 ruins every network, so that the probe stays the best."""
    settings = {"weights": str(weights), "model": "mobilenet_v3_small", "recipe": "finetune", "device": "cpu"}
    changes = {"batch_size": 8, "lr": lr, "ema": 0.0, "warmup_epochs": 0.0}
    return mn.train(data, out=out, changes=changes, epochs=epochs, precision="fp32", **settings).path


@pytest.fixture(scope="module")
def probed(data: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose fine-tuning came to nothing."""
    return _train(data, weights, tmp_path_factory.mktemp("probed") / "run", lr=100.0)


@pytest.fixture(scope="module")
def tuned(data: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a probe: it keeps an epoch whatever happens."""
    folder = tmp_path_factory.mktemp("tuned") / "run"
    scratch = {"model": "mobilenet_v3_small", "weights": "none", "width": 0.35, "size": 32, "recipe": "finetune"}
    return mn.train(
        data, out=folder, changes={"batch_size": 8}, epochs=3, precision="fp32", device="cpu", **scratch
    ).path


def _metrics(run: Path) -> dict:
    return json.loads((run / "metrics.json").read_text("utf-8"))


def test_a_kept_probe_is_recorded_with_the_weights(probed: Path) -> None:
    assert _metrics(probed)["kept"] == "probe"
    for file in ("model.safetensors", "model.onnx"):
        assert read_card(probed / file).metrics["kept"] == "probe"
    history = read_history(probed / "history.csv")
    probe = json.loads((probed / "probe.json").read_text())
    assert len(history["epoch"]) == 2
    assert max(history["val_accuracy"]) < probe["val_accuracy"]
    assert _metrics(probed)["accuracy"] == pytest.approx(probe["val_accuracy"], abs=0.07)  # one photograph of 16


def test_a_kept_epoch_is_the_one_that_validated_best(tuned: Path) -> None:
    history = read_history(tuned / "history.csv")
    best = int(history["epoch"][best_epoch(history)])
    assert _metrics(tuned)["kept"] == {"epoch": best}
    assert _metrics(tuned)["accuracy"] == pytest.approx(max(history["val_accuracy"]), abs=0.07)
    kept = read_kept(tuned, _metrics(tuned))
    assert kept.describe() == f"epoch {best} of 3, which validated best"
    assert kept.is_chosen


def test_every_part_of_the_report_says_that_the_model_is_the_probe(probed: Path) -> None:
    page = (probed / "report.html").read_text("utf-8")
    kept = read_kept(probed, _metrics(probed))
    assert kept.describe().startswith(
        "the linear probe: the best of 2 epochs of fine-tuning validated no better (epoch "
    )
    assert page.count(kept.describe()) == 3  # beside the accuracy, below the curves, among the facts of the model
    assert "this model, the linear probe" in page
    assert f"fine-tuned, epoch {kept.best}" in page
    assert "These photos also chose which weights are kept." in page


def test_the_test_photographs_come_first_where_there_are_some(probed: Path, data: Path) -> None:
    test = _metrics(probed)["test"]
    assert test["n"] == 12
    classifier = load(probed)
    right = sum(classifier.predict(p).label == p.parent.name for p in (data / "test").rglob("*.jpg"))
    assert test["accuracy"] == right / 12
    page = (probed / "report.html").read_text("utf-8")
    assert page.index("accuracy on the test photos") < page.index("accuracy in validation")
    first, second = closing_lines(probed, _metrics(probed))[1:]
    assert first.startswith(f"test accuracy {test['accuracy']:.3f} (95 % interval ")
    assert first.endswith("n 12), on photos that chose nothing")
    assert second.endswith("n 16); these photos also chose what is kept")


def test_the_command_says_in_the_end_which_weights_it_kept_and_what_chose_them(
    weights: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", data / "train", "--weights", weights, "--model", "mobilenet_v3_small", "--recipe", "probe"]
    assert main([*map(str, arguments), "--out", str(tmp_path / "run")]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "kept     the linear probe (a new last layer on the features as they came)"
    assert second.startswith("validation accuracy ")
    assert second.endswith(")")  # there was nothing to choose from
    metrics = _metrics(tmp_path / "run")
    assert metrics["kept"] == "probe"
    assert "test" not in metrics


def test_a_run_of_an_older_version_does_not_say_what_it_does_not_know(tuned: Path, tmp_path: Path) -> None:
    metrics = {name: value for name, value in _metrics(tuned).items() if name not in ("kept", "test")}
    kept = read_kept(tuned, metrics)
    assert (kept.epoch, kept.describe(), kept.name) == (None, "", "")
    assert closing_lines(tuned, metrics)[0].startswith("validation accuracy ")


def test_history_has_the_epochs_alone(probed: Path) -> None:
    """The probe is none: its figures are those of probe.json."""
    with (probed / "history.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
