"""Learning curves and confusion matrix as PNG bytes."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mobilenets.report.figure import BLUE, GREEN, VERMILION, open_axes, plain_style, png
from mobilenets.system.fonts import find_font
from mobilenets.tasks.classify.metrics import FloatArray, IntArray
from mobilenets.weights.kept import Kept, best_epoch, quality_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST = 28  # characters of a class name on a picture
_POINTS = 72  # to the inch
_DIGIT = 0.64  # width of a digit in the default font, per point of its size
# Line styles differ too, for grey prints.
_TRAINING = {"color": VERMILION, "linestyle": "--", "label": "training, during the epoch"}
_VALIDATION = {"color": BLUE, "linestyle": "-", "label": "validation, after the epoch"}
_PROBE = {"color": GREEN, "linestyle": "-."}


@dataclass(frozen=True)
class Label:
    """A class as it is written on a picture: its name, or its number where no font has the characters."""

    text: str
    font: str | None = None  # a file; None for matplotlib's own
    is_number: bool = False


@dataclass(frozen=True)
class _CellStyle:
    """How large a confusion matrix is drawn: side of a cell in inches, font sizes in points."""

    cell: float
    label_size: float
    number_size: float  # 0: no numbers
    fractions: bool  # written in the cell, below the count; else colour alone tells them


def labels_of(names: Sequence[str]) -> list[Label]:
    """Each name shortened to what fits a picture, with a font that can write it."""
    import matplotlib

    own = str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    texts = [_shorten(name) for name in names]
    foreign = [text for text in texts if not _can_draw(own, text)]
    # One search for all names first: most collections use one script, and a search opens every font there is.
    shared = find_font("".join(foreign)) if foreign else None
    return [_label(k, text, shared) if text in foreign else Label(text) for k, text in enumerate(texts)]


def _label(number: int, text: str, shared: str | None) -> Label:
    font = shared or find_font(text)
    if font is None or not _can_draw(font, text):
        return Label(f"class {number}", is_number=True)
    return Label(text, font)


def _shorten(name: str) -> str:
    """Without line breaks, and cut in the middle: names of one collection often share their beginning."""
    name = " ".join(name.split())
    half = _LONGEST // 2
    return name if len(name) <= _LONGEST else f"{name[:half]}…{name[1 - half :]}"


def _can_draw(font: str, text: str) -> bool:
    """Whether matplotlib itself finds every glyph: it cannot use coloured emoji that Pillow may report."""
    import matplotlib
    from matplotlib.ft2font import FT2Font

    right_to_left = any(unicodedata.bidirectional(c) in ("R", "AL") for c in text)
    if right_to_left and matplotlib.__version_info__ < (3, 11):
        return False  # it wrote such scripts in reverse, and their letters unjoined
    try:
        face = FT2Font(font)
        face.set_size(10, _POINTS)
        return all(face.get_char_index(ord(c)) for c in text)
    except (OSError, RuntimeError, ValueError):
        return False


def draw_curves(history: dict[str, list[float]], kept: Kept) -> bytes:
    """Loss and accuracy (or what the task has) over the epochs, and what is kept; the columns are history.csv's.

    The linear probe, which no epoch has, is a line across.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    with plain_style():
        figure = Figure(figsize=(10, 3.8), layout="constrained")
        epochs = history["epoch"]
        marked = kept.epoch or epochs[best_epoch(history)]
        caption = f"best epoch ({marked:g}){', not kept' if kept.is_probe else ''}"
        if kept.epoch:
            caption = f"kept: epoch {marked:g}"
        for axes, name in zip(figure.subplots(1, 2), ("loss", quality_of(history)), strict=True):
            marker = "o" if len(epochs) <= 30 else ""
            axes.axvline(marked, color="0.6", linestyle=":", label=caption)
            if kept.probe is not None and f"val_{name}" in kept.probe:
                label = f"{'kept: ' if kept.is_probe else ''}the {kept.beginning}"
                axes.axhline(kept.probe[f"val_{name}"], label=label, **_PROBE)
            if f"train_{name}" in history:  # a mean over epochs is not known of every figure
                axes.plot(epochs, history[f"train_{name}"], marker=marker, markersize=3.5, **_TRAINING)
            axes.plot(epochs, history[f"val_{name}"], marker=marker, markersize=3.5, **_VALIDATION)
            axes.set(xlabel="epoch", title=name)
            margin = max(0.5, 0.03 * len(epochs))  # a single epoch has no extent of its own
            axes.set_xlim(epochs[0] - margin, epochs[-1] + margin)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            open_axes(axes)
            if name == "accuracy":
                axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        # Below the panels, where no line can run through it.
        handles, names = figure.axes[0].get_legend_handles_labels()
        legend = figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
        if legend.get_window_extent().width > figure.bbox.width:  # it would be cut off on both sides
            legend.remove()
            figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
        return png(figure)


