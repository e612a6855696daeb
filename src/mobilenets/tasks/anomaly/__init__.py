"""Good photographs only: how unlike them a photograph is, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.errors import UsageError
from mobilenets.model_card import ANOMALY, ModelCard
from mobilenets.tasks.anomaly import answers, metrics, targets
from mobilenets.tasks.anomaly.answers import Inspection
from mobilenets.tasks.ends import End
from mobilenets.tasks.task import Labels, Loss, Outputs, Task

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Anomaly(Task[Inspection]):
    """Whether a photograph is like the good ones, which alone are learned from.

    Outputs are (N, 1 + h * h): the score of a photo, and that of each place, row by row; all 0 to 1.

    Parameters
    ----------
    good
        What a model calls the good ones, alone; empty: what is no defect by its label text.
    thresholds
        From which score on a photo is a defect, alone; empty: one half.
    """

    good: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()

    name = ANOMALY
    label = "inspection"
    outputs = ("score", "map")
    fields = answers.FIELDS
    labels_are_classes = False
    is_audited = True
    probe = "bank"
    reads = ("classify",)
    quality = train_quality = "accuracy"
    headline = ("accuracy", "accuracy_ci95", "auroc", "good_accepted", "defects_found", "f1", "n", "good", "defects")

    def of(self, card: ModelCard) -> Anomaly:
        """With the card's name for good ones, and its threshold."""
        return Anomaly(card.classes, card.thresholds)

    def settled(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> Anomaly:
        """With the threshold that is best for these photographs."""
        chosen = metrics.choose_threshold(outputs[:, 0], targets.defects(texts, self.good)[labels])
        return replace(self, thresholds=(chosen,))

    def check(self, data: Path, labels: Sequence[str], images: int) -> None:
        """Two good ones at least."""
        targets.check(data, labels, images, self.good)

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        """What the good ones are called, alone."""
        is_defect = targets.defects(labels, self.good)
        return self.good or tuple(text for text, defect in zip(labels, is_defect, strict=True) if not defect)

    def members(self, labels: Sequence[str]) -> NDArray[np.bool_]:
        """Which texts are of good ones, bool (V, 1)."""
        return ~targets.defects(labels, self.good)[:, None]

    def targets(self, labels: Sequence[str]) -> NDArray[np.float32]:
        """1 for a defect, 0 for a good one: float32 (V, 1)."""
        return targets.defects(labels, self.good).astype(np.float32)[:, None]

    def strata(self, labels: Sequence[str], counts: Labels) -> Labels:
        """Defects apart from good ones."""
        return targets.defects(labels, self.good).astype(np.int64)

    def width(self, classes: Sequence[str]) -> int:
        """One: like the good ones or not. The map follows it."""
        return 1

    def ends(self, card: ModelCard) -> tuple[End, ...]:
        """The score, and one for each place of the coarsest map."""
        side = -(-card.preprocess.size // card.net.head_maps[-1].stride)
        score, patches = self.outputs
        return End(score, (1,)), End(patches, (side, side))

    def finished(self, *ends: NDArray[Any]) -> Outputs:
        """The score, then the map row by row."""
        score, patches = ends
        return np.concatenate([score, patches.reshape(len(patches), -1)], 1)

    def answer(self, path: str | None, row: Outputs, classes: Sequence[str]) -> Inspection:
        """Good, or a defect, and where."""
        return answers.inspection(path, row, classes[0], self._threshold)

    def columns(self, top: int) -> list[str]:
        """label, score."""
        return list(answers.COLUMNS)

    def recorded(self, classes: Sequence[str]) -> list[str]:
        """What is predicted, and the score."""
        return ["predicted", "score"]

    def record(self, row: Outputs, classes: Sequence[str]) -> list[str]:
        """By the columns of `recorded`."""
        answer = self.answer(None, row, classes)
        return [answer.label, f"{answer.score:.6f}"]

    def score(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> dict[str, Any]:
        """What is on its side of the threshold, and how well defects are told without one."""
        is_defect = targets.defects(texts, self.good)[labels]
        return metrics.score(outputs[:, 0], is_defect, labels, texts, self._threshold)

    def validate(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> tuple[float, float]:
        """How often a good one is stranger than a defect (the mean score, where there are none), and the accuracy."""
        figures = self.score(outputs, labels, texts)
        loss = float(outputs[:, 0].mean()) if figures["auroc"] is None else 1 - figures["auroc"]
        return loss, figures["accuracy"]

    def compare(self, expected: Outputs, found: Outputs) -> tuple[float, float]:
        """The fraction on the same side of the threshold, and the largest difference of a score, also of a place."""
        sides = (expected[:, 0] >= self._threshold) == (found[:, 0] >= self._threshold)
        return float(sides.mean()), float(np.abs(expected - found).max())

    def head(self, *outputs: Tensor) -> tuple[Tensor, ...]:
        """The score and the map apart."""
        from mobilenets.tasks.anomaly.head import score_and_map

        return score_and_map(*outputs)

    def loss(self, labels: Labels, targets: Tensor, balanced: bool, smoothing: float) -> Loss:
        """None: nothing is trained by steps.

        Raises
        ------
        UsageError
            Always.
        """
        raise UsageError("good ones only are kept, not trained by steps; train a classifier where there are defects")

    @property
    def _threshold(self) -> float:
        return self.thresholds[0] if self.thresholds else 0.5
