"""Where a photo is unlike the good ones, as heat over what the network saw of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenets.explaining.overlay import heat_layer
from mobilenets.preprocess import Preprocess


def unlike(heat: NDArray[np.float32], preprocess: Preprocess, width: float, height: float) -> NDArray[np.float32]:
    """The `heat` of an answer in the proportions of what was seen of a photo, float32 (h, w), 0 to 1.

    Parameters
    ----------
    heat
        float32, 0 to 1, of the network with this `preprocess`: `Answer.heat`.
    preprocess
        How the photo was shown to it.
    width, height
        Of the upright photo.

    Examples
    --------
    >>> from mobilenets.tasks.anomaly.answers import inspection
    >>> answer = inspection(None, np.array([0.6, 0.1, 0.1, 0.1, 0.9], np.float32), "good", 0.5)
    >>> heat = unlike(answer.heat, Preprocess(size=64, crop=1.0, fit="squash"), 200, 100)
    >>> heat.shape, float(heat[0, 0]), float(heat[-1, -1])
    ((32, 64), 0.0, 1.0)
    """
    side = (preprocess.size, preprocess.size)
    large = Image.fromarray(heat).resize(side, Image.Resampling.BILINEAR)
    part: NDArray[np.float32] = preprocess.photo_part(np.asarray(large), width, height)
    return part


def unlike_layer(heat: NDArray[np.float32], size: tuple[int, int], preprocess: Preprocess) -> Image.Image:
    """`heat_layer` of the `heat` of an answer, to lay over an image of its photo of `size` (width, height)."""
    return heat_layer(unlike(heat, preprocess, *size), size, preprocess)
