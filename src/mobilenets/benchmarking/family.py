"""The whole family: models × widths × input sizes, latency here against the accuracy that was published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

from mobilenets.arch import build
from mobilenets.arch.published import Published, published
from mobilenets.benchmarking.ceilings import Ceilings
from mobilenets.benchmarking.latency import Row, Start, take_turns
from mobilenets.benchmarking.tasks import write_random
from mobilenets.benchmarking.worker import Task, Worker
from mobilenets.errors import UsageError
from mobilenets.runtime.registry import KINDS, open_engine
from mobilenets.system.progress import Progress
from mobilenets.system.timing import Effort

EFFORT = Effort(rounds=4, max_rounds=12, turn_s=0.1, min_calls=3, max_calls=100, spread=0.05, max_s=10.0)
AT_ONCE = 8  # processes side by side, each with a network in its memory: about a gigabyte
ENGINES = tuple(name for name, kind in KINDS.items() if ".onnx" in kind.suffixes)


@dataclass(frozen=True)
class Point:
    """A published network and its figures here.

    Attributes
    ----------
    published
        Model, width, input size and accuracy on ImageNet as published.
    row
        What was measured here.
    pareto
        Whether none of the others is both as fast and more accurate.
    """

    published: Published
    row: Row
    pareto: bool


def choose(patterns: Sequence[str]) -> list[Published]:
    """The published networks whose model matches one of `patterns`, of shell kind; none: all.

    Raises
    ------
    UserError
        A pattern that matches none.
    """
    everything = list(published())
    for pattern in patterns:
        if not any(fnmatch(entry.model, pattern) for entry in everything):
            models = ", ".join(dict.fromkeys(entry.model for entry in everything))
            raise UsageError(f"{pattern}: no model of that name has a published accuracy; --family knows {models}")
    return [entry for entry in everything if not patterns or any(fnmatch(entry.model, p) for p in patterns)]


def sweep(
    chosen: Sequence[Published],
    engine: str,
    threads: int | None,
    batch: int,
    ceilings: Ceilings | None,
    start: Start = Worker,
) -> list[Point]:
    """A point for each, measured with random weights, which do not change the speed.

    Some of them are open at once and take turns. They come from all over the list, so that a slow minute does not
    hit one family alone; and all are timed beside the first of it, which stays open. `start`: as in `latency.measure`.

    Raises
    ------
    UserError
        The engine has no `.onnx`, or torch is not installed.
    """
    if engine not in ENGINES:
        raise UsageError(f"--engine {engine}: does not run .onnx; --family measures in {' or '.join(ENGINES)}")
    groups = -(-len(chosen) // AT_ONCE)
    measured: dict[Published, Row] = {}
    with (
        Progress("measuring the family", len(chosen) * (2 + EFFORT.rounds), "turn") as progress,
        TemporaryDirectory() as aside,
    ):
        (task,) = _tasks(chosen[:1], engine, threads, batch, Path(aside))
        reference = start(task, open_engine)
        try:
            for first in range(groups):
                group = chosen[first::groups]
                with TemporaryDirectory() as scratch:
                    tasks = []
                    for task in _tasks(group, engine, threads, batch, Path(scratch)):
                        tasks.append(task)
                        progress.advance()
                    rows = take_turns(tasks, ceilings, EFFORT, progress, reference, start=start)
                measured.update(zip(group, rows, strict=True))
        finally:
            reference.close()
    return _points(measured)


def _tasks(group: Sequence[Published], engine: str, threads: int | None, batch: int, scratch: Path) -> Iterator[Task]:
    for i, entry in enumerate(group):
        net = build(entry.model, width=entry.width, flavor=entry.flavor)
        folder = scratch / str(i)
        folder.mkdir()
        (file,) = write_random(net, entry.size, [folder / "model.onnx"])
        yield Task(entry.model, file, engine, threads, batch)


def _points(measured: dict[Published, Row]) -> list[Point]:
    """Fastest first."""
    points: list[Point] = []
    best = 0.0
    for entry, row in sorted(measured.items(), key=lambda item: (item[1].quiet_ms, -item[0].top1)):
        points.append(Point(entry, row, pareto=entry.top1 > best))
        best = max(best, entry.top1)
    return points
