"""Outputs become answers: the labels that a photograph has, and how probable each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.system.terminal import columns as columns_of
from mobilenets.system.terminal import padded
from mobilenets.tasks.classify.answers import ClassProbability
from mobilenets.tasks.classify.answers import columns as class_columns
from mobilenets.tasks.known import KNOWN_FIELDS, UNKNOWN, known_cells, known_entries, unknown_line
from mobilenets.tasks.mark import Placeless
from mobilenets.tasks.multilabel.targets import SEPARATOR
from mobilenets.tasks.task import Outputs

FIELDS = {"labels": list[str], "top": list[ClassProbability], **KNOWN_FIELDS}


@dataclass(frozen=True)
class LabelSet(Placeless):
    """What one photo shows, where it may have several labels or none.

    Attributes
    ----------
    path
        The file; None for one in memory.
    labels
        Those that reach their thresholds, the most probable first; None for a photo that is unlike all that were
        trained on.
    top
        Every label with its probability, 0 to 1, the best first.
    known, nearest
        As those of a `Prediction`.

    Examples
    --------
    >>> LabelSet("a.jpg", ("cat",), (("cat", 0.75), ("dog", 0.25))).title
    ('cat', '')
    """

    path: str | None
    labels: tuple[str, ...] | None
    top: tuple[tuple[str, float], ...]
    known: float | None = None
    nearest: tuple[str, ...] = ()

    @property
    def title(self) -> tuple[str, str]:
        """The labels; of the unknown, how known it is."""
        if self.labels is None:
            return UNKNOWN, f"{self.known:.3f}"
        return ", ".join(self.labels) or "no label", ""

    def cut(self, top: int | None) -> LabelSet:
        """With the `top` most probable labels alone in the list of all."""
        return replace(self, top=self.top[:top])

    def to_dict(self) -> dict[str, Any]:
        """`labels`, a list of names, and `top`, a list of names and probabilities; with an index `known`, `nearest`.

        Examples
        --------
        >>> LabelSet(None, ("cat",), (("cat", 0.75), ("dog", 0.25))).cut(1).to_dict()
        {'labels': ['cat'], 'top': [{'label': 'cat', 'probability': 0.75}]}
        """
        top = [{"label": label, "probability": probability} for label, probability in self.top]
        known = known_entries(self.known, self.nearest)
        return {"labels": None if self.labels is None else list(self.labels), "top": top, **known}

    def lines(self, classes: Sequence[str]) -> list[str]:
        """What a person reads, of `classes`: the labels in one line, then the probability of each."""
        width = max(map(columns_of, classes))
        rows = [f"label: {padded(label, width)}   prob: {probability:.3f}" for label, probability in self.top]
        if self.labels is None:
            return [unknown_line(self.known, self.nearest), *rows]
        return [f"labels: {', '.join(self.labels) or 'none'}", *rows]

    def cells(self, top: int) -> dict[str, str]:
        """The cells of a CSV, by the names of `columns`, and with an index of `KNOWN_COLUMNS`."""
        values = [value for label, p in self.top[:top] for value in (label, f"{p:.6f}")]
        labels = UNKNOWN if self.labels is None else SEPARATOR.join(self.labels)
        cells = dict(zip(class_columns(top), values, strict=False))
        return {"labels": labels, **cells, **known_cells(self.known, self.nearest)}


def label_set(path: str | None, row: Outputs, classes: Sequence[str], thresholds: NDArray[np.floating]) -> LabelSet:
    """Probabilities (K,) of one photograph, by name; its labels are those that reach their thresholds (K,).

    Examples
    --------
    >>> label_set("a.jpg", np.array([0.4, 0.7]), ("cat", "dog"), np.array([0.3, 0.5])).labels
    ('dog', 'cat')
    """
    order = np.argsort(-row, kind="stable")
    top = tuple((classes[k], float(row[k])) for k in order)
    return LabelSet(path, tuple(classes[k] for k in order if row[k] >= thresholds[k]), top)


def columns(top: int) -> list[str]:
    """The columns of a CSV: the labels, then the `top` most probable ones with their probabilities.

    Examples
    --------
    >>> columns(1)
    ['labels', 'label', 'probability']
    """
    return ["labels", *class_columns(top)]
