"""A training run as a whole: the run folder, determinism, resuming after a kill, Ctrl-C."""

import contextlib
import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import mobilenets as mn
from conftest import Cli
from mobilenets.auditing import measure
from mobilenets.data.cache import store
from mobilenets.model_card import read_card, read_tensors
from mobilenets.training import checkpoint
from mobilenets.training.loop import Trainer
from mobilenets.training.run import Pages, TrainedRun, start, train, train_again
from mobilenets.training.settings import read_config
from stopped import interrupted, stopped_training

# Small and quick: random weights, a narrow network, pictures of 32 pixels.
NETWORK = {"model": "mobilenet_v3_small", "weights": "none", "width": 0.35, "size": 32}
QUICK = {**NETWORK, "recipe": "finetune", "precision": "fp32"}
CHANGES = {"batch_size": 8, "lr": 0.004, "ema": 0.5, "augment.crop_scale": (0.5, 1.0)}
EPOCHS = 3
STEPS = 4  # of an epoch: 32 photographs in batches of 8


def _tensors(folder: Path) -> dict[str, np.ndarray]:
    return read_tensors(folder / "model.safetensors")


def _equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of photographs and the run trained on it."""
    folder = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(0)
    for k, name in enumerate(("红玫瑰", "daisy")):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.normal(60 + 120 * k, 25, (40, 40, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{i}.png")
    run = mn.train(folder / "photos", out=folder / "run", changes=CHANGES, epochs=EPOCHS, **QUICK)
    return folder / "photos", run.path


def test_a_run_folder_has_every_file(trained: tuple[Path, Path]) -> None:
    names = {p.name for p in trained[1].iterdir()}
    assert names >= {
        "model.safetensors",
        "model.onnx",
        "card.json",
        "config.yaml",
        "class_indices.json",
        "history.csv",
        "metrics.json",
        "predictions.csv",
        "report.html",
        "curves.png",
        "confusion.png",
    }
    assert not [p for p in trained[1].rglob("*") if p.suffix in (".part", ".tmp")]


def test_class_indices_are_sorted_and_readable(trained: tuple[Path, Path]) -> None:
    assert json.loads((trained[1] / "class_indices.json").read_text("utf-8")) == {"0": "daisy", "1": "红玫瑰"}


def test_history_has_a_line_per_epoch(trained: tuple[Path, Path]) -> None:
    rows = list(csv.DictReader((trained[1] / "history.csv").open(encoding="utf-8")))
    assert [row["epoch"] for row in rows] == [str(k + 1) for k in range(EPOCHS)]
    assert float(rows[-1]["lr"]) < float(rows[0]["lr"])


def test_metrics_are_those_of_the_exported_model_on_the_validation_part(trained: tuple[Path, Path]) -> None:
    metrics = json.loads((trained[1] / "metrics.json").read_text("utf-8"))
    predictions = list(csv.DictReader((trained[1] / "predictions.csv").open(encoding="utf-8")))
    assert metrics["n"] == len(predictions) == 8
    right = sum(row["label"] == row["predicted"] for row in predictions)
    assert metrics["accuracy"] == pytest.approx(right / 8)
    classifier = mn.load(trained[1])
    for row in predictions:
        again = dict(classifier.predict(row["path"]).top)
        assert again["daisy"] == pytest.approx(float(row["daisy"]), abs=1e-4)


def test_the_report_says_what_the_audit_of_the_data_found(trained: tuple[Path, Path]) -> None:
    page = (trained[1] / "report.html").read_text("utf-8")
    assert "40 photos were looked at." in page


def test_the_onnx_file_explains_itself(trained: tuple[Path, Path]) -> None:
    session = onnxruntime.InferenceSession(trained[1] / "model.onnx")
    image, probabilities = session.get_inputs()[0], session.get_outputs()[0]
    assert (image.name, image.type, image.shape[1:]) == ("image", "tensor(uint8)", [32, 32, 3])
    assert (probabilities.name, probabilities.shape[1]) == ("probabilities", 2)
    card = read_card(trained[1] / "model.onnx")
    assert card.classes == ("daisy", "红玫瑰")
    assert card.preprocess.size == 32
    assert card.metrics["n"] == 8


def test_the_tutorials_colours_are_learned(trained: tuple[Path, Path]) -> None:
    # Of three classes; where a row of the head stood for another class, a third would be right.
    assert json.loads((trained[1] / "metrics.json").read_text("utf-8"))["accuracy"] > 0.7


@pytest.mark.parametrize(("workers", "cache"), [(0, "off"), (3, "disk")])  # (1, "disk"): where no room is left
def test_the_same_seed_gives_the_same_weights_with_any_number_of_workers_and_any_cache(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, cache: str
) -> None:
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "home"))
    again = train(trained[0], tmp_path / "again", CHANGES, epochs=EPOCHS, workers=workers, cache=cache, **QUICK)
    assert _equal(_tensors(trained[1]), _tensors(again.path))


@pytest.fixture(scope="module")
def other(trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[int]]:
    """A run with another seed and one thread where there are two, and how many threads its steps had."""
    step, seen = Trainer.step, set()

    def watched(*args: Any) -> torch.Tensor:
        seen.add(torch.get_num_threads())
        return step(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", watched)
        torch.set_num_threads(2)
        folder = tmp_path_factory.mktemp("other") / "run"
        run = train(trained[0], folder, CHANGES, epochs=EPOCHS, seed=1, threads=1, **QUICK)
    assert torch.get_num_threads() == 2
    return run.path, seen


def test_another_seed_gives_other_weights(trained: tuple[Path, Path], other: tuple[Path, set[int]]) -> None:
    assert not _equal(_tensors(trained[1]), _tensors(other[0]))


def test_config_yaml_repeats_the_run(cli: Cli, trained: tuple[Path, Path], tmp_path: Path) -> None:
    result = cli("train", "--config", trained[1] / "config.yaml", "--out", tmp_path / "repeated")
    assert result.returncode == 0, result.stderr
    assert _equal(_tensors(trained[1]), _tensors(tmp_path / "repeated"))


def _arguments(photos: Path, out: Path, epochs: int = EPOCHS) -> list[str]:
    changes = [f"--set={k}={','.join(map(str, v)) if isinstance(v, tuple) else v}" for k, v in CHANGES.items()]
    settings = [f"--{k}={v}" for k, v in QUICK.items()]
    return [str(photos), "--out", str(out), f"--epochs={epochs}", *settings, *changes]


def test_resuming_after_a_kill_gives_the_weights_of_an_uninterrupted_run(
    cli: Cli, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    killed = stopped_training(signal.SIGKILL, STEPS + 3, *_arguments(trained[0], out))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (out / "checkpoint" / "last.pt").exists()
    assert not (out / "metrics.json").exists()
    assert cli("train", "--resume", "--out", out).returncode == 0
    assert _equal(_tensors(trained[1]), _tensors(out))
    assert len(list(csv.DictReader((out / "history.csv").open(encoding="utf-8")))) == EPOCHS


def test_ctrl_c_saves_the_best_so_far_and_can_be_resumed(cli: Cli, trained: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "interrupted"
    result = interrupted(lambda step: step == STEPS + 3, "train", *_arguments(trained[0], out))
    assert result.returncode == 130, result.stderr
    assert "Traceback" not in result.stderr
    assert "--resume" in result.stdout
    assert (out / "model.onnx").exists()
    audited = "audit of the data"
    assert audited not in (out / "report.html").read_text("utf-8")  # nobody waits for it after Ctrl-C
    assert cli("train", "--resume", "--out", out).returncode == 0
    assert _equal(_tensors(trained[1]), _tensors(out))
    assert audited in (out / "report.html").read_text("utf-8")


def test_a_run_is_complete_when_its_pages_are_written(cli: Cli, trained: tuple[Path, Path], tmp_path: Path) -> None:
    def stopped(run: TrainedRun) -> None:
        assert (run.opened.folder / "predictions.csv").exists()
        raise KeyboardInterrupt

    settings, recipe = read_config(trained[1] / "config.yaml")
    with pytest.raises(KeyboardInterrupt):
        start(settings, recipe.to_dict(), tmp_path / "stopped", pages=Pages(stopped))
    assert not (tmp_path / "stopped" / "metrics.json").exists()
    assert cli("train", "--resume", "--out", tmp_path / "stopped").returncode == 0
    for name in ("metrics.json", "report.html"):
        assert (tmp_path / "stopped" / name).exists()
    assert _equal(_tensors(trained[1]), _tensors(tmp_path / "stopped"))
    assert cli("train", "--resume", "--out", tmp_path / "stopped").returncode == 2  # complete


def test_photos_are_measured_for_the_report_once_as_they_are_checked(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blur_effect, measured = measure.blur_effect, []

    def counted(pixels: np.ndarray) -> float:
        measured.append((tmp_path / "run" / "data.csv").exists())
        return blur_effect(pixels)

    monkeypatch.setattr(measure, "blur_effect", counted)
    mn.train(trained[0], out=tmp_path / "run", changes=CHANGES, epochs=1, **QUICK)
    assert measured == [False] * 40


def test_photographs_that_vanish_or_break_while_training_are_told_once_and_nothing_else_is_lost(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    photos, out = shutil.copytree(trained[0], tmp_path / "photos"), tmp_path / "run"
    lost = [photos / name / f"{i}.png" for name in ("daisy", "红玫瑰") for i in (3, 7)]  # of whichever part
    save = checkpoint.save

    def losing(*args: Any) -> None:
        """After the first epoch."""
        monkeypatch.setattr(checkpoint, "save", save)
        save(*args)
        for path in lost[::2]:
            path.unlink()
        for path in lost[1::2]:  # replaced at once, as a program that saves well does
            path.with_suffix(".new").write_bytes(b"no photo")
            path.with_suffix(".new").replace(path)

    monkeypatch.setattr(checkpoint, "save", losing)
    train(photos, out, CHANGES, epochs=2, cache="off", **QUICK)
    assert not lost[0].exists()
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("skipped")]
    assert len(lines) == len(set(lines)) == 4
    rows = (out / "predictions.csv").read_text("utf-8").splitlines()[1:]
    paths = [row.split(",")[0] for row in rows]
    assert len(paths) == len(set(paths)) == json.loads((out / "metrics.json").read_text("utf-8"))["n"]
    assert paths
    assert set(map(Path, paths)) <= set(photos.rglob("*.png")) - set(lost)
    assert len(list(csv.DictReader((out / "history.csv").open(encoding="utf-8")))) == 2


def test_two_runs_at_once_share_a_cache_and_each_trains_as_if_alone(
    cli: Cli, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    env = {**os.environ, "MOBILENETS_HOME": str(tmp_path / "home")}
    outs = [tmp_path / "one", tmp_path / "two"]
    here, there = ([*_arguments(trained[0], out), "--cache=disk"] for out in outs)
    process = subprocess.Popen([sys.executable, "-m", "mobilenets", "train", *there], stderr=subprocess.PIPE, env=env)
    assert cli("train", *here).returncode == 0
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr.decode()
    for out in outs:
        assert _equal(_tensors(trained[1]), _tensors(out))
    (index,) = (tmp_path / "home").rglob("index.sqlite")
    with contextlib.closing(sqlite3.connect(index)) as kept:
        assert kept.execute("SELECT count(*), count(DISTINCT start) FROM pixels").fetchone() == (40, 40)


def test_a_disk_without_room_for_the_cache_costs_a_line_and_nothing_else(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(store, "RESERVE", 2**60)  # no disk has as much left
    again = train(trained[0], tmp_path / "again", CHANGES, epochs=EPOCHS, workers=1, cache="disk", **QUICK)
    assert _equal(_tensors(trained[1]), _tensors(again.path))
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("cache:")]
    assert len(told) == 1
    assert "are left on this disk" in told[0]


def test_a_number_of_threads_is_kept_to_written_down_and_left_as_it_was(other: tuple[Path, set[int]]) -> None:
    run, seen = other
    assert seen == {1}
    settings, _ = read_config(run / "config.yaml")
    assert settings.threads == 1


def test_an_unreadable_photograph_is_reported_and_left_out(
    cli: Cli, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    photos = shutil.copytree(trained[0], tmp_path / "photos")
    (photos / "daisy" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    result = cli("train", *_arguments(photos, tmp_path / "run", epochs=1))
    assert result.returncode == 0, result.stderr
    assert "broken.jpg" in result.stderr
    assert "<bdi>daisy/broken.jpg</bdi>" in (tmp_path / "run" / "report.html").read_text("utf-8")


# --- from a file of weights -----------------------------------------------------------------------------


def test_a_run_from_a_file_is_called_what_the_files_network_is(
    trained: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    weights = trained[1] / "model.safetensors"
    run = train(trained[0], tmp_path / "run", weights=str(weights), recipe="probe", dropout=0.4)
    assert f"{weights}: a mobilenet_v3_small of width 0.35" in capfd.readouterr().err
    assert (run.card.name, run.card.net.width, run.card.net.dropout) == ("mobilenet_v3_small", 0.35, 0.4)
    settings, _ = read_config(run.path / "config.yaml")
    assert (settings.model, settings.width) == ("mobilenet_v3_small", 0.35)
    again = train_again(run.path / "config.yaml", tmp_path / "again")
    assert _equal(_tensors(run.path), _tensors(again.path))


@pytest.mark.parametrize(("asked", "told"), [({"model": "mobilenet_v2"}, "mobilenet_v2"), ({"width": 0.5}, "0.5")])
def test_a_file_of_another_network_than_asked_for_is_refused_before_anything_is_written(
    trained: tuple[Path, Path], tmp_path: Path, asked: dict[str, object], told: str
) -> None:
    with pytest.raises(mn.UserError, match=f"model.safetensors: .*{told}"):
        train(trained[0], tmp_path / "run", weights=str(trained[1] / "model.safetensors"), recipe="probe", **asked)
    assert not (tmp_path / "run").exists()
