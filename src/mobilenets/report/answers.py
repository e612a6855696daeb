"""A run and what it answered about its validation photographs, and what its page says of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.auditing.audit import Audit
from mobilenets.data.sample import Sample
from mobilenets.model_card import ModelCard
from mobilenets.weights.kept import Kept

if TYPE_CHECKING:
    from mobilenets.explaining.gradcam import Explainer


@dataclass(frozen=True)
class Answered:
    """A run and what it answered about its validation photographs.

    `predictions`: the text of predictions.csv. `images`: those of its rows; None: the files of its paths. `explainer`:
    draws where the network looked; None: it does not. `audit`: of the run's data.
    """

    folder: Path
    card: ModelCard
    kept: Kept
    predictions: str
    images: Sequence[Sample] | None
    explainer: Explainer | None
    audit: Audit | None


@dataclass(frozen=True)
class AnswerPages:
    """The folder of templates for a task (`headline.html.j2`, `body.html.j2`), and the values that they name."""

    templates: str
    values: dict[str, Any]


def rivals(metrics: dict[str, Any], kept: Kept, quality: str) -> list[tuple[str, str, float]]:
    """(style, what, figure) of the model and of the other weights of its run: what it takes to beat it."""
    rows = [("us", f"this model, the {kept.beginning}" if kept.is_probe else "this model", metrics[quality])]
    if kept.probe is not None and not kept.is_probe:
        rows.append(("", kept.beginning, kept.probe[f"val_{quality}"]))
    if kept.is_probe and kept.epochs:
        rows.append(("", f"fine-tuned, epoch {kept.best}", kept.best_quality))
    return rows
