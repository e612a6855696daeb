"""Figures of a model kept apart: of photographs that its run was not trained on, and of those that it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.manifest import EARLIER
from mobilenets.tasks.objective import Objective
from mobilenets.tasks.task import Labels, Outputs

TRAINED_ON = "trained_on"  # in the output of `evaluate --json`: the figures of photographs that were trained on
VALIDATED_BY = "validated_by"  # likewise: of those among the others that chose what the run kept


@dataclass(frozen=True)
class Figures:
    """Figures of a run on photos it was not trained on, and on those it was.

    Attributes
    ----------
    quality
        The main figure, as "accuracy".
    unseen
        The content of metrics.json for photos that were not trained on; None where there are none.
    trained
        Likewise of those that were.
    validated
        Likewise of those among `unseen` that validated the run.
    """

    quality: str
    unseen: dict[str, Any] | None
    trained: dict[str, Any] | None
    validated: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Those of unseen photographs as in metrics.json, and beside them the others."""
        some = self.unseen or self.trained
        assert some is not None  # there was a photograph
        absent = dict.fromkeys(some) | {"n": 0} | ({"classes": some["classes"]} if "classes" in some else {})
        return {
            **(self.unseen or absent),
            TRAINED_ON: self.trained or {"n": 0, self.quality: None},
            VALIDATED_BY: self._short(self.validated),
        }

    def _short(self, metrics: dict[str, Any] | None) -> dict[str, Any]:
        names = ("n", self.quality, f"{self.quality}_ci95")
        return {name: metrics[name] for name in names if name in metrics} if metrics else {"n": 0, self.quality: None}


def keep_apart(objective: Objective, outputs: Outputs, labels: Labels, splits: Sequence[str | None]) -> Figures:
    """Figures from outputs (N, W) and labels (N,), by the split that each photograph has in the run, if any."""
    trained = np.isin(np.array(splits, object), ("train", EARLIER))
    validated = np.array([split == "val" for split in splits], np.bool_)

    def of(which: NDArray[np.bool_]) -> dict[str, Any] | None:
        return objective.task.score(outputs[which], labels[which], objective.texts) if which.any() else None

    return Figures(objective.task.quality, of(~trained), of(trained), of(validated))
