"""What the page of a classifier says of its answers: against what it is right, where it is wrong, how sure it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobilenets.report.answers import Answered, rivals
from mobilenets.report.audit_section import faults_by_path
from mobilenets.report.calibration_section import calibration_section
from mobilenets.report.confusion import confusion_section
from mobilenets.report.gallery import figures, open_image
from mobilenets.report.known_section import known_section
from mobilenets.report.plots import Label, draw_confusion, labels_of
from mobilenets.system.files import write_atomic
from mobilenets.tasks.classify.predictions import ImageAnswer, Predictions
from mobilenets.weights.kept import Kept

log = logging.getLogger(__name__)

_MAX_DRAWN = 250  # classes: beyond this the picture has less than a dozen pixels a class, and the page gets heavy
_MAX_IN_SIGHT, _WORST = 40, 15  # classes in a table at first sight: of more than 40 the 15 worst


def class_answers(answered: Answered) -> dict[str, Any]:
    """The values of the templates in `run/classify`; `confusion.png` is written into the run folder.

    At most 24 photographs with heat and 60 behind the matrix are shown, whatever the data. A class name that no font
    of this system can write is replaced by its number on the picture, with a warning; the page has the legend.
    """
    card, kept, explainer = answered.card, answered.kept, answered.explainer
    classes, metrics, value_range = card.classes, card.metrics, card.preprocess.range
    predictions = Predictions.parse(answered.predictions)

    def opener(answer: ImageAnswer) -> str | Path | bytes:
        return open_image(answered.images, answer.row, answer.path)

    drawn, labels = None, labels_of(classes[:_MAX_DRAWN])
    if len(classes) <= _MAX_DRAWN:
        _warn(classes, labels)
        title = ", ".join(filter(None, (kept.name, "validation")))
        drawn = draw_confusion(np.array(metrics["confusion"], np.int64), labels, title)
        write_atomic(answered.folder / "confusion.png", drawn)
    faults = faults_by_path(answered.audit) if answered.audit else {}
    mistakes, hits = (
        figures(answers, classes, opener, explainer, faults, value_range)
        for answers in (predictions.mistakes(), predictions.doubtful_hits())
    )
    return {
        "rivals": _rivals(metrics, kept),
        "confusion": confusion_section(metrics, classes, labels, drawn, predictions, opener, value_range),
        "worst": _worst(metrics, classes),
        "mistakes": mistakes,
        "hits": hits,
        "has_heat": explainer is not None,
        "calibration": calibration_section(metrics["accuracy"], predictions),
        "known": known_section(answered.folder, card),
    }


def _warn(classes: Sequence[str], labels: Sequence[Label]) -> None:
    absent = [text for text, label in zip(classes, labels, strict=True) if label.is_number]
    if absent:
        log.warning(
            "no installed font can write %d of the class names (%r is one): "
            "confusion.png has their numbers, report.html the names",
            len(absent),
            absent[0],
        )


def _rivals(metrics: dict[str, Any], kept: Kept) -> list[tuple[str, str, float]]:
    """(style, what, accuracy) of the model and of what it takes to beat it; the largest class comes last."""
    largest = max(figures["n"] for figures in metrics["per_class"].values())
    return [*rivals(metrics, kept, "accuracy"), ("", "largest class", largest / metrics["n"])]


def _worst(metrics: dict[str, Any], classes: Sequence[str]) -> list[int] | None:
    """Of many classes those with the lowest F1; None where all can be in sight."""
    if len(classes) <= _MAX_IN_SIGHT:
        return None
    scored = [k for k in range(len(classes)) if metrics["per_class"][classes[k]]["n"]]
    return sorted(scored, key=lambda k: float(metrics["per_class"][classes[k]]["f1"]))[:_WORST]
