"""A network that loses less in 8 bits, whatever rounds it: the same in float, but for what its weights are rounded."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from mobilenets.exporting.deploy import fold_norms
from mobilenets.exporting.int8.calibration import Calibration
from mobilenets.exporting.int8.equalise import equalise
from mobilenets.exporting.int8.rounding import round_weights
from mobilenets.model_card import ModelCard
from mobilenets.nn.layers import channels_last
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.base import Pixels
from mobilenets.tasks import task_of

BATCH = 8
NUM_IMAGES = 40  # that weights are rounded by: a map has hundreds of values for each channel


def prepare_for_int8(model: MobileNet, card: ModelCard, calibration: Calibration) -> MobileNet:
    """A copy of `model`, BatchNorm folded, with equal channels and weights that 8 bits hold."""
    network = channels_last(fold_norms(model).cpu()).requires_grad_(False)
    equalise(network, _batches(card.preprocess, calibration.pixels))
    kept: list[nn.Module] = [network.get_submodule("stem.conv")]  # an export divides its weights by the deviation
    if task_of(card).has_boxes:
        kept += [heads.get_submodule("boxes.predict") for heads in network.get_submodule("heads").children()]
    elif calibration.skip_first_last:
        kept.append(network.classifier)
    some = calibration.pixels[:: max(1, len(calibration.pixels) // NUM_IMAGES)]
    round_weights(network, _batches(card.preprocess, some), kept)
    return network


def _batches(preprocess: Preprocess, pixels: Pixels) -> Iterator[torch.Tensor]:
    for start in range(0, len(pixels), BATCH):
        yield torch.from_numpy(preprocess.normalize(pixels[start : start + BATCH]))
