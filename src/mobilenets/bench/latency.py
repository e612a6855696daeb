"""Latency of model files in engines, measured in turns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobilenets.bench.ceilings import Ceilings
from mobilenets.bench.worker import Open, Task, Worker
from mobilenets.errors import UserError
from mobilenets.progress import Progress
from mobilenets.runtime.engine import available_cores
from mobilenets.runtime.engines import open_engine

ROUNDS = 10
ROUND_S = 0.15  # of one engine's turn: long enough to be back at full speed, short enough that drift hits all alike
FEWEST, MOST = 3, 200  # calls per turn


@dataclass(frozen=True)
class Row:
    """One task's figures: times in milliseconds, memory in MB, the file in bytes, work in million multiply-adds.

    `share_of_ceiling`: of the matrix products per second the machine reaches in this precision; None where
    that was not measured.
    """

    model: str
    engine: str
    precision: str
    threads: int
    batch: int
    median_ms: float
    p10_ms: float
    p90_ms: float
    images_per_s: float
    load_ms: float
    peak_mb: float | None
    bytes: int
    mmacs: float
    share_of_ceiling: float | None


def measure(tasks: Sequence[Task], ceilings: Ceilings | None = None, open: Open = open_engine) -> list[Row]:
    """A row per task. All engines are open at once and take turns, so that a busy moment hits all alike.

    `open`: makes a task's engine, in a process of its own.

    Raises:
        UserError: an engine cannot run its file.
    """
    with Progress("measuring", len(tasks) * (ROUNDS + 1), "turn") as progress:
        return take_turns(tasks, ceilings, ROUNDS, progress, open)


def take_turns(
    tasks: Sequence[Task], ceilings: Ceilings | None, rounds: int, progress: Progress, open: Open = open_engine
) -> list[Row]:
    """As `measure`, in `rounds` rounds; advances `progress` by one per task, and by one per task and round."""
    workers: list[Worker] = []
    peaks: list[float | None] = []
    try:
        for task in tasks:
            workers.append(Worker(task, open))
            progress.advance()
        calls = [_calls(worker) for worker in workers]
        seconds: list[list[float]] = [[] for _ in workers]
        for _ in range(rounds):
            for worker, times, row in zip(workers, calls, seconds, strict=True):
                row.extend(worker.run(times))
                progress.advance()
        peaks = [worker.peak_mb() for worker in workers]
    finally:
        for worker in workers:
            worker.close()
    return [_row(worker, row, peak, ceilings) for worker, row, peak in zip(workers, seconds, peaks, strict=True)]


def _calls(worker: Worker) -> int:
    return int(np.clip(ROUND_S / np.median(worker.run(FEWEST)), FEWEST, MOST))


def _row(worker: Worker, seconds: list[float], peak: float | None, ceilings: Ceilings | None) -> Row:
    task = worker.task
    median, p10, p90 = (1000 * float(np.quantile(seconds, q)) for q in (0.5, 0.1, 0.9))
    precision = precision_of(task.path)
    ceiling = ceilings.gmacs.get(precision) if ceilings else None
    rate = worker.macs * task.batch / median / 1e6  # giga multiply-adds per second
    return Row(
        model=task.model,
        engine=task.engine,
        precision=precision,
        threads=task.threads or available_cores(),
        batch=task.batch,
        median_ms=median,
        p10_ms=p10,
        p90_ms=p90,
        images_per_s=1000 * task.batch / median,
        load_ms=worker.load_ms,
        peak_mb=peak,
        bytes=size_of(task.path),
        mmacs=worker.macs / 1e6,
        share_of_ceiling=rate / ceiling if ceiling else None,
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
        raise UserError(f"{path.parent / 'verify.json'}: not what 'mobilenets export' wrote; export again") from error
