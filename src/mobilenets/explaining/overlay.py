"""Heat maps for people: laid over the picture, in colours of their own, and in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenets.preprocess import Preprocess

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
_STRONGEST = 0.5  # of the colour over the image where the heat is 1: what lies beneath stays recognisable
_LAYER_COLOUR = (255, 72, 0)  # seen on foliage, sky and skin alike
_LAYER_STRONGEST = 190  # of 255, likewise
_LAYER_LONGEST = 1024  # pixels
_ROWS, _COLUMNS = ("upper", "", "lower"), ("left", "centre", "right")


def heat_image(heat: FloatArray) -> Image.Image:
    """The heat map (H, W) in 0..1 in colours, from black (0) to pale yellow (1)."""
    return Image.fromarray(_coloured(heat).round().astype(np.uint8))


def overlay(pixels: Pixels, heat: FloatArray) -> Image.Image:
    """The picture, uint8 (H, W, 3 or 1), with its heat map (H, W) in 0..1 over it: an RGB image of the same size.

    Where the heat is 0 the picture is as it was, only grey, so that every colour seen is heat.
    """
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    grey = np.asarray(image.convert("L"), np.float32)[..., None]
    weight = _STRONGEST * heat[..., None]
    mixed = (1 - weight) * grey + weight * _coloured(heat)
    return Image.fromarray(mixed.round().astype(np.uint8))


def heat_layer(heat: FloatArray, size: tuple[int, int], preprocess: Preprocess) -> Image.Image:
    """An RGBA image to lay over an image of `size` (width, height): transparent but where the heat (h, w), 0..1, is.

    It has the proportions of that image. The heat is of what the network saw of it, which may be its centre only:
    outside there is nothing.
    """
    rgba = np.empty((*heat.shape, 4), np.uint8)
    rgba[..., :3] = _LAYER_COLOUR
    rgba[..., 3] = (heat * _LAYER_STRONGEST).round()
    left, top, right, bottom = preprocess.seen(*size)
    # As large as the heat is, but no longer than a screen.
    scale = min(max(heat.shape[1] / (right - left), heat.shape[0] / (bottom - top)), _LAYER_LONGEST / max(size))
    wide, high, x, y = (round(scale * length) for length in (right - left, bottom - top, left, top))
    canvas = Image.new("RGBA", (max(1, round(scale * size[0])), max(1, round(scale * size[1]))), (*_LAYER_COLOUR, 0))
    canvas.paste(Image.fromarray(rgba).resize((max(1, wide), max(1, high))), (x, y))
    return canvas


def describe(heat: FloatArray) -> str:
    """The map in words, for whoever cannot see it: how small a part holds half of the heat, and where that part is."""
    total = float(heat.sum())
    if total <= 0:
        return "no part of the photo speaks for it"
    order = np.argsort(-heat, axis=None, kind="stable")
    hottest = order[: int(np.searchsorted(heat.flat[order].cumsum(), total / 2)) + 1]
    rows, columns = np.divmod(hottest, heat.shape[1])
    y, x = (rows.mean() + 0.5) / heat.shape[0], (columns.mean() + 0.5) / heat.shape[1]
    return f"half of the heat is in {100 * len(hottest) / heat.size:.0f} % of the photo, around the {_position(x, y)}"


def _position(x: float, y: float) -> str:
    row, column = _ROWS[min(2, int(3 * y))], _COLUMNS[min(2, int(3 * x))]
    return f"{row} {column}".strip()


def _coloured(heat: FloatArray) -> NDArray[np.float32]:
    steps = np.linspace(0, 1, len(_COLOURS))
    return np.stack([np.interp(heat, steps, channel) for channel in _COLOURS.T], axis=-1).astype(np.float32)
