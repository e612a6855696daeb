"""Heat maps for people: laid over the picture, in colours of their own, and in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FloatArray = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]

# matplotlib's "inferno" at nine equal steps: its lightness rises evenly, so it reads in grey and with any colour
# vision.
_COLOURS = np.array(
    [
        (0, 0, 4),
        (33, 12, 74),
        (87, 16, 110),
        (138, 34, 106),
        (188, 55, 84),
        (228, 90, 49),
        (249, 142, 9),
        (249, 203, 53),
        (252, 255, 164),
    ],
    np.float32,
)
_STRONGEST = 0.5  # of the colour over the picture where the heat is 1: what lies beneath stays recognisable
_ROWS, _COLUMNS = ("upper", "", "lower"), ("left", "centre", "right")


def heat_picture(heat: FloatArray) -> Image.Image:
    """The heat map (H, W) in 0..1 in colours, from black (0) to pale yellow (1)."""
    return Image.fromarray(_coloured(heat).round().astype(np.uint8))


def overlay(pixels: Pixels, heat: FloatArray) -> Image.Image:
    """The picture, uint8 (H, W, 3 or 1), with its heat map (H, W) in 0..1 over it: an RGB image of the same size.

    Where the heat is 0 the picture is as it was, only grey, so that every colour seen is heat.
    """
    photo = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    grey = np.asarray(photo.convert("L"), np.float32)[..., None]
    share = _STRONGEST * heat[..., None]
    mixed = (1 - share) * grey + share * _coloured(heat)
    return Image.fromarray(mixed.round().astype(np.uint8))


def describe(heat: FloatArray) -> str:
    """The map in words, for whoever cannot see it: how small a part holds half of the heat, and where that part is."""
    total = float(heat.sum())
    if total <= 0:
        return "no part of the picture speaks for it"
    order = np.argsort(-heat, axis=None, kind="stable")
    hottest = order[: int(np.searchsorted(heat.flat[order].cumsum(), total / 2)) + 1]
    rows, columns = np.divmod(hottest, heat.shape[1])
    y, x = (rows.mean() + 0.5) / heat.shape[0], (columns.mean() + 0.5) / heat.shape[1]
    return f"half of the heat is in {100 * len(hottest) / heat.size:.0f} % of the picture, around the {_place(x, y)}"


def _place(x: float, y: float) -> str:
    row, column = _ROWS[min(2, int(3 * y))], _COLUMNS[min(2, int(3 * x))]
    return f"{row} {column}".strip()


def _coloured(heat: FloatArray) -> NDArray[np.float32]:
    steps = np.linspace(0, 1, len(_COLOURS))
    return np.stack([np.interp(heat, steps, channel) for channel in _COLOURS.T], axis=-1).astype(np.float32)
