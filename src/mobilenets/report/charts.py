"""Reliability diagram and coverage curve as SVG: they take the page's colours, in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mobilenets.tasks.classify.calibration import Bin, Coverage

_SIDE, _LEFT, _BOTTOM, _TOP = 240, 44, 40, 24
_MOST_POINTS = 200
_TICKS = (0.0, 0.5, 1.0)  # shares of an axis that have a label

Point = tuple[float, float]


def reliability_chart(bins: Sequence[Bin | None]) -> str:
    """Accuracy of each bin as a bar, at its confidence; on the dashed diagonal both are equal."""
    width = _SIDE / len(bins)
    bars = [
        f'<rect class="bar" x="{_LEFT + k * width + 1:.1f}" y="{_y(b.accuracy):.1f}" width="{width - 2:.1f}" '
        f'height="{_SIDE * b.accuracy:.1f}"><title>{b.n} photographs, {100 * b.confidence:.0f} % sure, '
        f"{100 * b.accuracy:.0f} % right</title></rect>"
        for k, b in enumerate(bins)
        if b
    ]
    diagonal = f'<line class="guide" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>'
    said = "; ".join(f"{100 * b.confidence:.0f} % sure, {100 * b.accuracy:.0f} % right" for b in bins if b)
    return _chart([*bars, diagonal], "confidence", "right", (0.0, 1.0), f"Reliability diagram: {said}")


def coverage_chart(curve: Coverage) -> str:
    """Accuracy among the photographs answered, against their share."""
    step = max(1, len(curve.coverage) // _MOST_POINTS)
    chosen = sorted({*range(0, len(curve.coverage), step), len(curve.coverage) - 1})
    low = min(0.9, int(10 * float(curve.accuracy.min())) / 10)  # the axis begins at a full tenth
    points = " ".join(
        f"{_x(float(curve.coverage[i])):.1f},{_y((float(curve.accuracy[i]) - low) / (1 - low)):.1f}" for i in chosen
    )
    said = (
        f"Accuracy against coverage: {100 * curve.accuracy[-1]:.1f} % right when all are answered, "
        f"{100 * _at(curve, 0.5):.1f} % when the surer half is"
    )
    return _chart([f'<polyline class="curve" points="{points}"/>'], "answered", "right", (low, 1.0), said)


def _at(curve: Coverage, share: float) -> float:
    return float(curve.accuracy[int((curve.coverage < share).sum())])


def _x(share: float) -> float:
    return _LEFT + _SIDE * share


def _y(share: float) -> float:
    return _TOP + _SIDE * (1 - share)


def line_chart(
    points: Sequence[Point],
    titles: Sequence[str],
    across: str,
    up: str,
    guides: Sequence[Point] = (),
    joined: bool = True,
) -> str:
    """Points (x, y), each with a title, joined in their order or not, and a dashed line through `guides`.

    Both axes span what is shown; their labels are plain numbers.
    """
    spans = [_span([p[i] for p in (*points, *guides)]) for i in (0, 1)]

    def at(point: Point) -> str:
        x, y = ((value - low) / (high - low) for value, (low, high) in zip(point, spans, strict=True))
        return f"{_x(x):.1f},{_y(y):.1f}"

    marks = [f'<polyline class="curve" points="{" ".join(map(at, points))}"/>'] if joined else []
    for point, title in zip(points, titles, strict=True):
        x, y = at(point).split(",")
        marks.append(f'<circle class="bar" cx="{x}" cy="{y}" r="4"><title>{escape(title)}</title></circle>')
    if guides:
        marks.append(f'<polyline class="guide" points="{" ".join(map(at, guides))}"/>')
    ticks = [[f"{low + share * (high - low):.3g}" for share in _TICKS] for low, high in spans]
    return _axes(marks, across, up, ticks[0], ticks[1], f"{up} against {across}: {'; '.join(titles)}")


def _span(values: Sequence[float]) -> Point:
    """From the least to the greatest, with a little room."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return low - room, high + room


def _chart(marks: Sequence[str], across: str, up: str, span: tuple[float, float], alt: str) -> str:
    """Marks within two axes from 0 to 100 % (across) and over `span` (up), with its words for a screen reader."""
    low, high = span
    xs = [f"{100 * share:.0f} %" for share in _TICKS]
    ys = [f"{100 * (low + share * (high - low)):.0f} %" for share in _TICKS]
    return _axes(marks, across, up, xs, ys, alt)


def _axes(marks: Sequence[str], across: str, up: str, xs: Sequence[str], ys: Sequence[str], alt: str) -> str:
    """Marks within two axes, labelled at their ends and middles."""
    axes = [f'<path class="axis" d="M{_x(0)} {_y(1)}V{_y(0)}H{_x(1)}"/>']
    for share, x, y in zip(_TICKS, xs, ys, strict=True):
        axes.append(f'<text x="{_x(share)}" y="{_y(0) + 16}" text-anchor="middle">{x}</text>')
        axes.append(f'<text x="{_LEFT - 6}" y="{_y(share) + 4}" text-anchor="end">{y}</text>')
    axes.append(f'<text x="{_x(0.5)}" y="{_y(0) + 34}" text-anchor="middle">{across}</text>')
    axes.append(f'<text x="{_LEFT}" y="{_y(1) - 10}">{up}</text>')
    size = f"{_LEFT + _SIDE + 20} {_TOP + _SIDE + _BOTTOM}"
    inside = "".join([*marks, *axes])
    return f'<svg class="chart" viewBox="0 0 {size}" role="img" aria-label="{escape(alt)}">{inside}</svg>'
