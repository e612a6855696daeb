"""`mobilenets bench`: latency, memory and size of models in every engine, beside the machine's ceilings."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets import choices
from mobilenets.cli.options import PRECISION, call, one_of
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
    how = parser.add_argument_group("how it is computed")
    how.add_argument(
        "--engine",
        action="append",
        **one_of(choices.BenchEngine),
        help="only this one; repeat for more (default: all that are installed)",
    )
    how.add_argument(
        "--precision",
        **PRECISION
        | {"help": "default %(default)s; half (openvino, where the processor has it), or auto: both, in turns"},
    )
    how.add_argument("--threads", type=int, metavar="N", help="threads of the engine (default: one per core)")
    how.add_argument("--batch", type=int, metavar="B", help="photos at a time (default %(default)s)")
    shown = parser.add_argument_group("what is shown")
    shown.add_argument("--json", action="store_true", help="print rows as JSON")
    shown.add_argument("--save", type=Path, metavar="PNG", help="draw the latencies")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from mobilenets.verbs.bench import bench

    report = call(bench, args)
    if args.json:
        print(json.dumps(report.to_dict(), indent=2))
    elif args.family:
        print("\n".join(_family_table(report.points, report.ceilings)))
    else:
        print("\n".join(_table(report.rows, report.ceilings)))
    return 0


def _family_table(points: Sequence[Point], ceilings: Ceilings) -> list[str]:
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


def _table(rows: Sequence[Row], ceilings: Ceilings) -> list[str]:
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
