"""Where the network looked, as a picture to lay over the photograph."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenets.preprocess import Preprocess

if TYPE_CHECKING:
    from mobilenets.explaining.gradcam import Explainer
    from mobilenets.runtime.engines.torch import TorchEngine

_COLOUR = (255, 72, 0)  # seen on foliage, sky and skin alike
_STRONGEST = 190  # of 255: what lies beneath stays recognisable
_LONGEST = 1024  # pixels

Explain = Callable[[bytes], bytes]  # the bytes of a picture → the PNG to lay over it


def can_explain() -> bool:
    """Whether what explaining needs is installed."""
    return bool(find_spec("torch") and find_spec("captum"))


def explainer(open_network: Callable[[], TorchEngine], max_pixels: int) -> Explain:
    """Explains with the network that `open_network` gives: for the first picture, as it brings torch with it."""

    @cache
    def opened() -> tuple[Preprocess, Explainer]:
        from mobilenets.explaining.gradcam import Explainer

        network = open_network()
        return network.card.preprocess, Explainer(network)

    def explain(picture: bytes) -> bytes:
        preprocess, network = opened()
        photo = preprocess.read(picture, max_pixels=max_pixels)
        return overlay(network.explain(photo).heat, photo.image.size, preprocess)

    return explain


def overlay(heat: NDArray[np.floating[Any]], photo: tuple[int, int], preprocess: Preprocess) -> bytes:
    """A PNG of the proportions of `photo` (width, height), transparent but where the heat (h, w), 0..1, is.

    The heat is that of what the network saw of the photograph, which may be its centre only: outside there is nothing.
    """
    rgba = np.empty((*heat.shape, 4), np.uint8)
    rgba[..., :3] = _COLOUR
    rgba[..., 3] = (heat * _STRONGEST).round()
    left, top, right, bottom = preprocess.seen(*photo)
    # As large as the heat is, but no longer than a screen.
    scale = min(max(heat.shape[1] / (right - left), heat.shape[0] / (bottom - top)), _LONGEST / max(photo))
    wide, high, x, y = (round(scale * length) for length in (right - left, bottom - top, left, top))
    canvas = Image.new("RGBA", (max(1, round(scale * photo[0])), max(1, round(scale * photo[1]))), (*_COLOUR, 0))
    canvas.paste(Image.fromarray(rgba).resize((max(1, wide), max(1, high))), (x, y))
    file = io.BytesIO()
    canvas.save(file, "PNG")
    return file.getvalue()
