"""Where a detector's anchors lie on its input: the boxes that its outputs correct."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mobilenets.arch.net import Net
from mobilenets.arch.ssd import Level

Grid = tuple[int, int]  # rows and columns of a map


def grids(net: Net, height: int, width: int) -> tuple[Grid, ...]:
    """Rows and columns of every map that a detector predicts from, for an input of this size in pixels.

    Examples
    --------
    >>> from mobilenets.arch import build
    >>> grids(build("ssdlite_mobilenet_v2"), 320, 320)
    ((20, 20), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1))
    """
    found = []
    for stride in net.ssd.strides:
        rows, columns = height, width
        while stride > 1:  # every halving rounds up
            rows, columns, stride = -(-rows // 2), -(-columns // 2), stride // 2
        found.append((rows, columns))
    for _ in net.ssd.extras:
        rows, columns = found[-1]
        found.append((-(-rows // 2), -(-columns // 2)))
    return tuple(found)


def anchors(net: Net, height: int, width: int | None = None) -> NDArray[np.float32]:
    """The anchors of a detector for an input of this size in pixels (`width` None: a square).

    Parameters
    ----------
    net
        A detector.
    height, width
        Of the input in pixels.

    Returns
    -------
    numpy.ndarray
        float32 (A, 4), read-only: centre x, centre y, width and height, fractions of the input's sides; by level, row,
        column and anchor, as the outputs are.

    Raises
    ------
    UserError
        `net` is no detector.

    Examples
    --------
    >>> from mobilenets.arch import build
    >>> found = anchors(build("ssdlite_mobilenet_v3_large"), 320)
    >>> found.shape, found[0].tolist()
    ((3234, 4), [0.02500000037252903, 0.02500000037252903, 0.20000000298023224, 0.20000000298023224])
    """
    return on_grids(net.ssd.levels, net.ssd.order, grids(net, height, height if width is None else width))


@lru_cache(maxsize=16)
def on_grids(levels: tuple[Level, ...], order: str, of: Sequence[Grid]) -> NDArray[np.float32]:
    """As `anchors`, where the maps have these rows and columns."""
    found = []
    for level, (rows, columns) in zip(levels, of, strict=True):
        sides = np.array(level.sides(order))
        boxes = np.empty((rows, columns, level.count, 4))
        boxes[..., 0] = ((np.arange(columns) + 0.5) / columns)[None, :, None]
        boxes[..., 1] = ((np.arange(rows) + 0.5) / rows)[:, None, None]
        boxes[..., 2:] = sides
        found.append(boxes.reshape(-1, 4))
    result = np.concatenate(found).astype(np.float32)
    result.setflags(write=False)
    return result
