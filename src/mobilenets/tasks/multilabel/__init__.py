"""Several labels per photograph, or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.model_card import MULTILABEL, ModelCard
from mobilenets.tasks.label_fault import LabelFault
from mobilenets.tasks.multilabel import answers, faults, metrics, targets
from mobilenets.tasks.multilabel.answers import LabelSet
from mobilenets.tasks.names import numbered, rarest
from mobilenets.tasks.task import Labels, Loss, Outputs, Task

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Multilabel(Task[LabelSet]):
    """Which of the labels a photograph has, each by itself.

    Parameters
    ----------
    known
        The labels of a model, in the order of its outputs; empty: those that occur.
    thresholds
        From which probability on each is there; empty: one half.
    """

    known: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()

    name = MULTILABEL
    label = "labels"
    outputs = ("probabilities",)
    fields = answers.FIELDS
    labels_are_classes = False
    probe = "sigmoid"
    is_audited = tells_unknown = True
    label_kinds = faults.KINDS
    kinds_left_out = faults.LEFT_OUT
    reads = ("classify",)
    quality = "mAP"
    train_quality = "exact_match"
    headline = ("mAP", "mAP_ci95", "macro_f1", "micro_f1", "exact_match", "exact_match_ci95", "log_loss", "n")

    def of(self, card: ModelCard) -> Multilabel:
        """With the labels and thresholds of the card."""
        return Multilabel(card.classes, card.thresholds)

    def settled(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> Multilabel:
        """With the thresholds that are best for these photographs."""
        chosen = metrics.choose_thresholds(outputs, self.members(texts)[labels])
        return replace(self, thresholds=tuple(map(float, chosen)))

    def check(self, data: Path, labels: Sequence[str], images: int) -> None:
        """One label at least; of a model, labels that it knows."""
        targets.check(data, labels, images, self.known)

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Those of the model, or those that occur, sorted."""
        return self.known or targets.classes_of(labels)

    def members(self, labels: Sequence[str]) -> NDArray[np.bool_]:
        """Which labels each text is made of."""
        return targets.members(labels, self.classes(labels))

    def targets(self, labels: Sequence[str]) -> NDArray[np.float32]:
        """1 for each of its labels, 0 for all others: float32 (V, K)."""
        return self.members(labels).astype(np.float32)

    def shown(self, text: str) -> str:
        """Its labels, in words."""
        return faults.shown(text)

    def label_faults(self, labels: Sequence[str], counts: Labels, size: int) -> Iterator[LabelFault]:
        """Labels of few photos, and photos without any."""
        return faults.faults(labels, counts)

    def strata(self, labels: Sequence[str], counts: Labels) -> Labels:
        """By their rarest label."""
        return rarest(self.members(labels), counts)

    def numbered(self, labels: Sequence[str], classes: Sequence[str]) -> tuple[list[int], Sequence[str]]:
        """As they are, but for texts with a label that the model does not know."""
        return numbered(map(targets.names_of, labels), classes), labels

    def width(self, classes: Sequence[str]) -> int:
        """One for each label."""
        return len(classes)

    def answer(self, path: str | None, row: Outputs, classes: Sequence[str]) -> LabelSet:
        """The labels that reach their threshold, and the probability of each."""
        return answers.label_set(path, row, classes, self._thresholds(len(row)))

    def with_known(self, answer: LabelSet, known: float, nearest: tuple[str, ...], is_accepted: bool) -> LabelSet:
        """Below what is accepted nothing is said of labels, not even that there is none."""
        return replace(answer, labels=answer.labels if is_accepted else None, known=known, nearest=nearest)

    def columns(self, top: int) -> list[str]:
        """labels; label, probability; label2, probability2 … for further ones."""
        return answers.columns(top)

    def recorded(self, classes: Sequence[str]) -> list[str]:
        """The labels predicted, and the probability of each."""
        return ["predicted", *classes]

    def record(self, row: Outputs, classes: Sequence[str]) -> list[str]:
        """By the columns of `recorded`."""
        return [targets.text_of(self.answer(None, row, classes).labels or ()), *(f"{p:.6f}" for p in row)]

    def score(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> dict[str, Any]:
        """Average precision, F1 and exact match, and the figures of each label."""
        classes = self.classes(texts)
        return metrics.score(outputs, self.members(texts)[labels], classes, self._thresholds(len(classes)))

    def validate(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> tuple[float, float]:
        """Binary cross-entropy and mean average precision."""
        truth = self.members(texts)[labels]
        return metrics.log_loss(outputs, truth), metrics.mean_average_precision(outputs, truth)

    def compare(self, expected: Outputs, found: Outputs) -> tuple[float, float]:
        """The fraction with the same labels, and the largest difference of a probability."""
        return metrics.compare(expected, found, self._thresholds(expected.shape[1]))

    def head(self, *outputs: Tensor) -> tuple[Tensor, ...]:
        """Sigmoid."""
        from mobilenets.tasks.multilabel.head import sigmoid

        return (sigmoid(*outputs),)

    def loss(self, labels: Labels, targets: Tensor, balanced: bool, smoothing: float) -> Loss:
        """Binary cross-entropy; nothing is smoothed, as labels do not exclude each other."""
        from mobilenets.tasks.multilabel.loss import BinaryCrossEntropy

        return BinaryCrossEntropy(labels, targets, balanced)

    def _thresholds(self, count: int) -> NDArray[np.float64]:
        return np.array(self.thresholds) if self.thresholds else np.full(count, 0.5)
