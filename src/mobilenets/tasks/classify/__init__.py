"""One class per photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.tasks.classify import answers, metrics, targets
from mobilenets.tasks.classify.answers import Prediction
from mobilenets.tasks.task import UNKNOWN, Labels, Loss, Outputs, Task

if TYPE_CHECKING:
    from torch import Tensor


class Classify(Task[Prediction]):
    """Which of the classes a photograph shows."""

    name = "classify"
    label = "label"
    outputs = ("probabilities",)
    fields = answers.FIELDS
    labels_are_classes = True
    probe = "softmax"
    quality = train_quality = "accuracy"
    headline = ("accuracy", "accuracy_ci95", "balanced_accuracy", "macro_f1", "log_loss", "ece", "n")
    is_audited = tells_unknown = True

    def check(self, data: Path, labels: Sequence[str], images: int) -> None:
        """Two classes at least, with names that are text."""
        targets.check(data, labels, images)

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The labels themselves."""
        return tuple(labels)

    def targets(self, labels: Sequence[str]) -> NDArray[np.float32]:
        """1 for the class, 0 for all others: float32 (K, K)."""
        return targets.one_hot(len(labels))

    def strata(self, labels: Sequence[str], counts: Labels) -> Labels:
        """Each class is one."""
        return np.arange(len(labels))

    def num_strata(self, classes: Sequence[str]) -> int:
        """One for each class."""
        return len(classes)

    def numbered(self, labels: Sequence[str], classes: Sequence[str]) -> tuple[list[int], Sequence[str]]:
        """By the model's classes."""
        return [classes.index(name) if name in classes else UNKNOWN for name in labels], classes

    def width(self, classes: Sequence[str]) -> int:
        """One for each class."""
        return len(classes)

    def answer(self, path: str | None, row: Outputs, classes: Sequence[str]) -> Prediction:
        """The most probable class, and all of them."""
        return answers.prediction(path, row, classes)

    def with_known(self, answer: Prediction, known: float, nearest: tuple[str, ...], is_accepted: bool) -> Prediction:
        """Below what is accepted there is no label."""
        label = answer.label if is_accepted else None
        return replace(answer, label=label, known=known, nearest=nearest)

    def columns(self, top: int) -> list[str]:
        """label, probability; label2, probability2 … for further ones."""
        return answers.columns(top)

    def recorded(self, classes: Sequence[str]) -> list[str]:
        """The class predicted, and the probability of each."""
        return ["predicted", *classes]

    def record(self, row: Outputs, classes: Sequence[str]) -> list[str]:
        """By the columns of `recorded`."""
        return [classes[int(row.argmax())], *(f"{p:.6f}" for p in row)]

    def score(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> dict[str, Any]:
        """Accuracy, calibration, confusion and the figures of each class."""
        return metrics.score(outputs, labels, texts)

    def validate(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> tuple[float, float]:
        """Log loss and accuracy."""
        return metrics.log_loss(outputs, labels), metrics.accuracy(outputs, labels)

    def compare(self, expected: Outputs, found: Outputs) -> tuple[float, float]:
        """The fraction of the same most probable class, and the largest difference of a probability."""
        return metrics.compare(expected, found)

    def head(self, *outputs: Tensor) -> tuple[Tensor, ...]:
        """Softmax."""
        from mobilenets.tasks.classify.head import softmax

        return (softmax(*outputs),)

    def loss(self, labels: Labels, targets: Tensor, balanced: bool, smoothing: float) -> Loss:
        """Cross-entropy."""
        from mobilenets.tasks.classify.loss import CrossEntropy

        return CrossEntropy(labels, targets, balanced, smoothing)
