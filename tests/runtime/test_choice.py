"""`--engine auto`: measured once, remembered, never in the way."""

import json
from pathlib import Path

import pytest

from mobilenets.artifact import ModelCard
from mobilenets.export.onnx import export_onnx
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.runtime import choice
from mobilenets.runtime.onnxruntime import OnnxRuntimeEngine
from mobilenets.runtime.openvino import OpenVinoEngine
from mobilenets.spec import build


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2)).eval()
    path = tmp_path_factory.mktemp("choice") / "model.onnx"
    export_onnx(model, ModelCard("small", model.net, ("a", "b"), Preprocess(size=32)), path)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path))
    return tmp_path / choice.FILE


def test_the_fastest_is_taken_and_remembered(file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = type(choice.open_fastest(file))
    ((key, name),) = json.loads(cache.read_text()).items()
    assert chosen is {"onnxruntime": OnnxRuntimeEngine, "openvino": OpenVinoEngine}[name]
    monkeypatch.setattr(choice, "measure", None)  # a second measurement would fail
    assert type(choice.open_fastest(file)) is chosen
    assert "2 threads" in key or "thread" in key


@pytest.mark.parametrize(("seconds", "expected"), [([1.0, 2.0], OnnxRuntimeEngine), ([2.0, 1.0], OpenVinoEngine)])
def test_the_measurement_decides(
    file: Path, monkeypatch: pytest.MonkeyPatch, seconds: list[float], expected: type
) -> None:
    monkeypatch.setattr(choice, "measure", lambda engines: seconds)
    assert type(choice.open_fastest(file)) is expected


def test_other_threads_are_measured_anew(file: Path, cache: Path) -> None:
    choice.open_fastest(file, threads=1)
    choice.open_fastest(file, threads=2)
    assert len(json.loads(cache.read_text())) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}'])
def test_a_damaged_memory_is_measured_anew(file: Path, cache: Path, content: str) -> None:
    cache.write_text(content)
    choice.open_fastest(file)
    assert "openvino" in "".join(json.loads(cache.read_text()))


def test_a_home_that_cannot_be_written_is_no_error(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "file"))
    assert choice.open_fastest(file).card.classes == ("a", "b")


def test_with_one_engine_nothing_is_measured(file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda name: name == "onnxruntime" or None)
    assert isinstance(choice.open_fastest(file), OnnxRuntimeEngine)
    assert not cache.exists()
