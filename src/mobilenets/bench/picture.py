"""Latencies drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mobilenets.bench.latency import Row
from mobilenets.errors import UserError


def save_latencies(rows: Sequence[Row], path: Path) -> None:
    """A bar per row, the fastest on top, with the span from the 10th to the 90th percentile.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as missing:
        raise UserError(f"--save needs {missing.name}; run: pip install 'mobilenets[train]'") from None
    ordered = sorted(rows, key=lambda row: row.median_ms, reverse=True)
    figure = Figure(figsize=(8, 1.2 + 0.35 * len(ordered)), layout="constrained")
    axes = figure.add_subplot()
    names = [f"{row.model} · {row.engine} {row.precision}" for row in ordered]
    spans = [[row.median_ms - row.p10_ms for row in ordered], [row.p90_ms - row.median_ms for row in ordered]]
    bars = axes.barh(range(len(ordered)), [row.median_ms for row in ordered], xerr=spans, color="#4477aa")
    axes.bar_label(bars, [f" {row.median_ms:.2f} ms" for row in ordered])
    axes.set_yticks(range(len(ordered)), names)
    axes.set_xlabel(f"milliseconds, {rows[0].batch} at a time, {rows[0].threads} threads")
    axes.margins(x=0.15)
    figure.savefig(path)
