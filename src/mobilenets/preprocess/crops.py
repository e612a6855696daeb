"""Random crops for training, drawn on what the evaluation shows of a photograph: its centre's surroundings, the padded
or the squashed picture."""

from __future__ import annotations

import math

import numpy as np

from mobilenets.preprocess.decode import Box

ATTEMPTS = 10  # of drawing a crop that lies inside, as torchvision's RandomResizedCrop

Range = tuple[float, float]


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
