"""`--engine auto`: measured once, remembered, never in the way."""

import json
from pathlib import Path

import numpy as np
import pytest

from mobilenets.artifact import ModelCard
from mobilenets.export.onnx import export_onnx
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.runtime import choice
from mobilenets.runtime.engine import Engine
from mobilenets.runtime.engines import open_engine
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


class Paced:
    """Opens real engines; a clock beside them says that a call takes as long as it is told, and now and then longer."""

    def __init__(self, noise: float = 0.0, **seconds: float) -> None:
        self.noise, self.seconds, self.now = noise, seconds, 0.0
        self.opened: list[str] = []
        self._rng = np.random.default_rng(0)

    def __call__(self) -> float:
        return self.now

    def open(self, path: Path, name: str, threads: int | None) -> Engine:
        self.opened.append(name)
        engine = open_engine(path, name, threads)
        run = type(engine).__call__

        class Slow(type(engine)):  # type: ignore[misc]  # whatever engine it is
            def __call__(_, pixels: np.ndarray) -> np.ndarray:  # `self` is the clock
                self.now += self.seconds[name] * (1 + self.noise * self._rng.random())
                return run(engine, pixels)

        engine.__class__ = Slow
        return engine


@pytest.mark.parametrize(
    ("pace", "expected"),
    [
        ({"onnxruntime": 1.0, "openvino": 2.0}, OnnxRuntimeEngine),
        ({"onnxruntime": 2.0, "openvino": 1.0}, OpenVinoEngine),
        ({"onnxruntime": 1.0, "openvino": 0.995}, OnnxRuntimeEngine),  # as good: the first
    ],
)
def test_the_fastest_is_taken_and_remembered(
    file: Path, cache: Path, pace: dict[str, float], expected: type, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Paced(noise=0.01, **pace)
    assert isinstance(choice.open_fastest(file, None, clock.open, clock), expected)
    ((key, name),) = json.loads(cache.read_text()).items()
    assert expected is {"onnxruntime": OnnxRuntimeEngine, "openvino": OpenVinoEngine}[name]
    assert "thread" in key
    again = Paced()  # knows no time: a second measurement would fail
    assert isinstance(choice.open_fastest(file, None, again.open, again), expected)
    assert again.opened == [name]
    assert capsys.readouterr().err == ""


def test_where_other_work_does_not_let_it_decide_that_is_told_and_not_remembered(
    file: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Paced(noise=9.0, onnxruntime=1e-3, openvino=0.9e-3)
    assert isinstance(choice.open_fastest(file, None, clock.open, clock), OnnxRuntimeEngine)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("--engine auto: too busy to measure ")
    assert line.endswith("; onnxruntime is taken this time")
    assert not cache.exists()
    assert clock.now < 60  # seconds of that clock: retried for a bounded time


def test_other_threads_are_measured_anew(file: Path, cache: Path) -> None:
    for threads in (1, 2):
        clock = Paced(onnxruntime=1.0, openvino=2.0)
        choice.open_fastest(file, threads, clock.open, clock)
    assert len(json.loads(cache.read_text())) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}'])
def test_a_damaged_memory_is_measured_anew(file: Path, cache: Path, content: str) -> None:
    cache.write_text(content)
    clock = Paced(onnxruntime=1.0, openvino=2.0)
    choice.open_fastest(file, None, clock.open, clock)
    assert "openvino" in "".join(json.loads(cache.read_text()))


def test_a_home_that_cannot_be_written_is_no_error(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "file"))
    assert choice.open_fastest(file).card.classes == ("a", "b")  # by the real clock: whichever it is, one is taken


def test_with_one_engine_nothing_is_measured(file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda name: name == "onnxruntime" or None)
    clock = Paced()
    assert isinstance(choice.open_fastest(file, None, clock.open, clock), OnnxRuntimeEngine)
    assert not cache.exists()
