"""Outputs become answers: the probability of each class becomes a name and the list of all, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mobilenets.system.terminal import columns as columns_of
from mobilenets.system.terminal import padded
from mobilenets.tasks.known import KNOWN_FIELDS, UNKNOWN, known_cells, known_entries, unknown_line
from mobilenets.tasks.mark import Placeless
from mobilenets.tasks.task import Outputs


@dataclass(frozen=True)
class ClassProbability:
    """A class and its probability, 0 to 1, in JSON."""

    label: str
    probability: float


FIELDS = {"label": str, "probability": float, "top": list[ClassProbability], **KNOWN_FIELDS}


@dataclass(frozen=True)
class Prediction(Placeless):
    """What one photo shows.

    Attributes
    ----------
    path
        The file; None for one in memory.
    label
        The most probable class; None for a photo that is unlike all that were trained on.
    probability
        Of that class, 0 to 1.
    top
        Every class with its probability, the best first.
    known
        Of a model with an index of its training photos: the fraction of known photos that are as unlike those or more,
        0 to 1.
    nearest
        The training photos that it is most like, the nearest first.

    Examples
    --------
    >>> import mobilenets as mn
    >>> answer = mn.load("runs/photos").predict("rose.jpg")
    >>> answer.top[0][1] == answer.probability
    True
    """

    path: str | None
    label: str | None
    probability: float
    top: tuple[tuple[str, float], ...]
    known: float | None = None
    nearest: tuple[str, ...] = ()

    @property
    def title(self) -> tuple[str, str]:
        """The class and its probability; of the unknown, how known it is."""
        return (UNKNOWN, f"{self.known:.3f}") if self.label is None else (self.label, f"{self.probability:.3f}")

    def cut(self, top: int | None) -> Prediction:
        """With the `top` best classes alone."""
        return replace(self, top=self.top[:top])

    def to_dict(self) -> dict[str, Any]:
        """`label`, `probability`, and `top`, a list of the same; with an index `known` and `nearest`.

        Examples
        --------
        >>> Prediction(None, "rose", 0.75, (("rose", 0.75), ("daisy", 0.25))).cut(1).to_dict()
        {'label': 'rose', 'probability': 0.75, 'top': [{'label': 'rose', 'probability': 0.75}]}
        """
        top = [{"label": label, "probability": probability} for label, probability in self.top]
        known = known_entries(self.known, self.nearest)
        return {"label": self.label, "probability": self.probability, "top": top, **known}

    def lines(self, classes: Sequence[str]) -> list[str]:
        """What a person reads, of `classes`: each with its probability, best first; before them that it is unknown."""
        width = max(map(columns_of, classes))
        lines = [f"class: {padded(label, width)}   prob: {probability:.3f}" for label, probability in self.top]
        if self.label is None:
            lines.insert(0, unknown_line(self.known, self.nearest))
        return lines

    def cells(self, top: int) -> dict[str, str]:
        """The cells of a CSV, by the names of `columns`, and with an index of `KNOWN_COLUMNS`."""
        values = [value for label, p in self.top[:top] for value in (label, f"{p:.6f}")]
        cells = dict(zip(columns(top), values, strict=False))  # there may be fewer classes than `top`
        cells |= known_cells(self.known, self.nearest)
        return cells if self.label is not None else {**cells, "label": UNKNOWN}


def prediction(path: str | None, row: Outputs, classes: Sequence[str]) -> Prediction:
    """Probabilities (K,) of one photograph, by name; of equal ones the first class leads.

    Examples
    --------
    >>> prediction("rose.jpg", np.array([0.25, 0.75]), ("daisy", "rose")).label
    'rose'
    """
    top = tuple((classes[k], float(row[k])) for k in np.argsort(-row, kind="stable"))
    return Prediction(path, *top[0], top)


def columns(top: int) -> list[str]:
    """The columns of a CSV with the `top` best classes.

    Examples
    --------
    >>> columns(2)
    ['label', 'probability', 'label2', 'probability2']
    """
    numbers = ["", *map(str, range(2, top + 1))]
    return [f"{name}{number}" for number in numbers for name in ("label", "probability")]
