"""Outputs become answers: how unlike the good ones a photo is, whether that is a defect, and where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.tasks.anomaly.targets import DEFECT
from mobilenets.tasks.mark import Placeless
from mobilenets.tasks.task import Outputs

FIELDS = {"label": str, "score": float, "threshold": float, "map": list[list[float]]}
COLUMNS = ["label", "score"]  # of a CSV
_DIGITS = 4  # of the map, in JSON
MIN_RANGE = 0.1  # of a score above the threshold that is drawn as strongly as can be


@dataclass(frozen=True, eq=False)
class Inspection(Placeless):
    """How unlike the good ones one photo is.

    Attributes
    ----------
    path
        The file; None for one in memory.
    label
        What the good ones are called, or "defect".
    score
        How unlike them it is, 0 to 1; 0.5 is about where defects begin.
    threshold
        From which score on it is a defect.
    map
        The same of each place, float32 (h, w), over what the network sees.

    Examples
    --------
    >>> row = np.array([0.7, 0.1, 0.2, 0.9, 0.3], np.float32)
    >>> answer = inspection("a.jpg", row, "good", 0.5)
    >>> answer.label, answer.map.shape, answer.strangest
    ('defect', (2, 2), (0.25, 0.75))
    """

    path: str | None
    label: str
    score: float
    threshold: float
    map: NDArray[np.float32]

    @property
    def title(self) -> tuple[str, str]:
        """The label, and the score beside the threshold."""
        return self.label, f"{self.score:.3f} {'≥' if self.is_defect else '<'} {self.threshold:.3f}"

    @property
    def is_defect(self) -> bool:
        """Whether the score reaches the threshold."""
        return self.label == DEFECT

    @property
    def strangest(self) -> tuple[float, float]:
        """The middle of the strangest place, from the left and from the top, 0 to 1 of what the network sees."""
        row, column = np.unravel_index(int(self.map.argmax()), self.map.shape)
        height, width = self.map.shape
        return (float(column) + 0.5) / width, (float(row) + 0.5) / height

    @property
    def heat(self) -> NDArray[np.float32]:
        """The map above the threshold: 0 up to there, 1 at the strangest place, if that is well above it."""
        strongest = max(float(self.map.max()), self.threshold + MIN_RANGE)
        heat: NDArray[np.float32] = ((self.map - self.threshold) / (strongest - self.threshold)).clip(0, 1)
        return heat.astype(np.float32)

    def cut(self, top: int | None) -> Inspection:
        """Itself: there is one possibility."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """`label`, `score`, `threshold`, and `map`, its rows from the top."""
        rows = [[round(value, _DIGITS) for value in row] for row in self.map.tolist()]
        return {"label": self.label, "score": self.score, "threshold": self.threshold, "map": rows}

    def lines(self, classes: Sequence[str]) -> list[str]:
        """What a person reads: the score, and of a defect where it is."""
        line = f"{self.label}   score: {self.score:.3f} (defects from {self.threshold:.3f})"
        if not self.is_defect:
            return [line]
        left, top = self.strangest
        return [f"{line}   strangest at {left:.0%} from the left, {top:.0%} from the top"]

    def cells(self, top: int) -> dict[str, str]:
        """The cells of a CSV, by the names of `COLUMNS`."""
        return dict(zip(COLUMNS, (self.label, f"{self.score:.6f}"), strict=True))


def inspection(path: str | None, row: Outputs, good: str, threshold: float) -> Inspection:
    """The answer that a row (1 + h * h,) is: score, then the map row by row."""
    side = math.isqrt(len(row) - 1)
    score = float(row[0])
    return Inspection(path, DEFECT if score >= threshold else good, score, threshold, row[1:].reshape(side, side))
