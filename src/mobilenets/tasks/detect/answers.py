"""Outputs become answers: the objects of a photo, each with its class, its score and its box."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mobilenets.system.terminal import columns as columns_of
from mobilenets.system.terminal import padded
from mobilenets.tasks.mark import Mark, Placeless
from mobilenets.tasks.task import Outputs

Size = tuple[int, int]
_RECORDED = 0.01  # boxes of lower scores are in no figure that is made of predictions.csv


@dataclass(frozen=True)
class FoundObject:
    """An object in JSON: its class, its score, 0 to 1, and its box: left, top, right and bottom edge."""

    label: str
    score: float
    box: list[float]


FIELDS = {"objects": list[FoundObject]}


@dataclass(frozen=True)
class Detection(Placeless):
    """What one photo shows, and where.

    Attributes
    ----------
    path
        The file; None for one in memory.
    objects
        Those that reach the threshold of their class, the highest score first; boxes relative to the upright photo,
        0 to 1.
    size
        Width and height of the upright photo in pixels, which boxes are then told in; None: not known.

    Examples
    --------
    >>> Detection("a.jpg", (FoundObject("dog", 0.75, [0.1, 0.2, 0.5, 0.9]),)).title
    ('dog', '')
    """

    path: str | None
    objects: tuple[FoundObject, ...]
    size: Size | None = None

    @property
    def title(self) -> tuple[str, str]:
        """How many objects there are of each class."""
        counts: dict[str, int] = {}
        for found in self.objects:
            counts[found.label] = counts.get(found.label, 0) + 1
        names = [name if count == 1 else f"{count} {name}" for name, count in counts.items()]
        return ", ".join(names) or "nothing", ""

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Each object, with its score."""
        return tuple(Mark(one.label, f"{one.score:.2f}", _corners(one.box)) for one in self.objects)

    def cut(self, top: int | None) -> Detection:
        """With the `top` objects of the highest scores alone."""
        return replace(self, objects=self.objects[:top])

    def box(self, found: FoundObject) -> list[float]:
        """In pixels, to a tenth, where the photo's size is known."""
        if self.size is None:
            return [round(edge, 4) for edge in found.box]
        return [round(edge * side, 1) for edge, side in zip(found.box, 2 * self.size, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """`objects`: a list of `label`, `score` and `box`, the latter in pixels of the upright photo.

        Examples
        --------
        >>> Detection(None, (FoundObject("dog", 0.75, [0.1, 0.2, 0.5, 1.0]),), (200, 100)).to_dict()
        {'objects': [{'label': 'dog', 'score': 0.75, 'box': [20.0, 20.0, 100.0, 100.0]}]}
        """
        return {
            "objects": [{"label": one.label, "score": one.score, "box": self.box(one)} for one in self.objects],
        }

    def lines(self, classes: Sequence[str]) -> list[str]:
        """What a person reads, of `classes`: each object with its score and the edges of its box."""
        width = max(map(columns_of, classes))
        return [
            f"object: {padded(one.label, width)}   score: {one.score:.3f}   box: {' '.join(map(_edge, self.box(one)))}"
            for one in self.objects
        ] or ["no object"]

    def cells(self, top: int) -> dict[str, str]:
        """The cells of a CSV, by the names of `columns`."""
        first = self.objects[:1]
        cells = {"label": first[0].label, "score": f"{first[0].score:.6f}"} if first else {}
        return {"objects": json.dumps(self.to_dict()["objects"], ensure_ascii=False), **cells}


def detection(path: str | None, row: Outputs, classes: Sequence[str], thresholds: Sequence[float]) -> Detection:
    """The boxes (D, 6) of one photo, x1 y1 x2 y2 score class, of which those are shown that reach `thresholds` (K,).

    Examples
    --------
    >>> import numpy as np
    >>> row = np.array([[0, 0, 0.5, 0.5, 0.75, 0], [0, 0, 0.5, 0.5, 0.25, 1], [0, 0, 0, 0, 0, -1]])
    >>> [one.label for one in detection(None, row, ("cat", "dog"), (0.5, 0.5)).objects]
    ['cat']
    """
    found = [
        FoundObject(classes[int(k)], float(score), [float(edge) for edge in box])
        for *box, score, k in row.tolist()
        if k >= 0 and score >= thresholds[int(k)]
    ]
    return Detection(path, tuple(found))


def columns(top: int) -> list[str]:
    """The columns of a CSV: all objects as JSON, and the one with the highest score."""
    return ["objects", "label", "score"]


def recorded(row: Outputs, classes: Sequence[str]) -> str:
    """The boxes (D, 6) of one photo for predictions.csv: JSON, a list of class, score and four edges, 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> recorded(np.array([[0, 0, 0.5, 1, 0.75, 0], [0, 0, 0, 0, 0, -1]]), ("cat",))
    '[["cat", 0.75, 0.0, 0.0, 0.5, 1.0]]'
    """
    return json.dumps(
        [
            [classes[int(k)], round(score, 6), *(round(edge, 5) for edge in box)]
            for *box, score, k in row.tolist()
            if k >= 0 and score >= _RECORDED
        ],
        ensure_ascii=False,
    )


def _corners(box: Sequence[float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    return x1, y1, x2, y2


def _edge(value: float) -> str:
    return f"{value:g}"
