"""What the page of a detector says of its boxes: of each class, what is taken for what, and what is worst."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np

from mobilenets.arch.net import Net
from mobilenets.errors import UserError
from mobilenets.preprocess import decode
from mobilenets.preprocess.depth import Range
from mobilenets.preprocess.stored import stored
from mobilenets.report.answers import Answered, rivals
from mobilenets.report.audit_section import faults_by_path
from mobilenets.report.charts import precision_recall_chart
from mobilenets.report.gallery import open_image
from mobilenets.report.marks import draw_marks
from mobilenets.report.page import PageImage
from mobilenets.report.thumbnails import ImageSource, jpeg, short_path
from mobilenets.runtime.tiled import tile_side
from mobilenets.tasks.detect.matching import Floats, overlaps
from mobilenets.tasks.detect.own_anchors import matched
from mobilenets.tasks.detect.predictions import BoxError, PhotoBoxes, box_errors, photo_boxes
from mobilenets.tasks.detect.tiles import grid
from mobilenets.tasks.mark import Mark

MAX_ERRORS = 20  # pictures of misses, and of false alarms
_MAX_IN_SIGHT, _WORST = 40, 15  # classes in a table at first sight: of more than 40 the 15 worst
_MAX_IN_MATRIX = 12  # classes: a larger one could not be read
_MAX_CONFUSIONS, _MAX_CURVES = 15, 6
_SIDE = 160  # pixels
_AROUND, _MIN_SHOWN = 3.0, 0.2  # what is shown around a box: so many of its sides, and at least this of what is seen
_NEAR = 0.1  # IoU with the box that is wrong, from which on others are drawn
_TRUE, _FOUND = (0, 158, 115), (213, 94, 0)  # green, vermilion


@dataclass(frozen=True)
class ErrorFigure:
    """A box that is wrong, what lies around it, and what an audit calls its photo."""

    error: BoxError
    path: str
    image: PageImage
    faults: list[str]


def box_answers(answered: Answered) -> dict[str, Any]:
    """The values of the templates in `run/detect`; at most 40 parts of photos are shown, whatever the data."""
    card, metrics = answered.card, answered.card.metrics
    side = tile_side(card)
    photos = photo_boxes(answered.predictions, card.classes)
    thresholds = np.array([metrics["per_class"][name]["threshold"] for name in card.classes])
    faults = faults_by_path(answered.audit) if answered.audit else {}
    misses, alarms = box_errors(photos, thresholds)

    def opener(photo: PhotoBoxes) -> Callable[[], ImageSource]:
        return partial(open_image, answered.images, photo.row, photo.path)

    def figures(errors: list[BoxError]) -> list[ErrorFigure]:
        return [
            ErrorFigure(
                error,
                short_path(error.photo.path),
                _part(opener(error.photo), error, thresholds, card.preprocess.range, side),
                list(faults.get(error.photo.path, ())),
            )
            for error in errors[:MAX_ERRORS]
        ]

    return {
        "rivals": rivals(metrics, answered.kept, "mAP")[: None if side is None else 1],  # the others' count tiles
        "anchors": _anchors(card.net, card.preprocess.size, [_seen(photo, opener(photo), side) for photo in photos]),
        "worst": _worst(metrics, card.classes),
        "curves_of": _curves(metrics),
        "names": [*card.classes, "background"],
        "matrix": _matrix(metrics) if len(card.classes) <= _MAX_IN_MATRIX else None,
        "confusions": _confusions(metrics),
        "misses": figures(misses),
        "missed": len(misses),
        "alarms": figures(alarms),
        "alarmed": len(alarms),
    }


def _anchors(net: Net, size: int, boxes: Sequence[Floats]) -> float | None:
    """The fraction of true boxes (G, 4) of photos or tiles that an anchor is like; None where there are none."""
    all_boxes = np.concatenate(boxes)
    return matched(net, size, all_boxes) if len(all_boxes) else None


def _seen(photo: PhotoBoxes, open: Callable[[], ImageSource], side: int | None) -> Floats:
    """The true boxes of a photo (G, 4), 0 to 1 of it or, each, of the tile of `side` pixels whose middle is nearest."""
    boxes = photo.truth[:, :4]
    if side is None:
        return boxes
    try:
        width, height = _size(open())
    except UserError:
        return boxes[:0]
    pixels = boxes * [width, height, width, height]
    tiles = np.array([(tile.left, tile.top, tile.width, tile.height) for tile in grid(width, height, side)])
    apart = pixels[:, None, :2] + pixels[:, None, 2:] - 2 * tiles[:, :2] - tiles[:, 2:]
    own = tiles[np.abs(apart).max(2).argmin(1)]
    inside: Floats = (pixels - np.tile(own[:, :2], 2)) / np.tile(own[:, 2:], 2)
    return inside.clip(0, 1)


def _worst(metrics: dict[str, Any], classes: Sequence[str]) -> list[str] | None:
    """Of many classes those with the lowest average precision; None where all can be in sight."""
    if len(classes) <= _MAX_IN_SIGHT:
        return None
    per_class = metrics["per_class"]
    return sorted((name for name in classes if per_class[name]["n"]), key=lambda name: per_class[name]["ap50"])[:_WORST]


def _curves(metrics: dict[str, Any]) -> list[tuple[str, Any]]:
    """Of the classes with the most boxes: the name and its chart."""
    known = {name: row for name, row in metrics["per_class"].items() if row["precisions"]}
    chosen = sorted(known, key=lambda name: -known[name]["n"])[:_MAX_CURVES]
    return [
        (name, precision_recall_chart(name, known[name]["precisions"], known[name]["recall"], known[name]["precision"]))
        for name in chosen
    ]


def _matrix(metrics: dict[str, Any]) -> list[list[tuple[int, float]]]:
    """Counts and their fraction of the row, by truth and answer, the background last."""
    counts = np.array(metrics["confusion_with_background"], np.int64)
    fractions = counts / np.maximum(1, counts.sum(1, keepdims=True))
    return [list(zip(row.tolist(), own.tolist(), strict=True)) for row, own in zip(counts, fractions, strict=True)]


def _confusions(metrics: dict[str, Any]) -> list[tuple[int, int, int]]:
    """(truth, answer, boxes) of classes that were taken for another one, the most frequent first."""
    counts = np.array(metrics["confusion_with_background"], np.int64)[:-1, :-1]
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[: min(_MAX_CONFUSIONS, np.count_nonzero(counts))]
    return [(*divmod(int(i), len(counts)), int(counts.flat[i])) for i in order]


def _part(
    open: Callable[[], ImageSource], error: BoxError, thresholds: Floats, value_range: Range | None, side: int | None
) -> PageImage:
    """What lies around a box, and the boxes that it overlaps: true ones in green, shown ones in vermilion."""
    alt = f"part of {short_path(error.photo.path)}"
    try:
        source = open()
        min_side = _MIN_SHOWN if side is None else _MIN_SHOWN * min(1.0, side / max(_size(source)))
        left, top, right, bottom = _around(error.box, min_side)
        image = decode.read(source, min_side=round(_SIDE / min(right - left, bottom - top)), value_range=value_range)
    except UserError:
        return PageImage(alt, None)
    pixels = [round(edge * side) for edge, side in zip((left, top, right, bottom), 2 * image.size, strict=True)]
    part = image.convert("RGB").crop(
        (pixels[0], pixels[1], max(pixels[2], pixels[0] + 1), max(pixels[3], pixels[1] + 1))
    )
    scale = _SIDE / max(part.size)
    part = part.resize((max(1, round(part.width * scale)), max(1, round(part.height * scale))))
    photo = error.photo
    shown = photo.found[photo.found[:, 4] >= thresholds[photo.found[:, 5].astype(int)]]
    boxes = [("true", box) for box in photo.truth[:, :4]] + [("found", box) for box in shown[:, :4]]
    # Among many, nobody could tell which one is meant.
    near = overlaps(np.array([box for _, box in boxes]), error.box[None])[:, 0]
    boxes = [pair for pair, overlap in zip(boxes, near, strict=True) if overlap >= _NEAR]
    boxes.sort(key=lambda pair: not np.array_equal(pair[1], error.box))
    frame, sides = np.array([left, top, left, top]), np.array([right - left, bottom - top] * 2)
    marks = []
    for label, box in boxes:
        x1, y1, x2, y2 = ((box - frame) / sides).tolist()
        if x1 < 1 and y1 < 1 and x2 > 0 and y2 > 0:
            marks.append(Mark(label, "", (x1, y1, x2, y2)))
    return jpeg(draw_marks(part, marks, {"true": _TRUE, "found": _FOUND}, {}), _SIDE, alt)


def _size(source: ImageSource) -> tuple[int, int]:
    """Width and height of an upright photo."""
    return stored(BytesIO(source) if isinstance(source, bytes) else source).upright


def _around(box: Any, min_side: float) -> tuple[float, float, float, float]:
    """The part of a photo around a box, relative to it, of this side at least: a square where the photo has room."""
    side = float(np.clip(_AROUND * (box[2:] - box[:2]).max(), min_side, 1))
    x, y = ((box[:2] + box[2:]) / 2 - side / 2).clip(0, 1 - side).tolist()
    return x, y, x + side, y + side
