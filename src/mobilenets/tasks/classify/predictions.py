"""predictions.csv of a run: each validation photograph with its truth, its answer and all probabilities."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def path_text(path: Path) -> str:
    """A path as the file has it: a file name need not be UTF-8."""
    return str(path).encode(errors="backslashreplace").decode()


@dataclass(frozen=True)
class ImageAnswer:
    """One photograph, its row, its class, the class predicted, and the probability given to that."""

    row: int
    path: str
    truth: int
    predicted: int
    probability: float


@dataclass(frozen=True)
class Predictions:
    """`paths` (N), `labels` int (N,), `probabilities` float32 (N, K)."""

    paths: tuple[str, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @classmethod
    def parse(cls, text: str) -> Predictions:
        """Read the file's content."""
        header, *rows = csv.reader(io.StringIO(text, newline=""))
        number = {name: k for k, name in enumerate(header[3:])}  # by place: a class may be called "label"
        probabilities = np.array([row[3:] for row in rows], np.float32).reshape(len(rows), len(number))
        labels = np.array([number[row[1]] for row in rows], np.int64)
        return cls(tuple(row[0] for row in rows), labels, probabilities)

    @cached_property
    def answers(self) -> list[ImageAnswer]:
        """All of them, the most confident first."""
        predicted, confidence = self.probabilities.argmax(1), self.probabilities.max(1)
        return [
            ImageAnswer(int(i), self.paths[i], int(self.labels[i]), int(predicted[i]), float(confidence[i]))
            for i in np.argsort(-confidence, kind="stable")
        ]

    def mistakes(self) -> list[ImageAnswer]:
        """Wrong answers, the most confident first."""
        return [answer for answer in self.answers if answer.truth != answer.predicted]

    def doubtful_hits(self) -> list[ImageAnswer]:
        """Right answers, the least confident first."""
        return [answer for answer in reversed(self.answers) if answer.truth == answer.predicted]

    def cell(self, truth: int, predicted: int) -> list[ImageAnswer]:
        """The photographs of one cell of the confusion matrix, the most confident first."""
        return [answer for answer in self.answers if (answer.truth, answer.predicted) == (truth, predicted)]
