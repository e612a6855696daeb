"""Latency of model files in engines, measured in turns."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobilenets.benchmarking.ceilings import Ceilings
from mobilenets.benchmarking.worker import Open, Task, Worker
from mobilenets.errors import ModelFileError
from mobilenets.runtime.base import FLOAT, HALF, available_cores
from mobilenets.runtime.registry import find_half, open_engine
from mobilenets.system import timing
from mobilenets.system.progress import Progress
from mobilenets.system.timing import Effort, Estimate

# A turn is long enough for an engine to be back at full speed, and short enough that drift hits all alike.
EFFORT = Effort(rounds=8, max_rounds=24, turn_s=0.1, min_calls=3, max_calls=100, spread=0.05, max_s=15.0)
Start = Callable[[Task, Open], Worker]


@dataclass(frozen=True)
class Row:
    """The figures of one file in one engine.

    Attributes
    ----------
    model
        What was measured.
    engine
        In what.
    precision
        What is computed in; "float16 weights" are computed in float32.
    threads
        Of the engine.
    batch
        Photos at a time.
    quiet_ms
        What a call takes when nothing else runs, in milliseconds: rows are compared by it.
    quiet_low_ms
        The lower end of its interval.
    quiet_high_ms
        The upper end.
    median_ms
        Of all calls, in milliseconds, as they were here and now.
    p10_ms
        Their 10th percentile.
    p90_ms
        Their 90th percentile.
    images_per_s
        Photos a second, by the median.
    load_ms
        Opening the file, in milliseconds.
    peak_mb
        Memory of the process at most, in MB; None where the system does not say.
    bytes
        Of the file.
    mmacs
        Million multiply-accumulates of a photo.
    share_of_ceiling
        Of the matrix products per second that the machine reaches in this precision, 0 to 1; None where that was not
        measured, or held back by other work while it was: the model was faster.
    """

    model: str
    engine: str
    precision: str
    threads: int
    batch: int
    quiet_ms: float
    quiet_low_ms: float
    quiet_high_ms: float
    median_ms: float
    p10_ms: float
    p90_ms: float
    images_per_s: float
    load_ms: float
    peak_mb: float | None
    bytes: int
    mmacs: float
    share_of_ceiling: float | None


def measure(
    tasks: Sequence[Task], ceilings: Ceilings | None = None, open: Open = open_engine, start: Start = Worker
) -> list[Row]:
    """A row per task. All engines are open at once and take turns, so that a busy moment hits all alike.

    `open`: makes a task's engine; `start`: runs that in a process of its own.

    Raises
    ------
    UserError
        An engine cannot run its file.
    """
    with Progress("measuring", len(tasks) * (EFFORT.rounds + 1), "turn") as progress:
        return take_turns(tasks, ceilings, EFFORT, progress, open=open, start=start)


def take_turns(
    tasks: Sequence[Task],
    ceilings: Ceilings | None,
    effort: Effort,
    progress: Progress,
    reference: Worker | None = None,
    *,
    open: Open = open_engine,
    start: Start = Worker,
) -> list[Row]:
    """As `measure`; advances `progress` by one per task, and by one per task and round that is planned.

    `reference`: beside what else than the first of the tasks all are timed, where there are further ones elsewhere to
    compare with.
    """
    workers: list[Worker] = []
    try:
        for task in tasks:
            workers.append(start(task, open))
            progress.advance()
        turns = [worker.run for worker in workers]
        found = timing.measure(turns, effort, reference.run if reference else None, after_turn=progress.advance)
        peaks = [worker.peak_mb() for worker in workers]
    finally:
        for worker in workers:
            worker.close()
    columns = zip(workers, found.estimates, found.seconds, peaks, strict=True)
    return [_row(*column, ceilings) for column in columns]


def _row(
    worker: Worker, estimate: Estimate, seconds: list[float], peak: float | None, ceilings: Ceilings | None
) -> Row:
    task = worker.task
    median, p10, p90 = (1000 * float(np.quantile(seconds, q)) for q in (0.5, 0.1, 0.9))
    precision, arithmetic = _precision(task)
    ceiling = ceilings.gmacs.get(arithmetic) if ceilings else None
    rate = worker.macs * task.batch / estimate.seconds / 1e9  # giga multiply-adds per second
    return Row(
        model=task.model,
        engine=task.engine,
        precision=precision,
        threads=task.threads or available_cores(),
        batch=task.batch,
        quiet_ms=estimate.ms,
        quiet_low_ms=1000 * estimate.low,
        quiet_high_ms=1000 * estimate.high,
        median_ms=median,
        p10_ms=p10,
        p90_ms=p90,
        images_per_s=1000 * task.batch / median,
        load_ms=worker.load_ms,
        peak_mb=peak,
        bytes=size_of(task.path),
        mmacs=worker.macs / 1e6,
        share_of_ceiling=rate / ceiling if ceiling and rate <= ceiling else None,
    )


def _precision(task: Task) -> tuple[str, str]:
    """What people are told of it, and what most of it is computed in."""
    stored = precision_of(task.path)
    half = find_half(task.engine) if task.precision == HALF else None
    if stored == "int8":
        return (f"int8 and {half}" if half else stored), stored
    if half:
        return half, half
    return ("float16 weights" if stored == "float16" else stored), FLOAT


def doubt(rows: Sequence[Row]) -> str | None:
    """Which rows were disturbed too much for their order to stand, in one line; None where it stands."""
    wide = [row for row in rows if row.quiet_high_ms - row.quiet_low_ms > 2 * EFFORT.spread * row.quiet_ms]
    if not wide:
        return None
    worst = max(wide, key=lambda row: row.quiet_high_ms / row.quiet_low_ms)
    return (
        f"too busy to measure {len(wide)} of {len(rows)} rows within {EFFORT.spread:.0%}: "
        f"{worst.model} in {worst.engine} takes {worst.quiet_low_ms:.3g} to {worst.quiet_high_ms:.3g} ms; "
        "rows that are closer are in no certain order"
    )


def size_of(path: Path) -> int:
    """Bytes of a model file, with the weights beside it where the format has two files."""
    weights = path.with_suffix(".bin")
    return path.stat().st_size + (weights.stat().st_size if weights.exists() else 0)


def precision_of(path: Path) -> str:
    """As its export's verify.json says; float32 where there is none."""
    try:
        return str(json.loads((path.parent / "verify.json").read_text(encoding="utf-8"))["precision"])
    except FileNotFoundError:
        return "float32"
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"{path.parent / 'verify.json'}: not what 'mobilenets export' wrote; export again"
        ) from error
