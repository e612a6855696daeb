"""The number of threads of an engine in long use: by a clock, looked at again, and without other answers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mobilenets as mn
from mobilenets.errors import ModelFileError
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.nn.io import write_network
from mobilenets.runtime.base import Engine, OneAtATime
from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine
from mobilenets.runtime.registry import open_engine
from mobilenets.runtime.threads import AGAIN_S, CALLS, FIRST, MeasuredThreads, measured_threads, thread_counts
from small import card_of, network, noise

PIXELS = noise(4, card_of(network()).preprocess)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = network()
    path = tmp_path_factory.mktemp("threads") / "model.onnx"
    export_onnx(model, card_of(model), path)
    write_network(path.with_suffix(".safetensors"), model, card_of(model))
    return path


class Paced:
    """Opens real engines; a clock beside them says that a call takes as long as it is told for each number."""

    def __init__(self, file: Path, seconds: dict[int, float]) -> None:
        self.file, self.seconds, self.now = file, seconds, 0.0
        self.opened: list[int] = []
        self.ran: list[int] = []

    def __call__(self) -> float:
        return self.now

    def open(self, threads: int) -> Engine:
        self.opened.append(threads)
        engine = OnnxRuntimeEngine(self.file, threads)
        run = OnnxRuntimeEngine.__call__

        class Slow(OnnxRuntimeEngine):
            def __call__(_, pixels: np.ndarray) -> np.ndarray:  # noqa: N805  # `self` is the clock
                self.ran.append(threads)
                self.now += self.seconds[threads] * len(pixels)
                return run(engine, pixels)

        engine.__class__ = Slow
        return engine

    def measured(self) -> MeasuredThreads:
        counts = list(self.seconds)
        return MeasuredThreads(self.open(counts[0]), counts, self.open, self)


def test_all_threads_one_less_and_half_of_them_are_tried() -> None:
    assert [thread_counts(most) for most in (1, 2, 4, 16)] == [[1], [2, 1], [4, 3, 2], [16, 15, 8]]


def test_the_fastest_number_is_found_by_calls_in_turn_of_any_size(file: Path) -> None:
    pace = Paced(file, {8: 3.0, 7: 1.0, 4: 2.0})
    engine = pace.measured()
    for i in range(FIRST + 3 * CALLS):
        engine(PIXELS[: 1 + i % len(PIXELS)])
    assert pace.ran == FIRST * [8] + CALLS * [8, 7, 4]
    assert engine.threads == 7
    engine(PIXELS)
    assert pace.ran[-1] == 7


def test_a_few_photos_never_pay_for_a_second_engine(file: Path) -> None:
    pace = Paced(file, {2: 2.0, 1: 1.0})
    engine = pace.measured()
    for _ in range(FIRST):
        engine(PIXELS)
    assert pace.opened == [2]


def test_what_else_runs_changes_so_it_is_looked_at_again_but_seldom(file: Path) -> None:
    pace = Paced(file, {2: 0.02, 1: 0.01})
    engine = pace.measured()

    def run_until(moment: float) -> None:
        while pace.now < moment:
            engine(PIXELS)

    run_until(5.0)
    assert engine.threads == 1
    pace.seconds = {2: 0.006, 1: 0.01}  # the other work is done
    run_until(AGAIN_S - 1)
    assert engine.threads == 1
    run_until(AGAIN_S * 3)
    assert engine.threads == 2
    assert pace.ran.count(1) + pace.ran.count(2) > 1000
    last = pace.ran[-500:]
    assert last.count(1) <= 2 * CALLS


def test_a_comparison_that_took_long_waits_longer_for_the_next(file: Path) -> None:
    pace = Paced(file, {2: 10.0, 1: 1.0})
    engine = pace.measured()
    while pace.now < 10_000:
        engine(PIXELS)
    assert pace.ran.count(2) * 10.0 * len(PIXELS) < 0.4 * pace.now  # the first looks lie in it


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_answers_and_features_are_those_of_one_engine_whatever_number_computes(file: Path, suffix: str) -> None:
    path = file.with_suffix(suffix)
    name = {".onnx": "onnxruntime", ".safetensors": "torch"}[suffix]
    alone = open_engine(path, name, 1)
    engine = MeasuredThreads(open_engine(path, name), (2, 1), lambda threads: open_engine(path, name, threads))
    for _ in range(FIRST + 2 * CALLS + 1):
        np.testing.assert_allclose(engine(PIXELS), alone(PIXELS), atol=1e-5)
    outputs, seen = engine.with_features(PIXELS)
    np.testing.assert_allclose(outputs, alone(PIXELS), atol=1e-5)
    np.testing.assert_allclose(seen.features, alone.with_features(PIXELS)[1].features, atol=1e-5)


def test_an_engine_that_computes_one_call_at_a_time_is_measured_in_streams_too(file: Path) -> None:
    path = file.with_suffix(".safetensors")
    engine = MeasuredThreads(open_engine(path, "torch"), (2, 1), lambda threads: open_engine(path, "torch", threads))
    stream = engine.concurrent()
    assert isinstance(stream, OneAtATime)
    assert stream._engine is engine
    own = MeasuredThreads(OnnxRuntimeEngine(file, 2), (2, 1), lambda threads: OnnxRuntimeEngine(file, threads))
    assert isinstance(own.concurrent(), OnnxRuntimeEngine)


def test_what_was_told_a_number_or_is_in_memory_stays_as_it_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobilenets.runtime.threads.available_cores", lambda: 2)
    told, memory = open_engine(file, "onnxruntime", 2), OnnxRuntimeEngine(file)
    assert measured_threads(told) is told
    assert measured_threads(memory) is memory
    assert isinstance(measured_threads(open_engine(file, "onnxruntime")), MeasuredThreads)
    monkeypatch.setattr("mobilenets.runtime.threads.available_cores", lambda: 1)
    engine = open_engine(file, "onnxruntime")
    assert measured_threads(engine) is engine


def _remove(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    model = network(blocks=4)
    export_onnx(model, card_of(model), path)


@pytest.mark.parametrize("happens", [_remove, _replace])
def test_a_file_that_is_gone_or_another_leaves_the_engine_that_was_opened(
    file: Path, tmp_path: Path, happens: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobilenets.runtime.threads.available_cores", lambda: 2)
    path = tmp_path / "model.onnx"
    path.write_bytes(file.read_bytes())
    classifier = mn.load(path, "onnxruntime")
    wanted = OnnxRuntimeEngine(file, 1)(PIXELS)
    happens(path)
    for _ in range(FIRST + 2 * CALLS + 1):
        np.testing.assert_allclose(classifier.outputs(PIXELS), wanted, atol=1e-5)


def test_an_engine_that_fails_says_so_and_is_asked_again(file: Path) -> None:
    class Failing(OnnxRuntimeEngine):
        def __call__(self, pixels: np.ndarray) -> np.ndarray:
            raise ModelFileError("failed")

    engine = MeasuredThreads(OnnxRuntimeEngine(file, 2), (2, 1), lambda threads: Failing(file, threads))
    raised = 0
    for _ in range(FIRST + 2 * CALLS):
        try:
            engine(PIXELS)
        except ModelFileError:
            raised += 1
    assert raised > 1
