"""One engine in a process of its own: its threads and its memory are nobody else's."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from mobilenets.arch.cost import total
from mobilenets.errors import ModelFileError, UserError
from mobilenets.runtime.base import FLOAT, Engine
from mobilenets.runtime.registry import open_engine
from mobilenets.system.memory import peak_mb
from mobilenets.system.quiet import own_outputs
from mobilenets.system.timing import timed

Open = Callable[[Path, str, int | None, str], Engine]  # as `open_engine`: file, name, threads, precision


@dataclass(frozen=True)
class Task:
    """A model file in an engine, with a number of threads (None: one per core) and of pictures at a time.

    `precision`: what the engine is asked to compute in.
    """

    model: str
    path: Path
    engine: str
    threads: int | None
    batch: int
    precision: str = FLOAT


class Worker:
    """Runs a task's engine on random pixels in a process of its own, whenever it is asked to.

    Raises
    ------
    UserError
        The engine cannot run the file.
    """

    def __init__(self, task: Task, open: Open = open_engine) -> None:
        self.task = task
        context = multiprocessing.get_context("spawn")  # a fork would inherit the threads of libraries loaded here
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(task, open, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.load_ms: float
        self.macs: int
        self.load_ms, self.macs = self._answer()

    def run(self, times: int) -> list[float]:
        """Seconds of each of `times` calls."""
        self._pipe.send(times)
        seconds: list[float] = self._answer()
        return seconds

    def peak_mb(self) -> float | None:
        """The process's greatest memory so far in MB, None where the system does not tell."""
        self._pipe.send(0)
        memory: float | None = self._answer()
        return memory

    def close(self) -> None:
        """End the process, also in the middle of a turn."""
        self._process.terminate()  # before the pipe: at its end the process would say that nobody is there
        self._process.join()
        self._pipe.close()

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise ModelFileError(f"{self.task.path}: {self.task.engine} crashed on it; export it again") from None
        if isinstance(answer, UserError):
            raise answer
        return answer


def _serve(task: Task, open: Open, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches this process too; the one that asked ends it
    own_outputs()  # this process is there for the engine alone
    opened: list[Engine] = []
    try:
        (load_s,) = timed(lambda: opened.append(open(task.path, task.engine, task.threads, task.precision)))(1)
    except UserError as error:
        pipe.send(error)
        return
    (engine,) = opened
    preprocess = engine.card.preprocess
    pipe.send((1000 * load_s, total(engine.card.net, preprocess.size)[1]))
    shape = (task.batch, preprocess.size, preprocess.size, preprocess.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)  # zeros would be faster than any photograph
    turn = timed(lambda: engine(pixels))
    while times := pipe.recv():
        pipe.send(turn(times))
    pipe.send(peak_mb())
