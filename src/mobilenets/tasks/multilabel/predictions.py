"""predictions.csv of a run with several labels a photo: the labels of each, those predicted, and all probabilities."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np

from mobilenets.tasks.multilabel.metrics import log_losses
from mobilenets.tasks.multilabel.targets import members, names_of


@dataclass(frozen=True)
class LabelError:
    """A photo with a label too few or too many: its row and path, and such labels with their probabilities."""

    row: int
    path: str
    missed: tuple[tuple[str, float], ...]
    added: tuple[tuple[str, float], ...]


def label_errors(text: str) -> list[LabelError]:
    """The photos whose labels are not all right, those with the largest loss first; `text`: the file's content."""
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    classes = header[3:]  # by place: a label may be called "path"
    probabilities = np.array([row[3:] for row in rows], np.float64).reshape(len(rows), len(classes))
    losses = log_losses(probabilities, members([row[1] for row in rows], classes)).mean(1)
    found = []
    for i in np.argsort(-losses, kind="stable").tolist():
        probability = dict(zip(classes, probabilities[i].tolist(), strict=True))
        truth, predicted = (set(names_of(rows[i][column])) for column in (1, 2))
        missed, added = (
            tuple((name, probability[name]) for name in sorted(names))
            for names in (truth - predicted, predicted - truth)
        )
        if missed or added:
            found.append(LabelError(i, rows[i][0], missed, added))
    return found
