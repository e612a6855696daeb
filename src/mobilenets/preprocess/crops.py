"""Random crops for training, drawn on what the evaluation shows of a photograph: its centre's surroundings, the padded
or the squashed picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mobilenets.preprocess.decode import Box

ATTEMPTS = 10  # of drawing a crop that lies inside, as torchvision's RandomResizedCrop

_SLACK = 1e-6  # of a pixel: what is a whole number but for rounding is one

Range = tuple[float, float]
Frame = tuple[float, float, float, float, float, float]
"""Where an input shows a photo: (a, b, c, d, e, f), of its point (x, y) the input's (a x + b y + c, d x + e y + f).
Both are 0 to 1 from the upper left corner."""


@dataclass(frozen=True)
class PastedBox:
    """A box of a photo in an input: the part `inside` the photo is resized to `wide` × `high` and put at `x`, `y`."""

    inside: Box
    x: int
    y: int
    wide: int
    high: int


def paste_box(size: int, box: Box, width: float, height: float) -> PastedBox:
    """Where an input of `size` shows the `box` (left, top, right, bottom, in pixels) of a `width` × `height` photo."""
    left, top, right, bottom = box
    inside = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if inside == tuple(box):
        return PastedBox(inside, 0, 0, size, size)
    per_x, per_y = size / (right - left), size / (bottom - top)
    wide = max(1, math.floor((inside[2] - inside[0]) * per_x + _SLACK))
    high = max(1, math.floor((inside[3] - inside[1]) * per_y + _SLACK))
    x = round(((inside[0] + inside[2]) / 2 - left) * per_x - wide / 2)  # a padded whole lies where `pixels` has it
    y = round(((inside[1] + inside[3]) / 2 - top) * per_y - high / 2)
    return PastedBox(inside, x, y, wide, high)


def frame_of(size: int, box: Box, width: float, height: float) -> Frame:
    """The frame of `paste_box` with the same arguments.

    Examples
    --------
    >>> frame_of(100, (20, 0, 40, 20), 40, 40)
    (2.0, 0.0, -1.0, 0.0, 2.0, 0.0)
    """
    pasted = paste_box(size, box, width, height)
    left, top, right, bottom = pasted.inside
    across, down = pasted.wide / (right - left) / size, pasted.high / (bottom - top) / size
    return across * width, 0.0, pasted.x / size - across * left, 0.0, down * height, pasted.y / size - down * top


def random_view(fit: str, width: int, height: int, scale: Range, ratio: Range, rng: np.random.Generator) -> Box:
    """A random crop (left, top, right, bottom) of a `width` × `height` photograph, in its pixels, for `fit`.

    "crop": of the photograph. "squash": of the photograph made square, so that it is distorted as in evaluation.
    "pad": of the photograph padded to a square, at the scales of evaluation; it may reach beyond the photograph, but
    no side of it is spent on padding while photograph is cut off: the crop lies in the photograph or covers it.
    """
    if fit == "squash":
        left, top, right, bottom = random_box(1, 1, scale, ratio, rng)
        return left * width, top * height, right * width, bottom * height
    if fit == "pad":
        side = max(width, height)
        left, top, right, bottom = random_box(side, side, scale, ratio, rng)
        w, h = right - left, bottom - top
        left, top = _covering(width, side, w, rng), _covering(height, side, h, rng)
        return left, top, left + w, top + h
    return random_box(width, height, scale, ratio, rng)


def zoomed_out(fit: str, width: int, height: int, factor: float, rng: np.random.Generator) -> Box:
    """A box `factor` times as large as the evaluation's around a `width` × `height` photo, which lies in it anywhere.

    In the photo's pixels; for the `fit`s that show all of a photo.
    """
    side = max(width, height)
    w, h = (factor * width, factor * height) if fit == "squash" else (factor * side, factor * side)
    left, top = -rng.uniform(0, w - width), -rng.uniform(0, h - height)
    return left, top, left + w, top + h


def random_box(width: float, height: float, scale: Range, ratio: Range, rng: np.random.Generator) -> Box:
    """A random crop (left, top, right, bottom) inside a `width` × `height` picture.

    Area and aspect ratio are drawn as in Inception's training (1409.4842, §6; torchvision's RandomResizedCrop);
    where none fits in ten attempts, the largest central crop of an allowed ratio.
    """
    for _ in range(ATTEMPTS):
        area = width * height * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if w <= width and h <= height:
            left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
            return left, top, left + w, top + h
    aspect = min(max(width / height, ratio[0]), ratio[1])
    w, h = min(width, height * aspect), min(height, width / aspect)
    left, top = (width - w) / 2, (height - h) / 2
    return left, top, left + w, top + h


def _covering(length: float, side: float, crop: float, rng: np.random.Generator) -> float:
    """Where a crop begins on an axis: inside a photograph of `length`, or around all of it; never beyond `side`."""
    padding = (side - length) / 2
    low = max(-padding, min(0.0, length - crop))
    high = min(length + padding - crop, max(0.0, length - crop))
    return float(rng.uniform(low, max(low, high)))
