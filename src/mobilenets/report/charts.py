"""Charts that a page draws itself as SVG, in its own colours, light and dark: here their places and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mobilenets.tasks.classify.calibration import Bin, Coverage

_SIDE, _LEFT, _BOTTOM, _TOP = 240, 44, 40, 24
_MAX_POINTS = 200
_TICKS = (0.0, 0.5, 1.0)  # fractions of an axis that have a label

Point = tuple[float, float]


@dataclass(frozen=True)
class Bar:
    """A bar of the chart, its upper left corner first."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Dot:
    """A point with its words."""

    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Chart:
    """Marks within two axes, all in the chart's own units.

    `ticks`: position and label on the axis across, and on the one up. `curve`, and `guide`, the dashed line: points.
    `alt`: the chart in words, for a screen reader.
    """

    across: str
    up: str
    alt: str
    ticks: list[tuple[float, str, float, str]]
    bars: Sequence[Bar] = ()
    curve: Sequence[Point] = ()
    dots: Sequence[Dot] = ()
    guide: Sequence[Point] = ()

    width, height = _LEFT + _SIDE + 20, _TOP + _SIDE + _BOTTOM
    left, right, top, bottom = _LEFT, _LEFT + _SIDE, _TOP, _TOP + _SIDE  # of what the axes enclose


def reliability_chart(bins: Sequence[Bin | None]) -> Chart:
    """Accuracy of each bin as a bar, at its confidence; on the dashed diagonal both are equal."""
    width = _SIDE / len(bins)
    bars = [
        Bar(
            _LEFT + k * width + 1,
            _y(b.accuracy),
            width - 2,
            _SIDE * b.accuracy,
            f"{b.n} photos, {100 * b.confidence:.0f} % sure, {100 * b.accuracy:.0f} % right",
        )
        for k, b in enumerate(bins)
        if b
    ]
    alt = "; ".join(f"{100 * b.confidence:.0f} % sure, {100 * b.accuracy:.0f} % right" for b in bins if b)
    ticks = _percent_ticks((0.0, 1.0))
    guide = [(_x(0), _y(0)), (_x(1), _y(1))]
    return _chart("confidence", "right", f"Reliability diagram: {alt}", ticks, ticks, bars=bars, guide=guide)


def coverage_chart(curve: Coverage) -> Chart:
    """Accuracy among the photos answered, against their fraction."""
    step = max(1, len(curve.coverage) // _MAX_POINTS)
    chosen = sorted({*range(0, len(curve.coverage), step), len(curve.coverage) - 1})
    low = min(0.9, int(10 * float(curve.accuracy.min())) / 10)  # the axis begins at a full tenth
    points = [(_x(float(curve.coverage[i])), _y((float(curve.accuracy[i]) - low) / (1 - low))) for i in chosen]
    surer_half = float(curve.accuracy[int((curve.coverage < 0.5).sum())])
    alt = (
        f"Accuracy against coverage: {100 * curve.accuracy[-1]:.1f} % right when all are answered, "
        f"{100 * surer_half:.1f} % when the surer half is"
    )
    return _chart("answered", "right", alt, _percent_ticks((0.0, 1.0)), _percent_ticks((low, 1.0)), curve=points)


def precision_recall_chart(
    name: str, precisions: Sequence[float], recall: float | None, precision: float | None
) -> Chart:
    """Precisions of the class `name` at equally spaced recalls, 0 to 1; a dot at the threshold's, where it is known."""
    steps = len(precisions) - 1
    reached = max((i for i, value in enumerate(precisions) if value > 0), default=0)
    points = [(_x(i / steps), _y(value)) for i, value in enumerate(precisions[: reached + 1])]
    alt = f"Precision against recall of {name}: recall reaches {100 * reached / steps:.0f} %"
    dots = []
    if recall is not None and precision is not None:
        title = f"shown at the threshold: {100 * recall:.1f} % found, {100 * precision:.1f} % of it right"
        dots = [Dot(_x(recall), _y(precision), title)]
        alt += f"; {title}"
    ticks = _percent_ticks((0.0, 1.0))
    return _chart("recall", "precision", alt, ticks, ticks, curve=points, dots=dots)


def line_chart(
    points: Sequence[Point],
    titles: Sequence[str],
    across: str,
    up: str,
    guides: Sequence[Point] = (),
    joined: bool = True,
) -> Chart:
    """Points (x, y), each with a title, joined in their order or not, and a dashed line through `guides`.

    Both axes span what is shown; their labels are plain numbers.
    """
    spans = [_span([p[i] for p in (*points, *guides)]) for i in (0, 1)]

    def at(point: Point) -> Point:
        x, y = ((value - low) / (high - low) for value, (low, high) in zip(point, spans, strict=True))
        return _x(x), _y(y)

    located = [at(point) for point in points]
    ticks = [[f"{low + fraction * (high - low):.3g}" for fraction in _TICKS] for low, high in spans]
    return _chart(
        across,
        up,
        f"{up} against {across}: {'; '.join(titles)}",
        ticks[0],
        ticks[1],
        curve=located if joined else (),
        dots=[Dot(*point, title) for point, title in zip(located, titles, strict=True)],
        guide=[at(point) for point in guides],
    )


def histogram(counts: Sequence[int], edges: Sequence[float], what: str, across: str, mark: float | None) -> Chart:
    """A bar for each of the `counts`, of `what` is from one of the `edges` to the next; a dashed line at `mark`."""
    low, high, highest = edges[0], edges[-1], max(counts)
    width = _SIDE / len(counts)
    bars = [
        Bar(_LEFT + k * width + 1, _y(n / highest), width - 2, _SIDE * n / highest, f"{n} {what} {a:.3f} to {b:.3f}")
        for k, (n, a, b) in enumerate(zip(counts, edges, edges[1:], strict=False))
        if n
    ]
    alt = f"{across}: " + "; ".join(bar.title for bar in bars)
    ticks = [[f"{low + fraction * (high - low):.2f}" for fraction in _TICKS], [f"{f * highest:.0f}" for f in _TICKS]]
    guide = [] if mark is None else [(_x((mark - low) / (high - low)), _y(f)) for f in (0.0, 1.0)]
    return _chart(across, what, alt, *ticks, bars=bars, guide=guide)


def _x(fraction: float) -> float:
    return _LEFT + _SIDE * fraction


def _y(fraction: float) -> float:
    return _TOP + _SIDE * (1 - fraction)


def _span(values: Sequence[float]) -> Point:
    """From the least to the greatest, with a little room."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return low - room, high + room


def _percent_ticks(span: Point) -> list[str]:
    low, high = span
    return [f"{100 * (low + fraction * (high - low)):.0f} %" for fraction in _TICKS]


def _chart(
    across: str,
    up: str,
    alt: str,
    xs: Sequence[str],
    ys: Sequence[str],
    *,
    bars: Sequence[Bar] = (),
    curve: Sequence[Point] = (),
    dots: Sequence[Dot] = (),
    guide: Sequence[Point] = (),
) -> Chart:
    """A chart whose axes are labelled at their ends and middles."""
    ticks = [(_x(at), x, _y(at), y) for at, x, y in zip(_TICKS, xs, ys, strict=True)]
    return Chart(across, up, alt, ticks, bars, curve, dots, guide)
