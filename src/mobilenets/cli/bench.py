"""`mobilenets bench`: latency, memory and size of models in every engine, beside the machine's ceilings."""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.errors import UserError

if TYPE_CHECKING:
    from mobilenets.bench.ceilings import Ceilings
    from mobilenets.bench.latency import Row

HELP = "measure latency, memory and size in every installed engine"

HEADER = (
    "model", "engine", "precision", "median ms", "p10", "p90", "images/s", "load ms", "peak MB", "file MB", "MMACs",
    "ceiling",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", nargs="+", metavar="MODEL", help="run folder, model file or published name")
    parser.add_argument(
        "--engine", action="append", default=[], metavar="E", help="only this one; repeat for more (default: all)"
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
    from mobilenets.bench.ceilings import measure_ceilings
    from mobilenets.bench.latency import measure
    from mobilenets.bench.tasks import tasks_of
    from mobilenets.cli.predict import check_free
    from mobilenets.runtime.engine import available_cores

    if args.save is not None:
        check_free(args.save)
    with tempfile.TemporaryDirectory() as scratch:
        tasks = [
            task
            for model in dict.fromkeys(args.model)
            for task in tasks_of(model, args.engine, args.threads, args.batch, Path(scratch))
        ]
        ceilings = measure_ceilings(args.threads or available_cores())
        rows = measure(tasks, ceilings)
    if args.save is not None:
        from mobilenets.bench.picture import save_latencies

        save_latencies(rows, args.save)
    print(json.dumps([asdict(row) for row in rows], indent=2) if args.json else "\n".join(_table(rows, ceilings)))
    return 0


def _table(rows: list[Row], ceilings: Ceilings) -> list[str]:
    cells = [HEADER, *(_cells(row) for row in sorted(rows, key=lambda row: (row.model, row.median_ms)))]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADER))]
    left = 3  # columns of words; the others are figures
    lines = [
        "  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in cells
    ]
    rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in ceilings.gmacs.items() if rate)
    first = rows[0]
    return [
        *lines,
        "",
        f"{first.threads} threads, {first.batch} at a time, random pixels to probabilities",
        f"the machine: matrix products {rates} GMAC/s, memory {ceilings.gigabytes:.0f} GB/s",
    ]


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.model, row.engine, row.precision, f"{row.median_ms:.2f}", f"{row.p10_ms:.2f}", f"{row.p90_ms:.2f}",
        f"{row.images_per_s:.0f}", f"{row.load_ms:.0f}", "" if row.peak_mb is None else f"{row.peak_mb:.0f}",
        f"{row.bytes / 1e6:.1f}", f"{row.mmacs:.0f}",
        "" if row.share_of_ceiling is None else f"{row.share_of_ceiling:.0%}",
    )  # fmt: skip
