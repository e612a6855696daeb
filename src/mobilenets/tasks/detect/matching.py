"""Which found boxes are which true ones: the rules of COCO's evaluation (pycocotools' `COCOeval.evaluateImg`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

IOUS = np.linspace(0.5, 0.95, 10)
X2, SCORE, CLASS, IGNORE = 2, 4, 5, 5  # columns: of a found box the last is its class, of a true one the flag
SIZES = {"": (0.0, np.inf), "_small": (0.0, 0.05), "_medium": (0.05, 0.15), "_large": (0.15, np.inf)}
"""Ranges of the square root of a box's area, as a fraction of that of its photo.

COCO's 32 and 96 pixels are 0.05 and 0.15 of its photos, which have 640 × 480.
"""


@dataclass(frozen=True)
class Matches:
    """The D found boxes of one class in N photos, the highest scores first, and what they are at T limits of IoU.

    `scores` (D,), `images` int64 (D,), `ranks` int64 (D,): the place of each among those of its photo; `hits` and
    `counted` bool (T, D): found a true box, and either that or a false alarm; `positives` int64 (N,): true boxes that
    count.
    """

    scores: Floats
    images: Ints
    ranks: Ints
    hits: Bools
    counted: Bools
    positives: Ints


def overlaps(found: Floats, truth: Floats, ignored: Bools | None = None) -> Floats:
    """IoU of boxes (D, 4+) with boxes (G, 4+), float64 (D, G); with those `ignored` (G,) the part of a found box in it.

    Examples
    --------
    >>> overlaps(np.array([[0, 0, 0.5, 1]]), np.array([[0, 0, 1, 1], [0.5, 0, 1, 1]])).tolist()
    [[0.5, 0.0]]
    """
    a, b = found[:, None, :4].astype(np.float64), truth[None, :, :4].astype(np.float64)
    sides = np.minimum(a[..., X2:], b[..., X2:]) - np.maximum(a[..., :X2], b[..., :X2])
    inside = sides.clip(0).prod(2)
    own, other = ((box[..., X2:] - box[..., :X2]).prod(2) for box in (a, b))
    union = own + other - inside
    if ignored is not None:
        union = np.where(ignored, own, union)
    result: Floats = np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)
    return result


def match_class(
    found: Sequence[Floats], truth: Sequence[Floats], ious: Floats = IOUS, size: tuple[float, float] = SIZES[""]
) -> Matches:
    """Match the boxes of one class, photo by photo.

    Parameters
    ----------
    found
        Of each of N photos the boxes (D, 5+): x1 y1 x2 y2 score.
    truth
        Likewise the true ones (G, 6): x1 y1 x2 y2, its class, and whether it is to be ignored: what is found there is
        neither right nor wrong.
    ious
        Limits (T,), above 0.
    size
        Only true boxes with such a side count, and other found ones are no false alarms.

    Returns
    -------
    Matches
        Of all photos.
    """
    scores, images, ranks, hits, counted, positives = [], [], [], [], [], np.zeros(len(found), np.int64)
    for i, (boxes, true) in enumerate(zip(found, truth, strict=True)):
        boxes = boxes[np.argsort(-boxes[:, SCORE], kind="stable")]
        crowd = true[:, IGNORE] > 0
        left_out = crowd | _outside(true, size)
        order = np.argsort(left_out, kind="stable")
        table = overlaps(boxes, true[order], crowd[order])
        hit, ignored = _match(table, crowd[order], left_out[order], ious)
        ignored |= ~hit & ~ignored & _outside(boxes, size)
        scores.append(boxes[:, SCORE])
        images.append(np.full(len(boxes), i))
        ranks.append(np.arange(len(boxes)))
        hits.append(hit)
        counted.append(~ignored)
        positives[i] = (~left_out).sum()
    joined = np.concatenate([*scores, np.zeros(0)])
    order = np.argsort(-joined, kind="stable")
    empty = np.zeros((len(ious), 0), np.bool_)
    return Matches(
        joined[order],
        np.concatenate([*images, np.zeros(0, np.int64)])[order],
        np.concatenate([*ranks, np.zeros(0, np.int64)])[order],
        np.concatenate([*hits, empty], 1)[:, order],
        np.concatenate([*counted, empty], 1)[:, order],
        positives,
    )


def _outside(boxes: Floats, size: tuple[float, float]) -> Bools:
    """Which boxes (N, 4+) are not of such a side."""
    area = (boxes[:, X2:4].astype(np.float64) - boxes[:, :X2]).prod(1)
    outside: Bools = (area < size[0] ** 2) | (area > size[1] ** 2)
    return outside


def _match(table: Floats, crowd: Bools, left_out: Bools, ious: Floats) -> tuple[Bools, Bools]:
    """Hits, and found boxes that do not count, bool (T, D), by the overlaps (D, G) of one photo.

    The highest score chooses first, and a true box that counts rather than one that does not; of equal overlaps it
    takes the last. Only a `crowd` (G,) can be found twice.
    """
    hits, ignored = (np.zeros((len(ious), len(table)), np.bool_) for _ in range(2))
    limits = np.minimum(ious, 1 - 1e-10)
    taken = np.zeros((len(ious), table.shape[1]), np.bool_)
    rows = np.arange(len(ious))
    for d in np.flatnonzero(table.max(1, initial=0.0) >= limits.min()):
        free = (~taken | crowd) & (table[d] >= limits[:, None])
        open_ = np.ones(len(ious), np.bool_)
        for group in (~left_out, left_out):
            candidates = np.where(free & group, table[d], -1.0)
            best = candidates.shape[1] - 1 - candidates[:, ::-1].argmax(1)
            matched = open_ & (candidates[rows, best] >= 0)
            taken[rows[matched], best[matched]] = True
            (ignored if group is left_out else hits)[matched, d] = True
            open_ &= ~matched
    return hits, ignored


def pair_boxes(found: Floats, truth: Floats, iou: float = 0.5) -> tuple[list[tuple[int, int]], Bools, Bools]:
    """Which found boxes (D, 6) are which true ones (G, 6): of the same class first, then of any; the closest first.

    Returns
    -------
    tuple
        Pairs (d, g); bool (G,), which true boxes that count are left; bool (D,), which found ones are, but for those in
        a box that does not count.

    Examples
    --------
    >>> found = np.array([[0, 0, 1, 1, 0.9, 0], [0, 0, 1, 0.9, 0.8, 0]])
    >>> pairs, missed, alarms = pair_boxes(found, np.array([[0, 0, 1, 1, 0, 0]]))
    >>> pairs, missed.tolist(), alarms.tolist()
    ([(0, 0)], [False], [False, True])
    """
    crowd = truth[:, IGNORE] > 0
    table = overlaps(found, truth, crowd)
    in_crowd = (table[:, crowd] >= iou).any(1)
    table[:, crowd] = 0
    left, missed = np.ones(len(found), np.bool_), ~crowd
    pairs = []
    same = found[:, None, CLASS] == truth[None, :, 4]
    for pair in np.argsort(-(table + (same & (table >= iou))), axis=None, kind="stable"):
        d, g = divmod(int(pair), len(truth))
        if table[d, g] < iou:
            break
        if left[d] and missed[g]:
            left[d] = missed[g] = False
            pairs.append((d, g))
    return pairs, missed, left & ~in_crowd


def average_precision(matches: Matches, weights: Floats | None = None) -> Floats:
    """Precision at 101 recalls, averaged: float64 (T,); NaN without true boxes. `weights` (N,) of the photos.

    Between two recalls the better precision of the higher ones stands, as COCO has it.
    """
    precision = precision_at_recalls(matches, weights)
    return np.full(len(matches.hits), np.nan) if precision is None else precision.mean(1)


RECALLS = np.linspace(0, 1, 101)


def precision_at_recalls(matches: Matches, weights: Floats | None = None) -> Floats | None:
    """The precisions that `average_precision` averages, float64 (T, 101); None without true boxes."""
    ones = np.ones(len(matches.positives)) if weights is None else weights
    positives = float(matches.positives @ ones)
    if positives == 0:
        return None
    each = ones[matches.images]
    hits = (matches.hits * each).cumsum(1)
    alarms = ((matches.counted & ~matches.hits) * each).cumsum(1)
    precision = hits / np.maximum(hits + alarms, np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    padded = np.pad(precision, ((0, 0), (0, 1)))  # beyond the highest recall it is 0
    recall = hits / positives
    return np.stack([row[np.searchsorted(own, RECALLS)] for row, own in zip(padded, recall, strict=True)])


def recall_of(matches: Matches, each: int) -> Floats:
    """The fraction of true boxes that the `each` best boxes of every photo find, float64 (T,); NaN without any."""
    positives = matches.positives.sum()
    if positives == 0:
        return np.full(len(matches.hits), np.nan)
    hits: Floats = (matches.hits & (matches.ranks < each)).sum(1) / positives
    return hits
