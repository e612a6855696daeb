"""`--recipe auto` within a time: what it planned stands in config.yaml, is followed and can be repeated."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from conftest import write_photos
from mobilenets.arch import build
from mobilenets.model_card import read_tensors
from mobilenets.training.run import TrainingResult, resume, train
from mobilenets.weights.kept import read_history
from small import write_random
from stopped import interrupted

CLASSES = ("daisy", "rose")
CHANGES = {"batch_size": 8, "epochs": 2}  # which end before the time does


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net = build("mobilenet_v2", width=0.35, num_classes=2)
    net = replace(net, blocks=net.blocks[:7])  # seconds less of every export and step
    return write_random(tmp_path_factory.mktemp("weights") / "start.safetensors", net, CLASSES, 32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("data") / "photos", CLASSES, 25, size=40)


def _settings(weights: Path) -> dict[str, object]:
    return {"weights": str(weights), "model": "mobilenet_v2", "device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="module")
def run(data: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    return train(data, tmp_path_factory.mktemp("auto") / "run", CHANGES, minutes=2.0, **_settings(weights))


def _config(run: Path) -> dict:
    return yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))


def test_what_was_planned_is_written_down(run: TrainingResult) -> None:
    config = _config(run.path)
    settings, recipe = config["settings"], config["recipe"]
    assert (settings["recipe"], settings["minutes"], settings["epochs"]) == ("finetune", None, recipe["epochs"])
    assert (config["asked"]["recipe"], config["asked"]["minutes"]) == ("auto", 2.0)
    assert settings["crop"] is not None
    assert settings["size"] is not None
    assert recipe["steps"] > 0
    assert len(read_history(run.path / "history.csv")["epoch"]) == recipe["epochs"]
    steps = torch.load(run.path / "checkpoint" / "last.pt", weights_only=True)["state"]["step"]
    assert steps == recipe["steps"]


def test_what_is_kept_is_never_worse_than_the_probe(run: TrainingResult) -> None:
    probe = json.loads((run.path / "probe.json").read_text(encoding="utf-8"))
    kept = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))
    assert kept["accuracy"] >= probe["val_accuracy"]


def _assert_same(one: Path, other: Path) -> None:
    """The weights that were kept, and those that the training ended with, averaged and not: the probe may be kept."""
    ours, theirs = (read_tensors(path / "model.safetensors") for path in (one, other))
    for name, tensor in ours.items():
        np.testing.assert_array_equal(tensor, theirs[name], err_msg=name)
    ours, theirs = (torch.load(path / "checkpoint" / "last.pt", weights_only=True) for path in (one, other))
    for kind in ("model", "average"):
        for name, tensor in ours[kind].items():
            assert torch.equal(tensor, theirs[kind][name]), (kind, name)


def test_its_config_gives_the_same_weights_when_interrupted_too(
    run: TrainingResult, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "stopped"
    config = run.path / "config.yaml"
    stopped = interrupted(lambda step: step == 5, "train", "--config", config, "--out", folder)
    assert stopped.returncode == 130, stopped.stderr
    resume(folder)
    _assert_same(run.path, folder)


def test_without_time_for_training_the_probe_is_kept(
    data: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(data, tmp_path / "run", CHANGES, minutes=0.01, **_settings(weights))
    assert json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))["kept"] == "probe"
    assert "no time is left for it; the probe is kept" in capsys.readouterr().err


def test_a_run_that_is_trained_on_is_planned_too(run: TrainingResult, data: Path, tmp_path: Path) -> None:
    more = train(data, tmp_path / "more", CHANGES, minutes=2.0, from_run=str(run.path), device="cpu", precision="fp32")
    assert _config(more.path)["recipe"]["steps"] > 0
    start = json.loads((more.path / "start.json").read_text(encoding="utf-8"))
    assert more.metrics["accuracy"] >= start["val_accuracy"]
