"""Where the network looked, as a picture to lay over the photograph."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mobilenets.explaining.overlay import heat_layer
from mobilenets.explaining.unlike import unlike_layer
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.predictor import Predictor
from mobilenets.tasks.anomaly.answers import Inspection

if TYPE_CHECKING:
    from mobilenets.explaining.gradcam import Explainer
    from mobilenets.nn.io import Network

Explain = Callable[[bytes], bytes]  # the bytes of a picture → the PNG to lay over it


def can_explain() -> bool:
    """Whether what explaining needs is installed."""
    return bool(find_spec("torch") and find_spec("captum"))


def inspector(predictor: Predictor[Inspection], max_pixels: int) -> Explain:
    """Draws where a picture is unlike good ones, as `predictor` answers it."""

    def explain(content: bytes) -> bytes:
        decoded = predictor.decoded(content, max_pixels)
        file = io.BytesIO()
        heat = predictor.predict(decoded).heat
        unlike_layer(heat, decoded.image.size, predictor.card.preprocess).save(file, "PNG")
        return file.getvalue()

    return explain


def explainer(open_network: Callable[[], Network], max_pixels: int) -> Explain:
    """Explains with the network that `open_network` gives: for the first picture, as it brings torch with it."""

    @cache
    def opened() -> tuple[Preprocess, Explainer]:
        from mobilenets.explaining.gradcam import Explainer

        network = open_network()
        return network.card.preprocess, Explainer(network)

    def explain(content: bytes) -> bytes:
        preprocess, network = opened()
        decoded = preprocess.read(content, max_pixels=max_pixels)
        file = io.BytesIO()
        heat_layer(network.explain(decoded).heat, decoded.image.size, preprocess).save(file, "PNG")
        return file.getvalue()

    return explain
