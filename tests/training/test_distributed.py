"""Several processes train as one would: the same weights, every photograph once, one voice, and no loss in a kill."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import write_photos
from mobilenets.errors import UserError
from mobilenets.model_card import read_tensors
from mobilenets.training.opening import check_divisible
from mobilenets.training.run import train

# By the loopback address: not every machine can look up its own name.
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
# SGD: where a gradient is all rounding, as before a BatchNorm, Adam's step has a random sign.
SETTINGS = {"model": "mobilenet_v3_small", "weights": "none", "width": 0.35, "size": 32, "recipe": "finetune"}
CHANGES = {"batch_size": 8, "lr": 0.01, "ema": 0.5, "optimizer": "sgd", "mixup": 0.4, "cutmix": 1.0, "sync_norm": True}
EPOCHS = 3


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 19 photographs: 30 to train on, 8 to validate on."""
    return write_photos(tmp_path_factory.mktemp("album") / "photos", ("daisy", "rose"), 19, size=40)


def _command(*arguments: str | Path, restarts: int = 0, module: str = "train") -> list[str]:
    return [
        *TORCHRUN,
        "--nproc-per-node=2",
        f"--max-restarts={restarts}",
        "-m",
        "mobilenets",
        module,
        *map(str, arguments),
    ]


def _options(out: Path, epochs: int = EPOCHS, **more: object) -> list[str]:
    settings = [f"--{k}={v}" for k, v in {**SETTINGS, "precision": "fp32", "epochs": epochs, "out": out}.items()]
    return settings + [f"--set={k}={v}" for k, v in {**CHANGES, **more}.items()]


def _own_lines(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith(("mobilenets train:", "mobilenets: "))]


def _distance(a: Path, b: Path) -> float:
    ours, theirs = (read_tensors(folder / "model.safetensors") for folder in (a, b))
    assert ours.keys() == theirs.keys()
    return max(float(np.abs(ours[k] - theirs[k]).max() / (np.abs(ours[k]).max() + 1e-3)) for k in ours)


def _history(folder: Path) -> list[dict[str, float]]:
    with (folder / "history.csv").open(encoding="utf-8") as file:
        return [{k: float(v) for k, v in row.items() if k != "images_per_s"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def together(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder that two processes wrote."""
    out = tmp_path_factory.mktemp("together") / "run"
    result = subprocess.run(_command(album, *_options(out)), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("validation accuracy") == 1
    return out


def test_two_processes_give_the_weights_and_figures_of_one(album: Path, together: Path, tmp_path: Path) -> None:
    alone = train(album, tmp_path / "alone", CHANGES, epochs=EPOCHS, precision="fp32", **SETTINGS).path
    assert _distance(alone, together) < 2e-3
    for one, two in zip(_history(alone), _history(together), strict=True):
        assert two == pytest.approx(one, rel=1e-3, abs=1e-4)
    metrics = json.loads((together / "metrics.json").read_text("utf-8"))
    assert metrics["n"] == 8


@pytest.mark.slow
def test_a_killed_worker_is_started_again_and_loses_nothing(album: Path, together: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = _command(album, *_options(out), restarts=1)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    _wait_for(out / "checkpoint" / "last.pt", process)
    os.kill(_workers(process.pid)["1"], signal.SIGKILL)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert "exitcode: -9" in stderr, "torchrun says what happened"
    assert len(_own_lines(stderr)) <= 1, stderr
    assert _distance(out, together) == 0
    assert _history(out) == _history(together)


def _wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while not path.exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)


def _workers(launcher: int) -> dict[str, int]:
    """The processes that torchrun started, by rank."""
    found = {}
    for children in Path(f"/proc/{launcher}/task").glob("*/children"):
        for child in children.read_text().split():
            rank = re.search(rb"(?:^|\0)RANK=(\d+)", Path(f"/proc/{child}/environ").read_bytes())
            if rank:
                found[rank[1].decode()] = int(child)
    return found


@pytest.mark.slow
def test_a_request_to_end_saves_and_the_run_goes_on_from_there(album: Path, together: Path, tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    process = subprocess.Popen(
        _command(album, *_options(out)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    _wait_for(out / "checkpoint" / "last.pt", process)
    process.terminate()
    stdout, stderr = process.communicate(timeout=300)
    assert "--resume" in stdout, stderr
    assert stderr.count("stopping after this step") == 1
    assert (out / "model.onnx").exists()
    subprocess.run(_command("--resume", "--out", out), check=True, capture_output=True)
    assert _distance(out, together) == 0
    assert _history(out) == _history(together)


@pytest.mark.slow
def test_an_error_is_told_once(album: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    result = subprocess.run(_command(album, *_options(tmp_path / "run")), capture_output=True, text=True)
    assert result.returncode != 0
    lines = _own_lines(result.stderr)
    assert len(lines) == 1, result.stderr
    assert "exists already" in lines[0]
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.slow
def test_only_training_is_work_for_several_processes(album: Path, tmp_path: Path) -> None:
    result = subprocess.run(_command("model.onnx", album, module="predict"), capture_output=True, text=True)
    lines = _own_lines(result.stderr)
    assert len(lines) == 1, result.stderr
    assert "torchrun" in lines[0]


@pytest.mark.parametrize(("batch", "images", "processes"), [(8, 30, 2), (8, 8, 4), (7, 3, 1), (64, 2000, 8)])
def test_batches_that_divide_into_pairs_are_accepted(batch: int, images: int, processes: int) -> None:
    check_divisible(batch, images, processes)


@pytest.mark.parametrize(("batch", "images", "processes"), [(6, 30, 2), (32, 300, 3), (32, 31, 2)])
def test_batches_that_do_not_are_refused_by_name(batch: int, images: int, processes: int) -> None:
    with pytest.raises(UserError, match="batch_size") as refusal:
        check_divisible(batch, images, processes)
    suggested = int(re.findall(r"use (\d+)", str(refusal.value))[0])
    check_divisible(suggested, images, processes)
