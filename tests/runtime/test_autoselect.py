"""`--engine auto`: measured once, remembered, never in the way."""

import json
from pathlib import Path

import numpy as np
import pytest

from mobilenets.arch import build
from mobilenets.errors import ModelFileError
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.model_card import ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.runtime import autoselect
from mobilenets.runtime.base import FLOAT, Engine
from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine
from mobilenets.runtime.engines.openvino import OpenVinoEngine
from mobilenets.runtime.registry import open_engine


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2)).eval()
    path = tmp_path_factory.mktemp("choice") / "model.onnx"
    export_onnx(model, ModelCard("small", model.net, ("a", "b"), Preprocess(size=32)), path)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path))
    return tmp_path / "engines.json"


class Paced:
    """Opens real engines; a clock beside them says that a call takes as long as it is told, and now and then longer."""

    def __init__(self, noise: float = 0.0, **seconds: float) -> None:
        self.noise, self.seconds, self.now = noise, seconds, 0.0
        self.opened: list[str] = []
        self._rng = np.random.default_rng(0)

    def __call__(self) -> float:
        return self.now

    def open(self, path: Path, name: str, threads: int | None, precision: str = FLOAT) -> Engine:
        row = name if precision == FLOAT else f"{name}_{precision}"
        self.opened.append(row)
        engine = open_engine(path, name, threads)  # also in place of half precision, which not every processor has
        run = type(engine).__call__

        class Slow(type(engine)):  # type: ignore[misc]  # whatever engine it is
            def __call__(_, pixels: np.ndarray) -> np.ndarray:  # `self` is the clock
                self.now += self.seconds[row] * (1 + self.noise * self._rng.random())
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
    assert isinstance(autoselect.open_fastest(file, None, clock.open, clock), expected)
    ((key, name),) = json.loads(cache.read_text()).items()
    assert expected is {"onnxruntime": OnnxRuntimeEngine, "openvino": OpenVinoEngine}[name]
    assert "thread" in key
    again = Paced()  # knows no time: a second measurement would fail
    assert isinstance(autoselect.open_fastest(file, None, again.open, again), expected)
    assert again.opened == [name]
    assert capsys.readouterr().err == ""


