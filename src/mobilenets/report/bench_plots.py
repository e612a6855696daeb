"""Latencies drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.benchmarking.family import Point
from mobilenets.benchmarking.latency import Row
from mobilenets.errors import MissingExtraError
from mobilenets.report.figure import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, open_axes, plain_style, png
from mobilenets.system.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAME_SIZE = 8.0  # points
_MINIMAL = "_minimal"
# A colour and a shape each: told apart in grey as well.
#   model                 name on the picture  colour     marker
_STYLES = {
    "mobilenet_v1":             ("V1",        ORANGE,    "s"),
    "mobilenet_v2":             ("V2",        BLUE,      "o"),
    "mobilenet_v3_large":       ("V3-Large",  GREEN,     "^"),
    "mobilenet_v3_small":       ("V3-Small",  PURPLE,    "v"),
    "mobilenet_v4_conv_small":  ("V4-Small",  SKY,       "P"),
    "mobilenet_v4_conv_medium": ("V4-Medium", VERMILION, "D"),
    "mobilenet_v4_conv_large":  ("V4-Large",  BLACK,     "X"),
}  # fmt: skip
_OTHER = ("#777777", "o")  # of a model that has no style yet


def _style(model: str) -> tuple[str, str, str]:
    """Name, colour and marker of a model."""
    return _STYLES.get(model, (model, *_OTHER))


def save_latencies(rows: Sequence[Row], path: Path) -> None:
    """A bar per row, the fastest on top, with the span from the 10th to the 90th percentile.

    Raises
    ------
    UserError
        Matplotlib is not installed.
    """
    ordered = sorted(rows, key=lambda row: row.median_ms, reverse=True)
    with _figure(8, 1.2 + 0.35 * len(ordered)) as figure:
        axes = figure.add_subplot()
        names = [f"{row.model} · {row.engine} {row.precision}" for row in ordered]
        spans = [[row.median_ms - row.p10_ms for row in ordered], [row.p90_ms - row.median_ms for row in ordered]]
        bars = axes.barh(range(len(ordered)), [row.median_ms for row in ordered], height=0.62, color=BLUE)
        ends = axes.errorbar(
            [row.median_ms for row in ordered], range(len(ordered)), xerr=spans, fmt="none", ecolor="0.25", capsize=2.5
        )
        ends.lines[2][0].set_linewidth(1)
        for y, (bar, row) in enumerate(zip(bars, ordered, strict=True)):
            right = max(row.p90_ms, bar.get_width())
            axes.annotate(f"{row.median_ms:.2f} ms", (right, y), (6, 0), textcoords="offset points", va="center")
        axes.set_yticks(range(len(ordered)), names)
        figure.supxlabel(f"milliseconds: median, 10th to 90th percentile; {_conditions(rows[0])}", fontsize=10)
        axes.set_xlim(0, 1.18 * max(row.p90_ms for row in ordered))
        open_axes(axes, grid=False)
        axes.tick_params(axis="y", length=0)
        write_atomic(path, png(figure))


def save_family(points: Sequence[Point], path: Path) -> None:
    """Latency against published accuracy: a line per model and width over the sizes, the Pareto front behind them.

    Raises
    ------
    UserError
        Matplotlib is not installed.
    """
    with _figure(10, 6.6) as figure:
        axes = figure.add_subplot()
        front = [point for point in points if point.pareto]
        axes.step(
            [p.row.quiet_ms for p in front], [p.published.top1 for p in front], where="post", color="#f6d98b",
            linewidth=7, solid_joinstyle="round", label="Pareto front", zorder=1,
        )  # fmt: skip
        named: set[str] = set()
        for line in _lines(points):
            model = line[0].published.model
            name, color, marker = _style(model.removesuffix(_MINIMAL))
            hollow = model.endswith(_MINIMAL)
            name = f"{name} minimal" if hollow else name
            axes.plot(
                [p.row.quiet_ms for p in line], [p.published.top1 for p in line], color=color, marker=marker,
                markersize=7, markerfacecolor="white" if hollow else color,
                markeredgecolor=color if hollow else "white", markeredgewidth=1.2 if hollow else 0.6,
                linewidth=1, alpha=0.95, zorder=3,
                label="_" if name in named else name,
            )  # fmt: skip
            named.add(name)
        first = points[0].row
        axes.set_xscale("log")
        _label_milliseconds(axes)
        axes.set_xlabel(f"milliseconds when nothing else runs; {first.engine} {first.precision}, {_conditions(first)}")
        axes.set_ylabel("ImageNet top-1 as published, %")
        axes.set_title(
            "A line joins the input sizes of one width; on the front: width @size in pixels", fontsize=10, color="0.35"
        )
        open_axes(axes)
        axes.margins(0.06, 0.07)
        axes.set_xlim(left=0.58 * first.quiet_ms)  # room for the first name
        axes.legend(loc="lower right", frameon=False)
        _name_front(figure, axes, front)
        write_atomic(path, png(figure))


def _lines(points: Sequence[Point]) -> list[list[Point]]:
    """Points of one model and width, in the order of their sizes."""
    lines: dict[tuple[str, float], list[Point]] = {}
    order = {model: i for i, model in enumerate(_STYLES)}
    for point in sorted(
        points, key=lambda p: (order.get(p.published.model.removesuffix(_MINIMAL), len(order)), p.published.size)
    ):
        lines.setdefault((point.published.model, point.published.width), []).append(point)
    return list(lines.values())


def _name_front(figure: Figure, axes: Axes, front: Sequence[Point]) -> None:
    """Width and size of the points on the front, above it to the left, where by its nature no point is.

    A name that would lie on another is moved up.
    """
    figure.draw_without_rendering()  # places the axes: before, no point has a place on the picture
    points_per_pixel = 72 / figure.dpi
    drawn: list[tuple[float, float, float]] = []  # right and lower end in points, width
    for point in front:
        entry = point.published
        text = f"{entry.width:g} @{entry.size}"
        x, y = axes.transData.transform((point.row.quiet_ms, entry.top1)) * points_per_pixel
        width, up = _NAME_SIZE * 0.6 * len(text), 4.0
        while any(abs(y + up - other) < 1.25 * _NAME_SIZE and x - width < right and right - wide < x
                  for right, other, wide in drawn):  # fmt: skip
            up += 1
        drawn.append((x, y + up, width))
        _, color, _ = _style(entry.model.removesuffix(_MINIMAL))
        axes.annotate(
            text, (point.row.quiet_ms, entry.top1), (-6, up), textcoords="offset points",
            ha="right", va="bottom", fontsize=_NAME_SIZE, color=color, zorder=4,
        )  # fmt: skip


def _label_milliseconds(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _conditions(row: Row) -> str:
    return f"{row.batch} at a time, {row.threads} thread{'' if row.threads == 1 else 's'}"


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    """A figure in the one style."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"--save needs {missing.name}; run: pip install 'mobilenets[train]'") from None
    with plain_style():
        yield Figure(figsize=(width, height), layout="constrained")
