"""Graphs timed in turns, in a process of its own: its threads and its memory are nobody else's."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.errors import UserError
from mobilenets.runtime.engines import KINDS

FEWEST_ROUNDS, MOST_ROUNDS = 7, 40
LEAST_S = 0.5  # of all rounds together: what else runs for some tenths of a second must not move a median
FEWEST, MOST = 10, 40  # calls per graph and round: at least 70 in all
ROUND_S = 0.01  # of one graph's turn: many graphs share a chunk, and drift between its rounds should hit all alike
WARM_UP = 3

Run = Callable[[NDArray[Any]], object]


@dataclass(frozen=True)
class Graph:
    """An `.onnx` file with one input, and the shape and dtype of what it takes."""

    path: Path
    shape: tuple[int, ...]
    dtype: str


def _onnxruntime(path: Path, threads: int) -> Run:
    from mobilenets.runtime.onnxruntime import make_session

    session = make_session(path, threads)
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})


def _openvino(path: Path, threads: int) -> Run:
    from mobilenets.runtime.openvino import compile_model

    request = compile_model(path, threads)[1].create_infer_request()
    return lambda x: request.infer([x])


# Engines that run parts of a network as they are exported: the others convert whole networks, in minutes each.
OPENERS: dict[str, Callable[[Path, int], Run]] = {"onnxruntime": _onnxruntime, "openvino": _openvino}


def check_engine(engine: str) -> None:
    """Refuse what cannot measure parts of networks here.

    Raises:
        UserError: an engine that does not, or is not installed.
    """
    if engine not in OPENERS:
        raise UserError(f"--engine {engine}: searches measure in {' or '.join(OPENERS)}")
    kind = KINDS[engine]
    if find_spec(kind.module) is None:
        raise UserError(f"--engine {engine}: is not installed; run: pip install 'mobilenets[{kind.extra}]'")


class Stopwatch:
    """Times graphs in one engine, on a number of threads, whenever it is asked to."""

    def __init__(self, engine: str, threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit the threads of libraries loaded here
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(engine, threads, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Stopwatch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def milliseconds(self, graphs: Sequence[Graph]) -> list[float]:
        """The median time of one call of each. All are open at once and take turns.

        Raises:
            UserError: the engine cannot run one of them.
        """
        try:
            self._pipe.send(list(graphs))
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise UserError("the engine crashed while it was measured; try the other --engine") from None
        if isinstance(answer, UserError):
            raise answer
        medians: list[float] = answer
        return medians

    def close(self) -> None:
        """End the process, also in the middle of a measurement."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _serve(engine: str, threads: int, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches this process too; the one that asked ends it
    while True:
        try:
            graphs: list[Graph] = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(_medians([(OPENERS[engine](g.path, threads), _example(g)) for g in graphs]))
        except UserError as error:
            pipe.send(error)


def _example(graph: Graph) -> NDArray[Any]:
    rng = np.random.default_rng(0)
    if graph.dtype == "uint8":
        return rng.integers(0, 256, graph.shape, np.uint8)
    return rng.random(graph.shape, np.float32)  # of both signs after any convolution; zeros would be faster


def _medians(runs: Sequence[tuple[Run, NDArray[Any]]]) -> list[float]:
    calls, round_s = [], 0.0
    for run, x in runs:
        for _ in range(WARM_UP):
            run(x)
        once = _seconds(run, x)
        calls.append(int(np.clip(ROUND_S / once, FEWEST, MOST)))
        round_s += calls[-1] * once
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(int(np.clip(LEAST_S / round_s, FEWEST_ROUNDS, MOST_ROUNDS))):
        for (run, x), times, row in zip(runs, calls, seconds, strict=True):
            run(x)  # the others have emptied the caches
            row.extend(_seconds(run, x) for _ in range(times))
    return [1000 * float(np.median(row)) for row in seconds]


def _seconds(run: Run, x: NDArray[Any]) -> float:
    start = time.perf_counter()
    run(x)
    return time.perf_counter() - start
