"""The report's confusion matrix: as a table one can click into, or a picture; and what was confused most often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mobilenets.preprocess.depth import Range
from mobilenets.report.gallery import CellPhotos, Opener, photos_behind
from mobilenets.report.page import PageImage, data_uri
from mobilenets.report.plots import Label
from mobilenets.tasks.classify.predictions import Predictions

_MAX_CONFUSIONS = 15
_MAX_IN_TABLE = 12  # classes: a larger matrix is a picture


@dataclass(frozen=True)
class Cell:
    """A number of the matrix: how many photos of class `truth` were answered `predicted`; fraction of the class.

    `is_link`: whether it leads to its photos.
    """

    truth: int
    predicted: int
    count: int
    fraction: float
    is_link: bool


@dataclass(frozen=True)
class ConfusionSection:
    """The matrix by rows, None of too many classes for a table; drawn; and the most frequent confusions.

    `legend`: (label on the picture, class name) where these differ. `cells`: the photos that numbers lead to.
    """

    matrix: list[list[Cell]] | None
    image: PageImage | None
    legend: list[tuple[str, str]]
    confusions: list[Cell]
    cells: list[CellPhotos]


def confusion_section(
    metrics: dict[str, Any],
    classes: Sequence[str],
    labels: Sequence[Label],
    drawn: bytes | None,
    predictions: Predictions,
    opener: Opener,
    value_range: Range | None = None,
) -> ConfusionSection:
    """Matrix and most frequent confusions, whose numbers lead to photos.

    `drawn`: the matrix as a PNG, where there is one, and `labels` on it.
    """
    counts = np.array(metrics["confusion"], np.int64)
    fractions = counts / np.maximum(1, counts.sum(1, keepdims=True))
    pairs = _pairs(counts)
    small = len(classes) <= _MAX_IN_TABLE
    hits = [(k, k) for k in range(len(classes)) if counts[k, k]] if small else []
    wanted = [*(pairs if small else pairs[:_MAX_CONFUSIONS]), *hits]
    behind = photos_behind(predictions, wanted, opener, value_range)
    linked = {(cell.truth, cell.predicted) for cell in behind}

    def cell(t: int, p: int) -> Cell:
        return Cell(t, p, int(counts[t, p]), float(fractions[t, p]), (t, p) in linked)

    k = range(len(classes))
    legend = (
        [(label.text, name) for name, label in zip(classes, labels, strict=True) if label.is_number] if drawn else []
    )
    return ConfusionSection(
        [[cell(t, p) for p in k] for t in k] if small else None,
        PageImage(_in_words(pairs, counts, classes), data_uri(drawn, "png")) if drawn else None,
        legend,
        [cell(t, p) for t, p in pairs[:_MAX_CONFUSIONS]],
        behind,
    )


def _pairs(counts: np.ndarray) -> list[tuple[int, int]]:
    """(truth, answer) of everything that was confused, the most frequent first."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")
    found = [divmod(int(i), len(counts)) for i in order[: np.count_nonzero(wrong)]]
    return found


def _in_words(pairs: Sequence[tuple[int, int]], counts: np.ndarray, classes: Sequence[str]) -> str:
    caption = "; ".join(f"{counts[t, p]} × {classes[t]} taken for {classes[p]}" for t, p in pairs[:3])
    return f"confusion matrix: {caption or 'every photo was recognised'}"