def draw_confusion(confusion: IntArray, labels: Sequence[Label], title: str = "") -> bytes:
    """Counts (truth in rows) over the fractions of each row as colour; fractions as numbers up to 12 classes."""
    from matplotlib.figure import Figure

    truths = confusion.sum(1, keepdims=True)
    fractions = np.divide(confusion, truths, out=np.zeros(confusion.shape), where=truths > 0)
    style = _cell_style(len(labels), len(str(confusion.max())))
    with plain_style():
        side = style.cell * len(labels)
        # The axes fill the figure, so that a cell has its size whatever the names need: saving adds their room.
        figure = Figure(figsize=(side, side))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        if style.number_size:
            _write_numbers(axes, confusion, fractions, style)
        _write_names(axes, labels, style)
        axes.set_xlabel("predicted", fontsize=11, labelpad=8)
        axes.set_ylabel("truth", fontsize=11, labelpad=8)
        if title:
            axes.set_title(title, fontsize=10, loc="left")
        if not style.fractions:
            height = min(1.0, 3 / side)
            bar = figure.add_axes((1 + 0.2 / side, 1 - height, 0.16 / side, height))
            figure.colorbar(image, cax=bar, label="fraction of the true class", format=_percent)
        return png(figure, tight=True)


def _percent(fraction: float, _: object = None) -> str:
    return f"{100 * fraction:.0f} %"


def _cell_style(classes: int, digits: int) -> _CellStyle:
    if classes <= 12:
        cell, label, number = (1.05 if classes <= 4 else 0.75), 10.0, 10.0
    elif classes <= 40:
        cell, label, number = 0.34, 8.0, 7.5
    elif classes <= 100:
        cell, label, number = 0.2, 6.5, 6.0
    else:
        return _CellStyle(20 / classes, 6.5, 0.0, fractions=False)
    fitting = 0.88 * cell * _POINTS / (_DIGIT * digits)
    return _CellStyle(cell, label, min(number, fitting), fractions=classes <= 12)


def _write_numbers(axes: Axes, confusion: IntArray, fractions: FloatArray, style: _CellStyle) -> None:
    """The count of each cell; empty ones stay empty where there are many."""
    for row, column in np.ndindex(*confusion.shape):
        count, fraction = int(confusion[row, column]), float(fractions[row, column])
        if not count and not style.fractions:
            continue
        text = f"{count}\n{_percent(fraction)}" if style.fractions and count else str(count)
        color = "white" if fraction > 0.7 else "black" if count else "0.6"
        cell = axes.text(column, row, text, color=color, size=style.number_size, ha="center", va="center")
        cell.set_in_layout(False)  # thousands of them, all inside: measuring each would take seconds


def _write_names(axes: Axes, labels: Sequence[Label], style: _CellStyle) -> None:
    """Class names along both sides, every n-th beyond 100, and thin lines between the cells."""
    from matplotlib.font_manager import FontProperties

    shown = range(0, len(labels), math.ceil(len(labels) / 100))
    texts = [labels[k].text for k in shown]
    upright = max(map(_width, texts)) * style.label_size > 0.95 * style.cell * _POINTS
    axes.set_xticks(shown, texts, rotation=90 if upright else 0)
    axes.set_yticks(shown, texts)
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        for k, tick in zip(shown, ticks, strict=True):
            tick.set_parse_math(False)  # a name may contain dollar signs
            tick.set_fontproperties(FontProperties(fname=labels[k].font, size=style.label_size))
    axes.tick_params(length=2, color="0.6")
    axes.spines[:].set_color("0.6")
    if style.number_size:
        between = np.arange(len(labels) - 1) + 0.5
        axes.set_xticks(between, minor=True)
        axes.set_yticks(between, minor=True)
        axes.grid(which="minor", color="0.85", linewidth=0.5)
        axes.tick_params(which="minor", length=0)


def _width(text: str) -> float:
    """At most how wide a name is drawn, per point of its font."""
    wide = sum(c.isupper() or unicodedata.east_asian_width(c) in "WF" for c in text)
    return wide + 0.7 * (len(text) - wide)