def test_where_other_work_does_not_let_it_decide_that_is_told_and_not_remembered(
    file: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Paced(noise=9.0, onnxruntime=1e-3, openvino=0.9e-3)
    assert isinstance(autoselect.open_fastest(file, None, clock.open, clock), OnnxRuntimeEngine)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("--engine auto: too busy to measure ")
    assert line.endswith("; onnxruntime is taken this time")
    assert not cache.exists()
    assert clock.now < 60  # seconds of that clock: retried for a bounded time


def test_an_engine_that_cannot_run_the_file_here_is_left_out_and_that_is_told_every_time(
    file: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As OpenVINO with a detector, on a processor of the first SSE4.1."""

    def open_(path: Path, name: str, threads: int | None, precision: str = FLOAT) -> Engine:
        if name == "openvino":
            raise ModelFileError(f"{path}: not a model OpenVINO can run, or a damaged one; export it again")
        return open_engine(path, name, threads)

    for _ in range(2):
        assert isinstance(autoselect.open_fastest(file, None, open_), OnnxRuntimeEngine)
        (line,) = capsys.readouterr().err.splitlines()
        assert line == f"--engine auto: openvino cannot run {file} here; onnxruntime is taken"
    assert not cache.exists()


def test_other_threads_are_measured_anew(file: Path, cache: Path) -> None:
    for threads in (1, 2):
        clock = Paced(onnxruntime=1.0, openvino=2.0)
        autoselect.open_fastest(file, threads, clock.open, clock)
    assert len(json.loads(cache.read_text())) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}'])
def test_a_damaged_memory_is_measured_anew(file: Path, cache: Path, content: str) -> None:
    cache.write_text(content)
    clock = Paced(onnxruntime=1.0, openvino=2.0)
    autoselect.open_fastest(file, None, clock.open, clock)
    assert "openvino" in "".join(json.loads(cache.read_text()))


def test_a_home_that_cannot_be_written_is_no_error(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "file"))
    assert autoselect.open_fastest(file).card.classes == ("a", "b")  # by the real clock: whichever it is, one is taken


def test_with_one_engine_nothing_is_measured(file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoselect, "find_spec", lambda name: name == "onnxruntime" or None)
    clock = Paced()
    assert isinstance(autoselect.open_fastest(file, None, clock.open, clock), OnnxRuntimeEngine)
    assert not cache.exists()


@pytest.fixture
def half_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor with bfloat16; what `Paced` opens computes in float32 all the same."""
    monkeypatch.setattr(autoselect, "find_half", lambda name: "bfloat16" if name == "openvino" else None)


@pytest.mark.usefixtures("half_here")
@pytest.mark.parametrize(
    ("engine", "pace", "figures"),
    [
        ("auto", {"onnxruntime": 9e-3, "openvino": 8e-3, "openvino_half": 5e-3}, "5 instead of 8 ms"),
        ("auto", {"onnxruntime": 7e-3, "openvino": 8e-3, "openvino_half": 5e-3}, "5 instead of 7 ms"),
        ("openvino", {"openvino": 8e-3, "openvino_half": 5e-3}, "5 instead of 8 ms"),
    ],
)
def test_half_precision_is_taken_where_it_is_faster_and_every_start_says_so(
    file: Path, engine: str, pace: dict[str, float], figures: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, again = Paced(**pace), Paced()  # the second knows no time: what was measured is remembered
    for way in (clock, again):
        opened = autoselect.open_fastest(file, None, way.open, way, engine=engine, precision="auto")
        assert isinstance(opened, OpenVinoEngine)
        told = f"--precision auto: bfloat16 in openvino, {figures} a photo in float32\n"
        assert capsys.readouterr().err == told
    assert again.opened == ["openvino_half"]


@pytest.mark.usefixtures("half_here")
@pytest.mark.parametrize(
    ("pace", "expected"),
    [
        ({"onnxruntime": 3.0, "openvino": 8.0, "openvino_half": 5.0}, OnnxRuntimeEngine),  # faster than its own only
        ({"onnxruntime": 9.0, "openvino": 5.0, "openvino_half": 4.99}, OpenVinoEngine),  # as fast, for all it matters
        ({"onnxruntime": 9.0, "openvino": 5.0, "openvino_half": 6.0}, OpenVinoEngine),
    ],
)
def test_where_half_precision_is_not_faster_float32_is_taken_without_a_word(
    file: Path, pace: dict[str, float], expected: type, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, again = Paced(**pace), Paced()
    for way in (clock, again):
        assert isinstance(autoselect.open_fastest(file, None, way.open, way, precision="auto"), expected)
    assert len(again.opened) == 1
    assert "half" not in again.opened[0]
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("half_here")
def test_where_other_work_hides_what_half_precision_gains_float32_is_taken_and_that_is_told(
    file: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Paced(noise=9.0, openvino=1e-3, openvino_half=0.9e-3)
    autoselect.open_fastest(file, None, clock.open, clock, engine="openvino", precision="auto")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("--precision auto: too busy to measure ")
    assert line.endswith("; openvino in float32 is taken this time")
    assert not cache.exists()


@pytest.mark.usefixtures("half_here")
def test_what_was_remembered_without_half_precision_is_measured_anew_with_it(file: Path) -> None:
    pace = {"onnxruntime": 3.0, "openvino": 8.0, "openvino_half": 1.0}
    for precision, opened in (("float32", 2), ("auto", 3)):
        clock = Paced(**pace)
        autoselect.open_fastest(file, None, clock.open, clock, precision=precision)
        assert len(clock.opened) == opened


@pytest.mark.usefixtures("half_here")
def test_which_engine_is_fastest_in_float32_need_not_be_clear_where_half_precision_is_faster_than_each(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Paced(noise=0.4, onnxruntime=8e-3, openvino=8e-3, openvino_half=2e-3)
    assert isinstance(autoselect.open_fastest(file, None, clock.open, clock, precision="auto"), OpenVinoEngine)
    assert capsys.readouterr().err.startswith("--precision auto: bfloat16 in openvino, ")
