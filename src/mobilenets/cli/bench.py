"""`mobilenets bench`: latency, memory and size of models in every engine, beside the machine's ceilings."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.cli import precision
from mobilenets.errors import UserError
from mobilenets.system.terminal import table

if TYPE_CHECKING:
    from mobilenets.benchmarking.ceilings import Ceilings
    from mobilenets.benchmarking.family import Point
    from mobilenets.benchmarking.latency import Row


HEADER = (
    "model", "engine", "precision", "quiet ms", "median ms", "p10", "p90", "images/s", "load ms", "peak MB",
    "file MB", "MMACs", "ceiling",
)  # fmt: skip
FAMILY_HEADER = (
    "model", "width", "size", "top-1", "", "quiet ms", "median ms", "p10", "p90", "images/s", "file MB", "MMACs",
    "ceiling",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", nargs="*", metavar="MODEL", help="run folder, model file or published name")
    parser.add_argument(
        "--family",
        action="store_true",
        help="models x widths x sizes against published accuracy; MODEL then are names or patterns (default: all)",
    )
    parser.add_argument(
        "--engine", action="append", default=[], metavar="E", help="only this one; repeat for more (default: all)"
    )
    parser.add_argument(
        "--precision",
        **precision.OPTIONS
        | {"help": "float32 (default), half (openvino, where the processor has it), or auto: both, in turns"},
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the engine (default: one per core)")
    parser.add_argument("--batch", type=int, default=1, metavar="B", help="pictures at a time (default 1)")
    parser.add_argument("--json", action="store_true", help="print rows as JSON")
    parser.add_argument("--save", type=Path, metavar="PNG", help="draw the latencies")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    for name in ("threads", "batch"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise UserError(f"--{name}: {getattr(args, name)} is too few; use 1 or more")
    if not args.model and not args.family:
        raise UserError("give a MODEL, or --family for the published networks")
    if args.save is not None:
        from mobilenets.system.files import check_new_file

        check_new_file("--save", args.save, ".png")
    return _bench_family(args) if args.family else _bench_models(args)


def _bench_models(args: argparse.Namespace) -> int:
    from mobilenets.benchmarking.ceilings import measure_ceilings
    from mobilenets.benchmarking.latency import measure
    from mobilenets.benchmarking.tasks import tasks_of
    from mobilenets.runtime.base import available_cores

    with tempfile.TemporaryDirectory() as scratch:
        tasks = [
            task
            for model in dict.fromkeys(args.model)
            for task in tasks_of(model, args.engine, args.threads, args.batch, Path(scratch), args.precision)
        ]
        ceilings = measure_ceilings(args.threads or available_cores())
        rows = measure(tasks, ceilings)
    _tell_doubt(rows)
    if args.save is not None:
        from mobilenets.report.bench_plots import save_latencies

        save_latencies(rows, args.save)
    print(json.dumps([asdict(row) for row in rows], indent=2) if args.json else "\n".join(_table(rows, ceilings)))
    return 0


def _bench_family(args: argparse.Namespace) -> int:
    from mobilenets.benchmarking.ceilings import measure_ceilings
    from mobilenets.benchmarking.family import choose, sweep
    from mobilenets.runtime.base import available_cores

    if args.precision != "float32":
        raise UserError("--family: measures in float32; leave --precision out")
    engine, *others = args.engine or ["onnxruntime"]
    if others:
        raise UserError(f"--family: measures in one engine; leave out --engine {others[0]}")
    chosen = choose(args.model)
    ceilings = measure_ceilings(args.threads or available_cores())
    points = sweep(chosen, engine, args.threads, args.batch, ceilings)
    _tell_doubt([point.row for point in points])
    if args.save is not None:
        from mobilenets.report.bench_plots import save_family

        save_family(points, args.save)
    if args.json:
        print(json.dumps([{**asdict(p.row), **asdict(p.published), "pareto": p.pareto} for p in points], indent=2))
    else:
        print("\n".join(_family_table(points, ceilings)))
    return 0


def _tell_doubt(rows: Sequence[Row]) -> None:
    from mobilenets.benchmarking.latency import doubt

    if told := doubt(rows):
        print(f"bench: {told}", file=sys.stderr)


def _family_table(points: list[Point], ceilings: Ceilings) -> list[str]:
    cells = [FAMILY_HEADER, *(_family_cells(point) for point in points)]
    return [
        *table(cells, "lr"),
        "",
        "* nothing measured here is both as fast and more accurate",
        *_conditions(points[0].row, ceilings),
    ]


def _family_cells(point: Point) -> tuple[str, ...]:
    row, entry = point.row, point.published
    return (
        entry.model, f"{entry.width:g}", str(entry.size), f"{entry.top1:.1f}", "*" if point.pareto else "",
        f"{row.quiet_ms:.2f}", f"{row.median_ms:.2f}", f"{row.p10_ms:.2f}", f"{row.p90_ms:.2f}",
        f"{row.images_per_s:.0f}", f"{row.bytes / 1e6:.1f}", f"{row.mmacs:.0f}",
        "" if row.share_of_ceiling is None else f"{row.share_of_ceiling:.0%}",
    )  # fmt: skip


def _table(rows: list[Row], ceilings: Ceilings) -> list[str]:
    cells = [HEADER, *(_cells(row) for row in sorted(rows, key=lambda row: (row.model, row.quiet_ms)))]
    return [*table(cells, "lllr"), "", *_conditions(rows[0], ceilings)]


def _conditions(row: Row, ceilings: Ceilings) -> list[str]:
    rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in ceilings.gmacs.items() if rate)
    return [
        f"{row.threads} threads, {row.batch} at a time, random pixels to probabilities; "
        "quiet: what it takes when nothing else runs, median and the others: what it took now",
        f"the machine: matrix products {rates} GMAC/s, memory {ceilings.gigabytes:.0f} GB/s",
    ]


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.model, row.engine, row.precision, f"{row.quiet_ms:.2f}", f"{row.median_ms:.2f}", f"{row.p10_ms:.2f}",
        f"{row.p90_ms:.2f}",
        f"{row.images_per_s:.0f}", f"{row.load_ms:.0f}", "" if row.peak_mb is None else f"{row.peak_mb:.0f}",
        f"{row.bytes / 1e6:.1f}", f"{row.mmacs:.0f}",
        "" if row.share_of_ceiling is None else f"{row.share_of_ceiling:.0%}",
    )  # fmt: skip
