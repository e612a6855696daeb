"""Boxes as arrays: how one is said by its distance from an anchor, and which of many overlapping ones are kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mobilenets.tasks.detect.matching import overlaps
from mobilenets.tasks.detect.targets import NONE

Array = NDArray[np.float32]

WEIGHTS = np.array([10, 10, 5, 5], np.float32)  # of the four distances: each then varies by about 1
MAX_GROWTH = float(np.log(1000 / 16))  # of a side against its anchor's, as a logarithm: no box overflows


def corners(boxes: Array) -> Array:
    """Centre x, centre y, width, height → left, top, right, bottom; float32 (..., 4)."""
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], -1)


def centred(boxes: Array) -> Array:
    """Left, top, right, bottom → centre x, centre y, width, height; float32 (..., 4)."""
    return np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)


def encode(boxes: Array, anchors: Array) -> Array:
    """What a network is to say of an anchor, so that it becomes a box.

    Parameters
    ----------
    boxes
        float32 (..., 4): left, top, right, bottom; sides above 0.
    anchors
        float32 (..., 4): centre x, centre y, width, height, in the same unit.

    Returns
    -------
    numpy.ndarray
        float32 (..., 4): the centre's distance in tenths of the anchor's sides, and 5 times the logarithm of what its
        sides grow by.

    Examples
    --------
    >>> box, anchor = np.array([[0.2, 0.2, 0.6, 0.6]], np.float32), np.array([[0.5, 0.4, 0.2, 0.4]], np.float32)
    >>> encode(box, anchor).round(1).tolist()
    [[-5.0, 0.0, 3.5, 0.0]]
    """
    wanted = centred(boxes)
    with np.errstate(divide="ignore"):
        moved = (wanted[..., :2] - anchors[..., :2]) / anchors[..., 2:]
        grown = np.log(wanted[..., 2:] / anchors[..., 2:])
    return np.concatenate([moved, grown], -1) * WEIGHTS


def decode(codes: Array, anchors: Array) -> Array:
    """The boxes that a network means, the inverse of `encode`.

    Parameters
    ----------
    codes
        float32 (..., 4), as `encode` gives them.
    anchors
        float32 (..., 4): centre x, centre y, width, height.

    Returns
    -------
    numpy.ndarray
        float32 (..., 4): left, top, right, bottom, also beyond the photo; a side at most 62.5 times its anchor's.
    """
    moved, grown = np.split(codes / WEIGHTS, 2, -1)
    centre = moved * anchors[..., 2:] + anchors[..., :2]
    sides = np.exp(np.minimum(grown, np.float32(MAX_GROWTH))) * anchors[..., 2:]
    return corners(np.concatenate([centre, sides], -1))


def suppress(boxes: Array, scores: Array, max_overlap: float) -> NDArray[np.int64]:
    """Which boxes stay when each takes those away that overlap it and have a lower score (of equal ones the later).

    Parameters
    ----------
    boxes
        float32 (N, 4): left, top, right, bottom.
    scores
        float32 (N,).
    max_overlap
        A box that overlaps by more is taken away, 0 to 1.

    Returns
    -------
    numpy.ndarray
        int64: their numbers, the highest score first.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = boxes[order]
    close = overlaps(ordered, ordered) > max_overlap
    stays = np.ones(len(order), np.bool_)
    for i in range(len(order)):
        if stays[i]:
            stays[i + 1 :] &= ~close[i, i + 1 :]
    kept: NDArray[np.int64] = order[stays]
    return kept


def detections(
    boxes: Array,
    scores: Array,
    *,
    min_score: float = 0.001,
    max_candidates: int | None = 300,
    max_overlap: float = 0.55,
    max_boxes: int = 300,
) -> Array:
    """The objects in one photo: of each class the boxes that none with a higher score overlaps.

    Parameters
    ----------
    boxes
        float32 (A, 4): left, top, right, bottom, fractions of the photo's sides; cut at its edges.
    scores
        float32 (A, K): of each class, without the background, 0 to 1.
    min_score
        Only boxes of a class whose score is above.
    max_candidates
        Of each class so many are looked at, the highest scores first; None: all.
    max_overlap
        Of two boxes of a class that overlap by more, one stays.
    max_boxes
        So many are kept at most, of all classes.

    Returns
    -------
    numpy.ndarray
        float32 (n, 6): left, top, right, bottom, score, class; sorted by score, of equal ones the lower class first.

    Notes
    -----
    The defaults are torchvision's of its SSDLite. TensorFlow's: 1e-8, 100, 0.6, 100.

    Examples
    --------
    >>> boxes = np.array([[0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.52], [0.6, 0.6, 0.9, 1.2]], np.float32)
    >>> scores = np.array([[0.9, 0.0], [0.8, 0.0], [0.0, 0.5]], np.float32)
    >>> detections(boxes, scores).round(2).tolist()
    [[0.1..., 0.1..., 0.5, 0.5, 0.899..., 0.0], [0.600..., 0.600..., 0.899..., 1.0, 0.5, 1.0]]
    """
    boxes = boxes.clip(0, 1)
    classes, rows = np.nonzero((scores > min_score).T)
    found = scores[rows, classes]
    order = np.lexsort((-found, classes))
    if max_candidates is not None:
        first = np.searchsorted(classes, classes)  # of each candidate where its class begins
        order = order[np.arange(len(order)) - first < max_candidates]
    order = order[np.argsort(-found[order], kind="stable")]
    # A box changes nothing about those of higher scores: the rest is looked at only where too few are left of the best.
    count = 4 * max_boxes
    while True:
        best = order[:count]
        kept = np.zeros(len(best), np.bool_)
        for number in np.unique(classes[best]):
            own = np.flatnonzero(classes[best] == number)
            kept[own[suppress(boxes[rows[best[own]]], found[best[own]], max_overlap)]] = True
        if kept.sum() >= max_boxes or count >= len(order):
            break
        count *= 4
    best = best[kept][:max_boxes]
    return np.column_stack([boxes[rows[best]], found[best], classes[best].astype(np.float32)])


def padded(found: Array, count: int = 100) -> Array:
    """Rows of `detections` as float32 (count, 6): the first ones, filled up with rows of class -1 (`NONE`)."""
    rows = np.zeros((count, 6), np.float32)
    rows[:, 5] = NONE
    rows[: min(len(found), count)] = found[:count]
    return rows
