"""What the page of a run with several labels a photo says of them: each label's figures, and the worst photos."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from mobilenets.report.answers import Answered, rivals
from mobilenets.report.audit_section import faults_by_path
from mobilenets.report.gallery import MAX_IN_GALLERY, open_image
from mobilenets.report.known_section import known_section
from mobilenets.report.page import PageImage
from mobilenets.report.thumbnails import short_path, thumbnail
from mobilenets.tasks.multilabel.predictions import LabelError, label_errors
from mobilenets.weights.kept import Kept

_MAX_IN_SIGHT, _WORST = 40, 15  # labels in a table at first sight: of more than 40 the 15 worst
_SIDE = 160  # pixels


@dataclass(frozen=True)
class ErrorFigure:
    """A photo with labels too few or too many, and what an audit calls it."""

    error: LabelError
    path: str
    image: PageImage
    faults: list[str]


def label_answers(answered: Answered) -> dict[str, Any]:
    """The values of the templates in `run/multilabel`; at most 12 photos are shown, whatever the data."""
    metrics, value_range = answered.card.metrics, answered.card.preprocess.range
    faults = faults_by_path(answered.audit) if answered.audit else {}
    errors = label_errors(answered.predictions)
    shown = [
        ErrorFigure(
            error,
            short_path(error.path),
            thumbnail(
                partial(open_image, answered.images, error.row, error.path), _SIDE, short_path(error.path), value_range
            ),
            list(faults.get(error.path, ())),
        )
        for error in errors[:MAX_IN_GALLERY]
    ]
    return {
        "rivals": _rivals(metrics, answered.kept), "worst": _worst(metrics), "errors": shown, "wrong": len(errors),
        "known": known_section(answered.folder, answered.card),
    }  # fmt: skip


def _rivals(metrics: dict[str, Any], kept: Kept) -> list[tuple[str, str, float]]:
    """(style, what, mAP) of the model and of what it takes to beat it; chance comes last."""
    counts = [figures["n"] for figures in metrics["per_class"].values() if figures["n"]]
    return [*rivals(metrics, kept, "mAP"), ("", "in any order", sum(counts) / max(1, len(counts)) / metrics["n"])]


def _worst(metrics: dict[str, Any]) -> list[str] | None:
    """Of many labels those with the lowest average precision; None where all can be in sight."""
    per_class = metrics["per_class"]
    if len(per_class) <= _MAX_IN_SIGHT:
        return None
    scored = [name for name, figures in per_class.items() if figures["n"]]
    return sorted(scored, key=lambda name: float(per_class[name]["ap"]))[:_WORST]
