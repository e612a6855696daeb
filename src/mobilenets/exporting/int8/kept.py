"""Which layers stay float in 8 bits, where the quantiser can be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mobilenets.exporting.int8.calibration import Calibration
from mobilenets.model_card import ModelCard
from mobilenets.tasks import task_of

BOX_LAYERS, CLASS_LAYERS = ".boxes.predict.", ".classes.predict."  # in the names of a detector's last weights


class Layer(NamedTuple):
    """A convolution or fully connected layer of a graph: the name of its weights, and whether it is depthwise."""

    weight: str
    depthwise: bool


def kept_layers(layers: Sequence[Layer], card: ModelCard, calibration: Calibration) -> list[str]:
    """The weights of the `layers`, in the order in which they are computed, that stay float.

    The first convolution always does: it reads 256 levels of pixels, which lie in no grid of 256 steps once the mean of
    each colour is taken away. So does a depthwise one behind it: a V3's reads channels of very different size, which
    h-swish keeps so (see `equalise.py`). So do a detector's boxes, which 256 steps would move by a fraction of a side.
    """
    kept = [*layers[:2]] if layers[1].depthwise else [*layers[:1]]
    if task_of(card).has_boxes:
        ends = (BOX_LAYERS, CLASS_LAYERS) if calibration.skip_first_last else (BOX_LAYERS,)
        kept += [layer for layer in layers if any(end in layer.weight for end in ends)]
    elif calibration.skip_first_last:
        kept.append(layers[-1])
    return [layer.weight for layer in kept]
