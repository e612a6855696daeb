"""Parts of networks timed in an engine, in a process of its own: its threads and its memory are nobody else's."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mobilenets.errors import MissingExtraError, UsageError, UserError
from mobilenets.runtime.registry import KINDS
from mobilenets.system.timing import Effort, Measured, measure, timed

Run = Callable[[NDArray[Any]], object]


@dataclass(frozen=True)
class Graph:
    """An `.onnx` file with one input, and the shape and dtype of what it takes."""

    path: Path
    shape: tuple[int, ...]
    dtype: str


class Part(Protocol):
    """A network or a part of one that can be timed: what it costs, and how it becomes a file."""

    @property
    def macs(self) -> int:
        """Multiply-adds of one image."""

    @property
    def parameters(self) -> int:
        """Weights."""

    def write(self, path: Path) -> Graph:
        """Export it to `path`."""


class Timer(Protocol):
    """What a latency table asks for the time of parts, all of which take turns."""

    def measure(self, parts: Sequence[Part], effort: Effort) -> Measured:
        """An estimate for each, and for a reference that is always the same.

        Raises
        ------
        UserError
            The engine cannot run one of them.
        """

    def close(self) -> None:
        """Let go of what it holds."""


def _onnxruntime(path: Path, threads: int) -> Run:
    from mobilenets.runtime.engines.onnxruntime import make_session

    session = make_session(path, threads)
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})


def _openvino(path: Path, threads: int) -> Run:
    from mobilenets.runtime.engines.openvino import compile_model

    request = compile_model(path, threads)[1].create_infer_request()
    return lambda x: request.infer([x])


# Engines that run parts of a network as they are exported: the others convert whole networks, in minutes each.
OPENERS: dict[str, Callable[[Path, int], Run]] = {"onnxruntime": _onnxruntime, "openvino": _openvino}


def check_engine(engine: str) -> None:
    """Refuse what cannot measure parts of networks here.

    Raises
    ------
    UserError
        An engine that does not, or is not installed.
    """
    if engine not in OPENERS:
        raise UsageError(f"--engine {engine}: searches measure in {' or '.join(OPENERS)}")
    kind = KINDS[engine]
    if find_spec(kind.module) is None:
        raise MissingExtraError(f"--engine {engine}: is not installed; run: pip install 'mobilenets[{kind.extra}]'")


class EngineTimer:
    """The timer that searches use: one engine, on a number of threads, and a network as the reference."""

    def __init__(self, engine: str, threads: int, reference: Part) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._reference = reference.write(Path(self._folder.name) / "reference.onnx")
        context = multiprocessing.get_context("spawn")  # a fork would inherit the threads of libraries loaded here
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(engine, threads, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def measure(self, parts: Sequence[Part], effort: Effort) -> Measured:
        """As `Timer.measure`; all files are open at once."""
        with tempfile.TemporaryDirectory(dir=self._folder.name) as folder:
            graphs = [part.write(Path(folder) / f"{i}.onnx") for i, part in enumerate(parts)]
            try:
                self._pipe.send((self._reference, graphs, effort))
                answer = self._pipe.recv()
            except (EOFError, OSError):
                raise UsageError("the engine crashed while it was measured; try the other --engine") from None
        if isinstance(answer, UserError):
            raise answer
        measured: Measured = answer
        return measured

    def close(self) -> None:
        """End the process, also in the middle of a measurement."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()
        self._folder.cleanup()


def _serve(engine: str, threads: int, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches this process too; the one that asked ends it
    while True:
        try:
            base, graphs, effort = pipe.recv()
        except EOFError:
            return
        try:
            reference, *turns = (_turn(OPENERS[engine](g.path, threads), _example(g)) for g in (base, *graphs))
            measured = measure(turns, effort, reference) if turns else measure([reference], effort)
            # Without the thousands of single calls.
            pipe.send(Measured(measured.estimates if turns else [], measured.reference))
        except UserError as error:
            pipe.send(error)


def _turn(run: Run, x: NDArray[Any]) -> Callable[[int], list[float]]:
    return timed(lambda: run(x))


def _example(graph: Graph) -> NDArray[Any]:
    rng = np.random.default_rng(0)
    if graph.dtype == "uint8":
        return rng.integers(0, 256, graph.shape, np.uint8)
    return rng.random(graph.shape, np.float32)  # of both signs after any convolution; zeros would be faster
