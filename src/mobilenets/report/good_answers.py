"""What the page of a run of good ones only says: the scores of validation photos, and the strangest with their heat."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mobilenets.errors import UserError
from mobilenets.explaining.overlay import describe, overlay
from mobilenets.explaining.unlike import unlike
from mobilenets.report.answers import Answered
from mobilenets.report.audit_section import faults_by_path
from mobilenets.report.charts import histogram
from mobilenets.report.gallery import MAX_IN_GALLERY, open_image
from mobilenets.report.page import PageImage
from mobilenets.report.thumbnails import jpeg, short_path
from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine
from mobilenets.runtime.predictor import Predictor, Source
from mobilenets.tasks.anomaly.answers import Inspection

_SIDE, _BARS = 160, 24


@dataclass(frozen=True)
class ScoredImage:
    """A row of predictions.csv: its number, path, label text and whether that is a defect, and its score."""

    row: int
    path: str
    label: str
    is_defect: bool
    score: float


@dataclass(frozen=True)
class InspectedFigure:
    """A photo with its score, beside it where it is strange, and what an audit calls it."""

    image: ScoredImage
    path: str
    photo: PageImage
    heat: PageImage | None
    faults: list[str]


def good_answers(answered: Answered) -> dict[str, Any]:
    """The values of the templates in `run/anomaly`; at most 24 photos are shown, whatever the data."""
    card = answered.card
    images, threshold = _scored(answered.predictions, card.classes[0]), card.thresholds[0]
    scores = np.array([image.score for image in images])
    counts, edges = np.histogram(scores, _BARS, (min(0.0, float(scores.min())), max(1e-6, float(scores.max()))))
    chart = histogram(counts.tolist(), edges.tolist(), "validation photos", "score", threshold)
    alarms = [image for image in images if not image.is_defect and image.score >= threshold]
    missed = [image for image in reversed(images) if image.is_defect and image.score < threshold]
    strange = [image for image in images if image.is_defect and image.score >= threshold]
    near = [image for image in images if not image.is_defect and image.score < threshold]
    inspect = _inspector(answered)
    faults = faults_by_path(answered.audit) if answered.audit else {}

    def figures(some: list[ScoredImage], count: int) -> list[InspectedFigure]:
        return [_figure(answered, image, inspect, faults.get(image.path, ())) for image in some[:count]]

    wrong = [*alarms, *missed]
    return {
        "threshold": threshold, "chart": chart, "wrong_count": len(wrong), "wrong": figures(wrong, MAX_IN_GALLERY),
        "right": figures([*strange[: MAX_IN_GALLERY // 2], *near], MAX_IN_GALLERY),
    }  # fmt: skip


def _scored(predictions: str, good: str) -> list[ScoredImage]:
    """The rows of predictions.csv, the strangest first."""
    rows = list(csv.DictReader(io.StringIO(predictions, newline="")))
    images = [
        ScoredImage(i, row["path"], row["label"], row["label"] != good, float(row["score"]))
        for i, row in enumerate(rows)
    ]
    return sorted(images, key=lambda image: -image.score)


def _inspector(answered: Answered) -> Callable[[Source], tuple[Image.Image, Inspection]]:
    """What a photo looks like to the run's model, and what it answers; the file is opened for the first one."""
    opened: list[Predictor[Inspection]] = []

    def inspect(source: Source) -> tuple[Image.Image, Inspection]:
        if not opened:
            opened.append(Predictor(OnnxRuntimeEngine(answered.folder / "model.onnx", threads=1)))
        decoded = opened[0].decoded(source)
        return decoded.image, opened[0].predict(decoded)

    return inspect


def _figure(
    answered: Answered,
    image: ScoredImage,
    inspect: Callable[[Source], tuple[Image.Image, Inspection]],
    faults: Any,
) -> InspectedFigure:
    path, preprocess = short_path(image.path), answered.card.preprocess
    photo, heat = PageImage(path, None), None
    try:
        seen, answer = inspect(open_image(answered.images, image.row, image.path))
    except UserError:
        return InspectedFigure(image, path, photo, heat, list(faults))
    photo = jpeg(seen.convert("RGB"), _SIDE, path)
    warm = unlike(answer.heat, preprocess, *seen.size)
    pixels = preprocess.photo_part(preprocess.pixels(seen), *seen.size)
    if warm.any():
        heat = jpeg(overlay(pixels, warm), _SIDE, f"heat map: {describe(warm)}")
    return InspectedFigure(image, path, photo, heat, list(faults))
