"""`mobilenets export`: the folder it leaves, its exit codes, and what it says to wrong use."""

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mobilenets.arch import build
from mobilenets.cli.main import main
from mobilenets.exporting.targets.table import Writers
from mobilenets.model_card import ModelCard, write_safetensors
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the weights of a small network, as a run has."""
    torch.manual_seed(0)
    net = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2)).eval()
    card = ModelCard("mobilenet_v3_small", net.net, ("红", "b"), Preprocess(size=32))
    folder = tmp_path / "run"
    folder.mkdir()
    write_safetensors(folder / "model.safetensors", {k: v.numpy() for k, v in net.state_dict().items()}, card)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Eight photographs in a CSV, four of each class."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(8):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / f"{i}.png")
        rows.append((f"{i}.png", ("红", "b")[i % 2]))
    with (tmp_path / "data.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return tmp_path / "data.csv"


def test_an_export_lies_in_the_run_with_its_verification(
    model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(model), "--to", "onnx", "--data", str(data)]) == 0
    folder = model / "exports" / "onnx"
    assert sorted(p.name for p in folder.iterdir()) == ["model.onnx", "verify.json"]
    result = json.loads((folder / "verify.json").read_text(encoding="utf-8"))
    assert (result["n"], result["top1_agreement"]) == (2, 1)
    assert result["accuracy_before"] == result["accuracy_after"]
    out = capsys.readouterr().out
    assert "same class         1.0000" in out
    assert str(folder / "model.onnx") in out


def test_without_photographs_random_pixels_are_compared(model: Path, tmp_path: Path) -> None:
    assert main(["export", str(model), "--to", "openvino", "--out", str(tmp_path / "ov")]) == 0
    result = json.loads((tmp_path / "ov" / "verify.json").read_text(encoding="utf-8"))
    assert result["n"] == 32
    assert result["accuracy_before"] is None


def test_a_file_that_disagrees_is_told_and_exit_code_1(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mobilenets.exporting.targets.onnx import export_onnx

    other = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2))

    def write(_: MobileNet, card: ModelCard, path: Path) -> None:
        export_onnx(other, card, path)

    monkeypatch.setattr("mobilenets.exporting.targets.table._import", lambda target: Writers(write))
    assert main(["export", str(model), "--to", "onnx"]) == 1
    assert "not the network's answers" in capsys.readouterr().err
    assert (model / "exports" / "onnx" / "model.onnx.unverified").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN", "--to", "ncnn", "--int8"], "--int8: not offered for ncnn"),
        (["nothing", "--to", "onnx"], "nothing: no such file, folder or published name"),
        (["EMPTY", "--to", "onnx"], "there are no weights"),
        (["TEXT", "--to", "onnx"], "only a network can be exported"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    model: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no model")
    names = {"RUN": model, "EMPTY": tmp_path / "empty", "TEXT": tmp_path / "notes.txt"}
    assert main(["export", *(str(names.get(a, a)) for a in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_missing_converter_is_one_line_with_its_command(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pnnx", None)
    monkeypatch.delitem(sys.modules, "mobilenets.exporting.targets.ncnn", raising=False)
    assert main(["export", str(model), "--to", "ncnn"]) == 2
    assert "pip install 'mobilenets[ncnn]'" in capsys.readouterr().err
    assert not (model / "exports").exists()


@pytest.mark.exports
@pytest.mark.parametrize("target", ["executorch", "litert", "coreml", "ncnn"])
def test_nothing_is_heard_of_what_converters_and_runtimes_print(model: Path, target: str) -> None:
    command = [sys.executable, "-m", "mobilenets", "export", str(model), "--to", target]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0
    assert result.stderr == f"exporting mobilenet_v3_small to {target}, which takes up to a minute\n"
    assert result.stdout.startswith(f"{target} float32")


def test_a_disk_that_is_full_is_told_whatever_a_converter_says_of_it(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(graph: object, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"half")
        raise RuntimeError("basic_ios::clear: iostream error")  # as OpenVINO says it

    monkeypatch.setattr("openvino.save_model", write)
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 0))
    assert main(["export", str(model), "--to", "openvino"]) == 2
    folder = model / "exports" / "openvino"
    assert capsys.readouterr().err.endswith(f"mobilenets export: {folder}: {os.strerror(errno.ENOSPC)}\n")
    assert not folder.parent.exists()
