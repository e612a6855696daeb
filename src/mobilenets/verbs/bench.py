"""`mobilenets.bench`: latency, memory and size of models in every engine, beside the machine's ceilings."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.errors import UsageError
from mobilenets.verbs.verb import check_counts, verb

if TYPE_CHECKING:
    from mobilenets.benchmarking.ceilings import Ceilings
    from mobilenets.benchmarking.family import Point
    from mobilenets.benchmarking.latency import Row
    from mobilenets.choices import BenchEngine, Precision
    from mobilenets.system.progress import Report

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BenchReport:
    """What was measured; to go through it is to go through its rows.

    Attributes
    ----------
    rows
        A `Row` for each file in each engine.
    ceilings
        What this machine can do at most.
    points
        With `family`: each row beside the accuracy that was published for it.

    Examples
    --------
    >>> import mobilenets as mn
    >>> report = mn.bench("runs/photos", engine="onnxruntime")  # doctest: +SKIP
    >>> [(row.engine, row.quiet_ms) for row in report]  # doctest: +SKIP
    [('onnxruntime', 3.9)]
    """

    rows: tuple[Row, ...]
    ceilings: Ceilings
    points: tuple[Point, ...] = ()

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def to_dict(self) -> list[dict[str, Any]]:
        """The content of `mobilenets bench --json`."""
        if self.points:
            return [{**asdict(p.row), **asdict(p.published), "pareto": p.pareto} for p in self.points]
        return [asdict(row) for row in self.rows]


@verb
def bench(
    model: str | Path | Sequence[str | Path] = (),
    *,
    family: bool = False,
    engine: BenchEngine | Sequence[BenchEngine] | None = None,
    precision: Precision = "float32",
    threads: int | None = None,
    batch: int = 1,
    save: str | Path | None = None,
    progress: Report | None = None,
) -> BenchReport:
    """Measure latency, memory and size in every installed engine, each in a process of its own.

    In a script this belongs below `if __name__ == "__main__":`, as all that starts processes.

    Parameters
    ----------
    model
        Run folder, model file or published name, or several of these.
    family
        Models by widths by sizes against published accuracy; `model` then are names or patterns (none: all).
    engine
        Only this one, or these; None: all that are installed.
    precision
        "float32", "half" (openvino, where the processor has it), or "auto": both, in turns.
    threads
        Of the engine, 1 or more; None: one per core.
    batch
        Photos at a time, 1 or more.
    save
        New `.png` with the latencies.
    progress
        Called with what is done, what there is in all and what it is.

    Returns
    -------
    BenchReport
        A row for each file in each engine, times in milliseconds; `to_dict()` is what `mobilenets bench --json` prints.

    Raises
    ------
    ModelFileError
        No such model, or one that no engine runs.
    UsageError
        Options out of range or that do not go together, no model at all, or a file `save` that exists already.
    MissingExtraError
        An engine that was asked for is not installed.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.bench("runs/photos", engine="onnxruntime").rows[0].quiet_ms  # doctest: +SKIP
    3.9
    >>> mn.bench()
    Traceback (most recent call last):
    mobilenets.errors.UsageError: give a MODEL, or --family for the published networks
    """
    check_counts(threads=threads, batch=batch)
    models = [str(model)] if isinstance(model, (str, Path)) else [str(one) for one in model]
    engines = [engine] if isinstance(engine, str) else list(engine or ())
    if not models and not family:
        raise UsageError("give a MODEL, or --family for the published networks")
    if save is not None:
        from mobilenets.system.files import check_new_file

        check_new_file("--save", Path(save), ".png")
    report = (_family if family else _models)(models, engines, precision, threads, batch)
    from mobilenets.benchmarking.latency import doubt

    if doubtful := doubt(report.rows):
        log.warning("bench: %s", doubtful)
    if save is not None:
        from mobilenets.report.bench_plots import save_family, save_latencies

        if family:
            save_family(list(report.points), Path(save))
        else:
            save_latencies(list(report.rows), Path(save))
    return report


def _models(models: list[str], engines: Sequence[str], precision: str, threads: int | None, batch: int) -> BenchReport:
    from mobilenets.benchmarking.ceilings import measure_ceilings
    from mobilenets.benchmarking.latency import measure
    from mobilenets.benchmarking.tasks import tasks_of
    from mobilenets.runtime.base import available_cores

    with tempfile.TemporaryDirectory() as scratch:
        tasks = [
            task
            for model in dict.fromkeys(models)
            for task in tasks_of(model, engines, threads, batch, Path(scratch), precision)
        ]
        ceilings = measure_ceilings(threads or available_cores())
        return BenchReport(tuple(measure(tasks, ceilings)), ceilings)


def _family(
    patterns: list[str], engines: Sequence[str], precision: str, threads: int | None, batch: int
) -> BenchReport:
    from mobilenets.benchmarking.ceilings import measure_ceilings
    from mobilenets.benchmarking.family import choose, sweep
    from mobilenets.runtime.base import available_cores

    if precision != "float32":
        raise UsageError("--family: measures in float32; leave --precision out")
    engine, *others = engines or ["onnxruntime"]
    if others:
        raise UsageError(f"--family: measures in one engine; leave out --engine {others[0]}")
    chosen = choose(patterns)
    ceilings = measure_ceilings(threads or available_cores())
    points = sweep(chosen, engine, threads, batch, ceilings)
    return BenchReport(tuple(point.row for point in points), ceilings, tuple(points))
