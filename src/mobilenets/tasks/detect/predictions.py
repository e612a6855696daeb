"""predictions.csv of a detector: the true boxes of each photo and those found, and which of them are wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mobilenets.tasks.detect.matching import CLASS, SCORE, Floats, overlaps, pair_boxes
from mobilenets.tasks.detect.targets import COLUMNS, targets

FOUND_AT = 0.5  # IoU


@dataclass(frozen=True)
class PhotoBoxes:
    """The boxes of one photo: its row and path, true ones (G, 6) and found ones (D, 6), as `metrics.score` has them."""

    row: int
    path: str
    truth: Floats
    found: Floats


@dataclass(frozen=True)
class BoxError:
    """A true box that was missed, or a found one that is a false alarm, of the class of this `number`.

    `score`: of a false alarm its own, of a miss the highest of what is there and of its class but was not shown; 0:
    there is nothing. `other`: what a miss was taken for, what a false alarm is in truth; None: the background.
    """

    photo: PhotoBoxes
    box: Floats
    number: int
    score: float
    other: int | None


def photo_boxes(text: str, classes: Sequence[str]) -> list[PhotoBoxes]:
    """The content of predictions.csv, of a model with `classes`.

    Examples
    --------
    >>> rows = 'path,label,found\\na.jpg,"[[""dog"",0,0,1,1]]","[[""dog"",0.75,0,0,1,0.9]]"\\n'
    >>> photo_boxes(rows, ("cat", "dog"))[0].found.tolist()
    [[0.0, 0.0, 1.0, 0.9, 0.75, 1.0]]
    """
    number = {name: k for k, name in enumerate(classes)}
    _, *rows = csv.reader(io.StringIO(text, newline=""))
    result = []
    for i, (path, label, answer) in enumerate(rows):
        truth = targets([label], classes).reshape(-1, COLUMNS)
        found = [(*box, score, number[name]) for name, score, *box in json.loads(answer)]
        result.append(PhotoBoxes(i, path, truth[truth[:, 4] >= 0], np.array(found, np.float64).reshape(-1, 6)))
    return result


def box_errors(photos: Sequence[PhotoBoxes], thresholds: Floats) -> tuple[list[BoxError], list[BoxError]]:
    """Misses and false alarms at `thresholds` (K,), as `metrics.confusion_of` counts them.

    What was taken for another class is both. The misses of the largest area come first, as these are what a person
    would not overlook; the false alarms with the highest score.

    Examples
    --------
    >>> photo = PhotoBoxes(0, "a.jpg", np.zeros((0, 6)), np.array([[0, 0, 1, 1, 0.75, 0]]))
    >>> missed, alarms = box_errors([photo], np.array([0.5]))
    >>> len(missed), [alarm.score for alarm in alarms]
    (0, [0.75])
    """
    misses, alarms = [], []
    for photo in photos:
        shown = photo.found[photo.found[:, SCORE] >= thresholds[photo.found[:, CLASS].astype(int)]]
        kinds, truths = shown[:, CLASS].astype(int), photo.truth[:, 4].astype(int)
        pairs, missed, alone = pair_boxes(shown, photo.truth)
        wrong = [(d, g) for d, g in pairs if kinds[d] != truths[g]]
        taken_for = {g: int(kinds[d]) for d, g in wrong}
        in_truth = {d: int(truths[g]) for d, g in wrong}
        for g in [*np.flatnonzero(missed).tolist(), *taken_for]:
            score = _hidden(photo, photo.truth[g], thresholds)
            misses.append(BoxError(photo, photo.truth[g, :4], int(truths[g]), score, taken_for.get(g)))
        for d in [*np.flatnonzero(alone).tolist(), *in_truth]:
            alarms.append(BoxError(photo, shown[d, :4], int(kinds[d]), float(shown[d, SCORE]), in_truth.get(d)))
    misses.sort(key=lambda error: -float((error.box[2:] - error.box[:2]).prod()))
    return misses, sorted(alarms, key=lambda error: -error.score)


def _hidden(photo: PhotoBoxes, true: Floats, thresholds: Floats) -> float:
    """The highest score below the threshold of what lies at a true box (6,) and is of its class."""
    found = photo.found[(photo.found[:, CLASS] == true[4]) & (photo.found[:, SCORE] < thresholds[int(true[4])])]
    return float(found[overlaps(found, true[None])[:, 0] >= FOUND_AT, SCORE].max(initial=0.0))
