"""How right found boxes are, and how sure one can be of that. numpy only.

COCO's figures are computed here rather than by pycocotools: they choose the weights after every epoch, and `evaluate`
has them without another package. A test holds them against it, to 1e-9.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.tasks.bootstrap import draw_weights, interval95, mean_of_known
from mobilenets.tasks.detect.matching import (
    CLASS,
    IOUS,
    SCORE,
    SIZES,
    Floats,
    Matches,
    average_precision,
    match_class,
    overlaps,
    pair_boxes,
    precision_at_recalls,
    recall_of,
)

LOOSE = np.array([0.5])  # the limit of IoU from which on a box counts as found, where one is named
DEFAULT_THRESHOLD = 0.5
_SMALLEST = 1e-3  # of a score, in the loss: a box that was not found
_LIKELY = 0.05  # boxes of lower scores are not compared, where there are others
_SAME = 0.99  # IoU of a box that another engine found again

Ints = NDArray[np.int64]


def by_class(finished: Floats, truth: Floats, classes: int) -> list[tuple[list[Floats], list[Floats]]]:
    """Of each class the found and the true boxes of every photo: `finished` (N, D, 6), `truth` (N, M, 6)."""
    return [
        (
            [rows[rows[:, CLASS] == k] for rows in finished],
            [rows[rows[:, 4] == k] for rows in truth],
        )
        for k in range(classes)
    ]


def score(finished: Floats, truth: Floats, classes: Sequence[str], thresholds: Floats) -> dict[str, Any]:
    """The content of metrics.json.

    Parameters
    ----------
    finished
        Found boxes (N, D, 6), N ≥ 1: x1 y1 x2 y2 score class, the class -1 where there is none.
    truth
        True ones (N, M, 6): x1 y1 x2 y2 class flag, likewise; with the flag 1 what is found there does not count.
    classes
        K names.
    thresholds
        (K,), from which score on a box is shown.

    Returns
    -------
    dict
        `mAP`: mean over the classes that occur and the limits of IoU 0.5, 0.55 … 0.95 of the average precision, as COCO
        has it; `mAP50`, `mAP75` at one limit; `mAP_small`, `_medium`, `_large`: of objects whose size (the root of the
        area) is below 0.05, 0.15 and above that of the photo's. `AR1`, `AR10`, `AR100`: the mean recall with so many
        boxes a photo, `AR_small` … of objects of a size. `log_loss`: of a true box, the negative logarithm of the score
        it was found with, plus those of what was rightly not shown. `false_alarms`: a photo, at the thresholds.
        `…_ci95`: 95 % intervals, from drawing the photos anew 200 times; None of a single photo.
        `per_class`: `ap`, `ap50`, `precision`, `recall`, `f1`, `threshold`, `n` (true boxes) and `photos` (that have
        one), None where there is none, and `precisions`: 21 at the recalls 0, 0.05 … 1 and IoU 0.5.
        `confusion_with_background`: at the thresholds, rows: truth, columns: found; the last of both: background. `n`:
        photos.

    Examples
    --------
    >>> found = np.array([[[0, 0, 0.5, 0.5, 0.9, 0], [0.5, 0.5, 1, 1, 0.2, 0], [0, 0, 0, 0, 0, -1]]])
    >>> figures = score(found, np.array([[[0, 0, 0.5, 0.5, 0, 0]]]), ("dog",), np.array([0.5]))
    >>> round(figures["mAP50"], 3), figures["confusion_with_background"], figures["false_alarms"]
    (1.0, [[1, 0], [0, 0]], 0.0)
    """
    parts = by_class(finished, truth, len(classes))
    matched = {name: [match_class(*part, IOUS, size) for part in parts] for name, size in SIZES.items()}
    whole = matched[""]
    precisions = np.array([average_precision(one) for one in whole]).reshape(len(classes), len(IOUS))
    drawn = _drawn(whole, len(finished))
    confusion = confusion_of(finished, truth, thresholds)
    found, hits, positives = confusion[:, :-1].sum(0), confusion.diagonal()[:-1], confusion[:-1].sum(1)
    return {
        "mAP": mean_of_known(precisions),
        "mAP_ci95": _interval([mean_of_known(row) for row in drawn], len(finished)),
        "mAP50": mean_of_known(precisions[:, 0]),
        "mAP50_ci95": _interval([mean_of_known(row[:, 0]) for row in drawn], len(finished)),
        "mAP75": mean_of_known(precisions[:, 5]),
        **{f"mAP{name}": _or_none([average_precision(one) for one in matched[name]]) for name in SIZES if name},
        **{f"AR{count}": mean_of_known([recall_of(one, count) for one in whole]) for count in (1, 10, 100)},
        **{f"AR{name}": _or_none([recall_of(one, 100) for one in matched[name]]) for name in SIZES if name},
        "log_loss": log_loss(whole),
        "false_alarms": float(confusion[-1].sum() / len(finished)),
        "n": len(finished),
        "boxes": int(sum(one.positives.sum() for one in whole)),
        "classes": list(classes),
        "per_class": {
            name: {
                "ap": _or_none(precisions[k]),
                "ap50": _or_none(precisions[k, :1]),
                "precision": float(hits[k] / found[k]) if found[k] else None,
                "recall": float(hits[k] / positives[k]) if positives[k] else None,
                "f1": float(2 * hits[k] / (found[k] + positives[k])) if positives[k] else None,
                "threshold": float(thresholds[k]),
                "n": int(whole[k].positives.sum()),
                "photos": int((whole[k].positives > 0).sum()),
                "precisions": _curve(whole[k]),
            }
            for k, name in enumerate(classes)
        },
        "confusion_with_background": confusion.tolist(),
    }


def without_boxes(figures: dict[str, Any]) -> str | None:
    """What is to be said of `figures` of photos that show no object at all; None of others.

    Examples
    --------
    >>> without_boxes({"boxes": 3}), without_boxes({"accuracy": 0.5})
    (None, None)
    """
    if figures.get("boxes") != 0:
        return None
    return "none of these photos has a box: mAP and recall are 0 and say nothing, false alarms alone do"


def validate(finished: Floats, truth: Floats, classes: int) -> tuple[float, float]:
    """`log_loss` and `mAP` alone, of the same as `score`."""
    matched = [match_class(*part) for part in by_class(finished, truth, classes)]
    return log_loss(matched), mean_of_known([average_precision(one) for one in matched])


def log_loss(matched: Sequence[Matches]) -> float:
    """Of a true box, at IoU 0.5: minus the logarithm of its score, plus that of one minus the score of false alarms."""
    total, positives = 0.0, sum(int(one.positives.sum()) for one in matched)
    for one in matched:
        scores, hits = one.scores.clip(_SMALLEST, 1 - _SMALLEST), one.hits[0]
        missed = one.positives.sum() - hits.sum()
        total -= np.log(scores[hits]).sum() + missed * np.log(_SMALLEST)
        total -= np.log1p(-scores[one.counted[0] & ~hits]).sum()
    return float(total / max(positives, 1))


def choose_thresholds(finished: Floats, truth: Floats, classes: int) -> Floats:
    """From which score on a box of each class is shown: where its F1 is best at IoU 0.5; float64 (K,).

    Halfway to the next lower score. A class without true boxes has the median of the others.

    Examples
    --------
    >>> found = np.array([[[0, 0, 0.5, 0.5, 0.75, 0], [0.5, 0.5, 1, 1, 0.25, 0]]])
    >>> choose_thresholds(found, np.array([[[0, 0, 0.5, 0.5, 0, 0]]]), 1).tolist()
    [0.5]
    """
    result = np.full(classes, np.nan)
    for k, part in enumerate(by_class(finished, truth, classes)):
        one = match_class(*part, LOOSE)
        positives = int(one.positives.sum())
        if not positives or not len(one.scores):
            continue
        f1 = 2 * one.hits[0].cumsum() / (one.counted[0].cumsum() + positives)
        ends = np.append(np.diff(one.scores) != 0, True)  # what has the same score is shown together
        best = int(np.where(ends, f1, -1).argmax())
        below = one.scores[best + 1] if best + 1 < len(one.scores) else 0.0
        result[k] = (one.scores[best] + below) / 2
    others = float(np.nanmedian(result)) if np.isfinite(result).any() else DEFAULT_THRESHOLD
    settled: Floats = np.where(np.isfinite(result), result, others).round(6).clip(0.001, 0.999)
    return settled


def false_alarms_at(finished: Floats, truth: Floats, classes: int, recall: float) -> float:
    """False alarms in a photo where the best boxes of all classes find this fraction of the true ones; inf: never.

    Examples
    --------
    >>> found = np.array([[[0, 0, 0.5, 0.5, 0.5, 0], [0.5, 0.5, 1, 1, 0.75, 0]]])
    >>> false_alarms_at(found, np.array([[[0, 0, 0.5, 0.5, 0, 0]]]), 1, 0.7)
    1.0
    """
    matched = [match_class(*part, LOOSE) for part in by_class(finished, truth, classes)]
    order = np.argsort(-np.concatenate([one.scores for one in matched]), kind="stable")
    hits = np.concatenate([one.hits[0] for one in matched])[order].cumsum()
    alarms = np.concatenate([one.counted[0] & ~one.hits[0] for one in matched])[order].cumsum()
    wanted = recall * sum(one.positives.sum() for one in matched)
    enough = np.flatnonzero(hits >= wanted)
    return float(alarms[enough[0]] / len(finished)) if len(enough) else float("inf")


def confusion_of(finished: Floats, truth: Floats, thresholds: Floats) -> Ints:
    """How often a true box of one class (rows) was found as another (columns), int64 (K + 1, K + 1); last: background.

    At the `thresholds` (K,) and IoU 0.5 or more; pairs of the same class are taken first, the closest before others.
    """
    count = len(thresholds)
    result = np.zeros((count + 1, count + 1), np.int64)
    limits = np.append(thresholds, np.inf)  # class -1 is nothing
    for rows, true in zip(finished, truth, strict=True):
        shown = rows[rows[:, SCORE] >= limits[rows[:, CLASS].astype(int)]]
        there = true[true[:, 4] >= 0]
        of_found, of_true = shown[:, CLASS].astype(int), there[:, 4].astype(int)
        pairs, missed, alarms = pair_boxes(shown, there)
        for d, g in pairs:
            result[of_true[g], of_found[d]] += 1
        np.add.at(result, (of_true[missed], count), 1)
        np.add.at(result, (count, of_found[alarms]), 1)
    return result


def compare(expected: Floats, found: Floats) -> tuple[float, float]:
    """Of two engines' boxes (N, D, 6) the fraction that both have, and the largest difference of their scores.

    Of those with a score from 0.05 on, of either; where all are low, as of a network trained for seconds, from the
    middle between the lowest and the highest on. Both have it: there is one of the same class with an IoU of 0.99 or
    more. The difference is 0 where they have nothing in common.

    Examples
    --------
    >>> one = np.array([[[0, 0, 0.5, 0.5, 0.75, 0], [0.5, 0.5, 1, 1, 0.5, 1], [0, 0.5, 0.5, 1, 0.25, 1]]])
    >>> other = np.array([[[0, 0, 0.5, 0.5, 0.5, 0], [0, 0, 0, 0, 0, -1]]])
    >>> compare(one, other)
    (0.5, 0.25)
    """
    again = total = 0
    largest = 0.0
    scores = np.concatenate([rows[..., SCORE][rows[..., CLASS] >= 0] for rows in (expected, found)])
    likely = min(_LIKELY, (scores.min() + scores.max()) / 2) if len(scores) else _LIKELY
    for one, other in zip([*expected, *found], [*found, *expected], strict=True):
        one, other = one[(one[:, CLASS] >= 0) & (one[:, SCORE] >= likely)], other[other[:, CLASS] >= 0]
        total += len(one)
        if not len(other):
            continue
        table = overlaps(one, other) * (one[:, None, CLASS] == other[None, :, CLASS])
        best = table.argmax(1)
        same = table.max(1) >= _SAME
        again += int(same.sum())
        largest = max(largest, float(np.abs(one[:, SCORE] - other[best, SCORE])[same].max(initial=0.0)))
    return (again / total if total else 1.0), largest


def _drawn(matched: Sequence[Matches], count: int) -> list[Floats]:
    """Average precisions (K, T) of bootstrap samples of the `count` photos."""
    return [np.array([average_precision(one, row) for one in matched]) for row in draw_weights(count)]


def _curve(matches: Matches) -> list[float] | None:
    """Precisions at 21 recalls, as COCO has them at 101."""
    precisions = precision_at_recalls(matches)
    return None if precisions is None else [round(float(value), 4) for value in precisions[0, ::5]]


def _or_none(values: Any) -> float | None:
    return mean_of_known(values) if np.isfinite(np.asarray(values, np.float64)).any() else None


def _interval(drawn: Sequence[float], photos: int) -> list[float] | None:
    return None if photos == 1 else interval95(drawn)  # whichever is drawn of a single one, it is the same
