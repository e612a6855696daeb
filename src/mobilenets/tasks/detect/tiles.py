"""Photos much larger than a network's input in tiles that overlap: where they lie, and boxes to them and back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenets.arch.ssd import MAX_OVERLAP
from mobilenets.errors import UsageError
from mobilenets.tasks.detect.targets import DECIMALS, Box

OVERLAP = 0.25  # of a tile's side: an object up to so large is whole in one of them
MIN_SIDE = 64  # pixels; what is smaller is an object, no photo
MIN_INSIDE = 0.4  # of a box's area, from which on it counts though its centre is in another tile
SAME = 0.5  # intersection over union from which on boxes of two tiles are of one object
PART = 0.6  # of a box that ends at the edge of its tile, from which on it is a part of another one
PART_SCORE = 0.5  # by which its score counts beside those of whole ones
_AT_EDGE = 0.01  # of a tile's side: a box that ends so near its edge may go on behind it


@dataclass(frozen=True)
class Tile:
    """A part of an upright photo in pixels, `width`×`height` from its left and top edge."""

    left: int
    top: int
    width: int
    height: int


def check_side(side: int) -> None:
    """Refuse tiles that are too small to be photos.

    Raises
    ------
    UsageError
        As said.
    """
    if side < MIN_SIDE:
        raise UsageError(f"--tile: {side} pixels are too few; use {MIN_SIDE} or more")


def grid(width: int, height: int, side: int) -> list[Tile]:
    """The tiles of a photo of `width`×`height` pixels, row by row; one, where no side of it is longer than `side`.

    Neighbours overlap by `OVERLAP` or more, evenly; each tile is `side` long, or as the photo where that is shorter.

    Examples
    --------
    >>> [(tile.left, tile.width) for tile in grid(1000, 300, 400)]
    [(0, 400), (300, 400), (600, 400)]
    >>> len(grid(400, 300, 400)), len(grid(401, 401, 400))
    (1, 4)
    """
    return [
        Tile(left, top, min(side, width), min(side, height))
        for top in _starts(height, side)
        for left in _starts(width, side)
    ]


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    steps = math.ceil((length - side) / (side * (1 - OVERLAP)))
    return [round(k * (length - side) / steps) for k in range(steps + 1)]


def boxes_in(tile: Tile, boxes: Iterable[Box], width: int, height: int) -> list[Box]:
    """The boxes of a photo of `width`×`height` that `tile` shows, 0 to 1 of it, and cut off at its edges.

    One counts where its centre is inside, or `MIN_INSIDE` of its area; what is seen of others is neither right nor
    wrong to find.

    Examples
    --------
    >>> boxes_in(Tile(0, 0, 50, 100), [Box("dog", 0.0, 0.0, 0.6, 1.0), Box("cat", 0.4, 0.0, 0.9, 1.0)], 100, 100)
    [Box(name='dog', x1=0.0, y1=0.0, x2=1.0, y2=1.0, ignore=False), \
Box(name='cat', x1=0.8, y1=0.0, x2=1.0, y2=1.0, ignore=True)]
    """
    found = []
    for box in boxes:
        x1, y1 = (box.x1 * width - tile.left) / tile.width, (box.y1 * height - tile.top) / tile.height
        x2, y2 = (box.x2 * width - tile.left) / tile.width, (box.y2 * height - tile.top) / tile.height
        left, top, right, bottom = (round(min(max(value, 0.0), 1.0), DECIMALS) for value in (x1, y1, x2, y2))
        if left >= right or top >= bottom:
            continue
        is_centre = 0 <= x1 + x2 < 2 and 0 <= y1 + y2 < 2
        inside = (right - left) * (bottom - top) / ((x2 - x1) * (y2 - y1))
        counts = not box.ignore and (is_centre or inside >= MIN_INSIDE)
        found.append(Box(box.name, left, top, right, bottom, not counts))
    return found


def merged(
    tiles: Sequence[Tile],
    rows: Sequence[NDArray[np.float32]],
    width: int,
    height: int,
    max_overlap: float = MAX_OVERLAP,
) -> NDArray[np.float32]:
    """What was found in the tiles of a photo of `width`×`height`, as if found in it: float32 (M, 6), the best first.

    Parameters
    ----------
    tiles
        Those of `grid`.
    rows
        Of each tile float32 (n, 6): x1 y1 x2 y2, 0 to 1 of the tile, score and class, which is -1 where there is none.
    width, height
        Of the upright photo in pixels.
    max_overlap
        IoU above which boxes of a tile are of one object; those of two tiles are from there on, or from `SAME`.

    Returns
    -------
    NDArray
        Rows of the same kind, 0 to 1 of the photo, sorted by score. Of one object in several tiles the best box is
        left. One that ends at the edge of its tile may be a part, and counts as half as good as its score.

    Examples
    --------
    >>> left, right = grid(175, 100, 100)
    >>> found = merged((left, right), (
    ...     np.array([[0.8, 0.2, 1.0, 0.4, 0.9, 0]], np.float32), np.array([[0.05, 0.2, 0.45, 0.4, 0.8, 0]], np.float32)
    ... ), 175, 100)
    >>> (found[:, [0, 2]] * 175).round().tolist(), len(found)
    ([[80.0, 120.0]], 1)
    """
    size = np.array([width, height, width, height], np.float64)
    boxes: list[NDArray[np.float64]] = [np.zeros((0, 4))]
    others: list[NDArray[np.float64]] = [np.zeros((0, 2))]
    parts: list[NDArray[np.bool_]] = [np.zeros(0, np.bool_)]
    for tile, found in zip(tiles, rows, strict=True):
        own = found[found[:, 5] >= 0].astype(np.float64)
        corners = own[:, :4] * [tile.width, tile.height, tile.width, tile.height]
        corners += [tile.left, tile.top, tile.left, tile.top]
        boxes.append(corners / size)
        others.append(own[:, 4:])
        parts.append(_at_inner_edge(own[:, :4], tile, width, height))
    corners, rest, part = np.concatenate(boxes), np.concatenate(others), np.concatenate(parts)
    source = np.repeat(np.arange(-1, len(tiles)), [len(own) for own in boxes])
    order = np.argsort(-np.where(part, PART_SCORE * rest[:, 0], rest[:, 0]), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    beside = [np.flatnonzero(np.isin(source, _neighbours(tiles, k))) for k in range(len(tiles))]
    left = np.ones(len(order), np.bool_)
    for i in order.tolist():
        if left[i]:
            near = beside[source[i]]
            near = near[left[near] & (rank[near] > rank[i]) & (rest[near, 1] == rest[i, 1])]
            left[near[_is_same(corners[i], corners[near], part[near], min(SAME, max_overlap))]] = False
    kept = order[left[order]]
    best = kept[np.argsort(-rest[kept, 0], kind="stable")]
    return np.concatenate([corners[best], rest[best]], axis=1).astype(np.float32)


def _neighbours(tiles: Sequence[Tile], k: int) -> list[int]:
    """The tiles that overlap the one of number `k`, without it: what is found elsewhere is another object."""
    a = tiles[k]
    return [
        n for n, b in enumerate(tiles) if n != k and abs(a.left - b.left) < a.width and abs(a.top - b.top) < a.height
    ]


def _at_inner_edge(boxes: NDArray[np.float64], tile: Tile, width: int, height: int) -> NDArray[np.bool_]:
    """Which boxes (n, 4) of a tile end at an edge of it that is none of the photo."""
    inner = np.array([tile.left > 0, tile.top > 0, tile.left + tile.width < width, tile.top + tile.height < height])
    distance = np.abs(boxes - np.array([0.0, 0.0, 1.0, 1.0]))
    ends: NDArray[np.bool_] = ((distance < _AT_EDGE) & inner).any(1)
    return ends


def _is_same(
    box: NDArray[np.float64], others: NDArray[np.float64], parts: NDArray[np.bool_], overlap: float
) -> NDArray[np.bool_]:
    """Which of `others` (n, 4) are of the same object as `box` (4,), from this IoU on, or, as `parts`, of a part."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.maximum(sides, 0).prod(1)
    area, areas = (box[2:] - box[:2]).prod(), (others[:, 2:] - others[:, :2]).prod(1)
    same: NDArray[np.bool_] = shared >= overlap * np.maximum(area + areas - shared, 1e-12)
    same |= parts & (shared >= PART * np.maximum(areas, 1e-12))
    return same
