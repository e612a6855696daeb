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
    from mobilenets.evaluate.explain import Explainer
    from mobilenets.runtime.torch import TorchEngine

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
        from mobilenets.evaluate.explain import Explainer

        network = open_network()
        return network.card.preprocess, Explainer(network)

    def explain(picture: bytes) -> bytes:
        preprocess, network = opened()
        photo = preprocess.read(picture, max_pixels=max_pixels)
        return overlay(network.explain(photo).heat, photo.image.size, preprocess)

    return explain


def overlay(heat: NDArray[np.floating[Any]], photo: tuple[int, int], preprocess: Preprocess) -> bytes:
    """A PNG of the proportions of `photo` (width, height), transparent but where the heat (size, size), 0..1, is.

    The network saw the centre of the photograph only: outside there is nothing.
    """
    wide, high = preprocess.resized(*photo)
    size = preprocess.size
    rgba = np.empty((size, size, 4), np.uint8)
    rgba[..., :3] = _COLOUR
    rgba[..., 3] = (heat * _STRONGEST).round()
    scale = min(1.0, _LONGEST / max(wide, high))
    box = [round(scale * edge) for edge in ((wide - size) / 2, (high - size) / 2, size)]
    canvas = Image.new("RGBA", (max(1, round(scale * wide)), max(1, round(scale * high))), (*_COLOUR, 0))
    side = max(1, box[2])
    canvas.paste(Image.fromarray(rgba).resize((side, side)), (box[0], box[1]))
    file = io.BytesIO()
    canvas.save(file, "PNG")
    return file.getvalue()
