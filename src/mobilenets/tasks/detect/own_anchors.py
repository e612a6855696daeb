"""Anchors like the boxes that are trained for: a box that no anchor is like is hardly ever found."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.arch.anchors import anchors
from mobilenets.arch.net import Net
from mobilenets.arch.ssd import FINE_STRIDES, MAX_OVERLAP, STRIDES, Level, SsdHead
from mobilenets.tasks.detect.boxes import corners
from mobilenets.tasks.detect.matching import overlaps
from mobilenets.tasks.detect.targets import counted

Floats = NDArray[np.floating[Any]]

SMALL = 0.15  # of a photo's side; the map of stride 8 is read for objects whose middle one is smaller
MATCHED = 0.5  # IoU from which on an anchor is like a box
ENOUGH = 0.8  # of the boxes
TILED = 0.12  # the side of the middle object in a tile
MIN_TILE = 64  # pixels
ELONGATED = 3.5  # sides of one in ten boxes this much apart
MANY_CLASSES = 20  # from here on fewer anchors in the many cells of the finest map: each says the score of every class
MIN_SIDE, MAX_FIRST = 0.03, 0.2
LARGEST = (0.5, 0.95)
MIN_OVERLAP = 0.3  # above which two found boxes are one object, where true ones do not overlap at all
INEXACT = 0.2  # of overlap more than the true boxes', as found ones are not exact
_TYPICAL = 0.95  # of the boxes overlap the next of their class by less: some are drawn twice
_SEEN = 20_000  # boxes, from all over the list


def own_head(net: Net, boxes: Floats) -> SsdHead:
    """The head of the detector `net` with anchors like `boxes` (B, 4): corners, fractions of the photo's sides.

    The scales rise by the same factor from map to map, from those of small boxes to those of large ones.

    Examples
    --------
    >>> from mobilenets.arch import build
    >>> head = own_head(build("ssdlite_mobilenet_v2", num_classes=2), np.array([[0.1, 0.1, 0.2, 0.2]]))
    >>> head.strides, round(head.levels[0].scale, 3), [level.count for level in head.levels]
    ((8, 16, 32), 0.12, [6, 6, 6, 6, 6, 6, 6])
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).clip(1e-6)
    side = np.sqrt(sides.prod(1))
    is_small = bool(np.median(side) < SMALL)
    strides = FINE_STRIDES if is_small else STRIDES
    count = len(strides) + len(net.ssd.extras)
    first = float(np.clip(np.quantile(side, 0.1) * 1.2, MIN_SIDE if is_small else SMALL, MAX_FIRST))
    last = float(np.clip(np.quantile(side, 0.95) * 1.3, *LARGEST))
    scales = np.geomspace(first, last, count).tolist()
    ratios = (2.0, 4.0) if np.quantile((sides / sides[:, ::-1]).max(1), 0.9) > ELONGATED else (2.0, 3.0)
    levels = [
        Level((scale, math.sqrt(scale * after)), scale, ratios)
        for scale, after in zip(scales, [*scales[1:], 1.0], strict=True)
    ]
    if is_small and net.num_classes - 1 > MANY_CLASSES:
        levels[0] = Level((first,), first, (2.0,))
    return replace(net.ssd, strides=strides, levels=tuple(levels))


def own_overlap(rows: Floats) -> float:
    """How much boxes of a class must overlap to be taken for one object, where the true ones are like `rows`.

    Parameters
    ----------
    rows
        (N, M, 6), M ≥ 1: the boxes of each photo, as `Detect.targets` has them.

    Returns
    -------
    float
        IoU: `INEXACT` more than most true ones have, from `MIN_OVERLAP` to the published one.

    Examples
    --------
    >>> apart = np.array([[[0, 0, 0.4, 0.4, 0, 0], [0.5, 0.5, 0.9, 0.9, 0, 0]]])
    >>> own_overlap(apart), own_overlap(np.array([[[0, 0, 0.4, 0.4, 0, 0], [0, 0.2, 0.4, 0.6, 0, 0]]]))
    (0.3, 0.53)
    """
    largest = [0.0]
    for own in rows[np.linspace(0, len(rows) - 1, min(len(rows), _SEEN)).astype(int)]:
        own = own[counted(own)]
        table = np.where(own[:, None, 4] == own[:, 4], overlaps(own[:, :4], own[:, :4]), 0.0)
        np.fill_diagonal(table, 0.0)
        largest.extend(table.max(1, initial=0.0).tolist())
    return round(float(np.clip(np.quantile(largest, _TYPICAL) + INEXACT, MIN_OVERLAP, MAX_OVERLAP)), 2)


def matched(net: Net, size: int, boxes: Floats) -> float:
    """The fraction of `boxes` (B ≥ 1, 4) that an anchor is like, of the detector `net` for an input of `size`."""
    shown = boxes[np.linspace(0, len(boxes) - 1, min(len(boxes), _SEEN)).astype(int)].astype(np.float32)
    there = corners(anchors(net, size))
    parts = np.array_split(shown, max(1, len(shown) // 64))
    return float(np.concatenate([overlaps(part, there).max(1) >= MATCHED for part in parts]).mean())


def describe(net: Net, size: int, boxes: Floats, photo_side: float = 0.0) -> tuple[str, bool]:
    """How many `boxes` have an anchor, in words, and whether that is enough; where not, what would help.

    `photo_side`: of a photo in pixels, the middle one; 0: not known.
    """
    fraction = matched(net, size, boxes)
    line = f"anchors: {fraction:.0%} of the boxes have a matching one"
    if fraction >= ENOUGH:
        return line, True
    side = float(np.median(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))))
    line += f"; the middle box has a side of {side * size:.0f} pixels at {size}"
    larger = (round(size * factor / 32) * 32 for factor in (1.25, 1.5, 2.0, 3.0))
    enough = next((other for other in larger if matched(net, other, boxes) >= ENOUGH), None)
    if enough is not None:
        return f"{line}; --size {enough} would match {matched(net, enough, boxes):.0%}", False
    tile = round(photo_side * side / TILED / 32) * 32
    if MIN_TILE <= tile < photo_side:
        return f"{line}; --tile {tile} would show objects larger, in parts of the photos", False
    return f"{line}; give photos in which objects are larger", False
