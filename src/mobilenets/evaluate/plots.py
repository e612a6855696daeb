"""Training curves and confusion matrices as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mobilenets.fonts import find_font

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

TRAIN, VALIDATION = "#0072B2", "#D55E00"  # of Okabe and Ito's palette: distinct for every colour vision
MOST_NUMBERED = 30  # classes whose cells can hold a number
DPI = 120


def curves_png(history: Sequence[dict[str, float]]) -> bytes:
    """Loss and accuracy per epoch, training and validation side by side."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, what in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        epochs = [row["epoch"] for row in history]
        marker = "o" if len(history) < 30 else None
        for part, colour in (("train", TRAIN), ("val", VALIDATION)):
            name = "training" if part == "train" else "validation"
            axes.plot(epochs, [row[f"{part}_{what}"] for row in history], color=colour, marker=marker, ms=3, label=name)
        axes.set_xlabel("epoch")
        axes.set_title(what)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return _png(figure)


def confusion_png(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> bytes:
    """The confusion matrix: truth in rows, colour the share of the row, number the count."""
    from matplotlib.figure import Figure

    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    k = len(names)
    side = min(16.0, max(4.6, 2.6 + 0.42 * k))
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of the true class")
    size = 9.0 if k <= MOST_NUMBERED else max(3.5, 9 * MOST_NUMBERED / k)
    _name_axes(axes, names, size)
    if k <= MOST_NUMBERED:
        for row, column in np.argwhere(counts > 0):
            colour = "white" if shares[row, column] > 0.55 else "black"
            text = f"{counts[row, column]}\n{shares[row, column]:.0%}" if k <= 12 else str(counts[row, column])
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8 if k <= 12 else 6)
    return _png(figure)


def writable(names: Sequence[str]) -> list[str]:
    """The names, those that no font of this system can write as "class K"."""
    return [name if name.isascii() or find_font(name) else f"class {k}" for k, name in enumerate(names)]


def _name_axes(axes: Axes, names: Sequence[str], size: float) -> None:
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=90 if len(names) > 3 else 0)
    axes.set_yticks(ticks, names)
    for label, name in zip([*axes.get_xticklabels(), *axes.get_yticklabels()], [*names, *names], strict=True):
        label.set_fontproperties(_font(name))
        label.set_fontsize(size)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")


def _font(name: str) -> FontProperties:
    """matplotlib's own font where it suffices, else one of the system's."""
    from matplotlib.font_manager import FontProperties

    file = None if name.isascii() else find_font(name)
    return FontProperties(fname=file) if file else FontProperties()


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    options: dict[str, Any] = {"metadata": {"Software": None}}  # the same run draws the same bytes
    figure.savefig(content, format="png", dpi=DPI, **options)
    return content.getvalue()
