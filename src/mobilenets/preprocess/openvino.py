"""Resize and crop as OpenVINO nodes, by the interpolation that it took over from Pillow: as `Preprocess.pixels`."""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import opset13 as ops

from mobilenets.preprocess.fit import PADDING
from mobilenets.preprocess.preprocess import Preprocess


def resize_and_crop(image: Any, preprocess: Preprocess) -> Any:
    """The node `image`, uint8 (H, W, 3) → a node of uint8 (1, size, size, 3)."""
    resized = _sides(image, preprocess)
    planes = ops.convert(ops.unsqueeze(ops.transpose(image, _whole(2, 0, 1)), _whole(0)), np.float32)
    across = _resized(planes, 3, ops.slice(resized, _whole(1), _whole(2), _whole(1)), preprocess)
    levels = _resized(across, 2, ops.slice(resized, _whole(0), _whole(1), _whole(1)), preprocess)
    size = _whole(preprocess.size, preprocess.size)
    half = ops.divide(ops.convert(ops.subtract(resized, size), np.float32), ops.constant(np.float32(2)))
    start = ops.convert(ops.round(half, "half_to_even"), np.int64)  # the corner is rounded as `Preprocess` rounds it
    end = ops.add(start, size)
    inner_start, inner_end = ops.maximum(start, _whole(0, 0)), ops.minimum(end, resized)
    fitted = ops.slice(levels, inner_start, inner_end, _whole(1, 1), _whole(2, 3))
    if preprocess.fit == "pad":
        before, after = ops.subtract(inner_start, start), ops.subtract(end, inner_end)
        around = [ops.concat([_whole(0, 0), count], 0) for count in (before, after)]
        fitted = ops.pad(fitted, *around, "constant", ops.constant(np.float32(PADDING)))
        # OpenVINO does not know the shape of what is padded by computed numbers.
        fitted = ops.reshape(fitted, _whole(1, 3, preprocess.size, preprocess.size), False)
    return ops.transpose(ops.convert(fitted, np.uint8), _whole(0, 2, 3, 1))


def _sides(image: Any, preprocess: Preprocess) -> Any:
    """Height and width after the resize: whole numbers, as `fit.window` computes them."""
    side = preprocess.resize_side
    if preprocess.fit == "squash":
        return _whole(side, side)
    sides = ops.slice(ops.shape_of(image), _whole(0), _whole(2), _whole(1))
    given = (ops.reduce_max if preprocess.fit == "pad" else ops.reduce_min)(sides, _whole(0), True)
    return ops.maximum(ops.divide(ops.multiply(sides, _whole(side)), given), _whole(1))


def _resized(planes: Any, axis: int, length: Any, preprocess: Preprocess) -> Any:
    """One axis resized to `length`, in whole grey levels, halves up: Pillow rounds between its two passes."""
    mode = f"{preprocess.interpolation}_pillow"
    resampled = ops.interpolate(planes, length, mode, "sizes", axes=_whole(axis), cube_coeff=-0.5)
    return ops.clamp(ops.floor(ops.add(resampled, ops.constant(np.float32(0.5)))), 0, 255)


def _whole(*values: int) -> Any:
    return ops.constant(np.array(values, np.int64))
