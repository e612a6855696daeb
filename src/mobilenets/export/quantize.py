"""8-bit arithmetic: which layers suffer from it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mobilenets.artifact import ModelCard
from mobilenets.export.calibration import Calibration
from mobilenets.export.graph import fold_norms
from mobilenets.nn.model import MobileNet

PICTURES = 16
LEVELS = 255


@torch.inference_mode()
def layer_noise(model: MobileNet, card: ModelCard, calibration: Calibration) -> dict[str, float]:
    """Signal to noise in dB of every layer's output when only its own weights and input are rounded to 8 bits.

    Weights per output channel and symmetric, inputs per tensor between their extremes, as every backend does
    (1712.05877, §2). Worst first: below some 20 dB a layer is worth keeping float.
    """
    network = fold_norms(model).cpu()
    noise: dict[str, float] = {}

    def compare(name: str) -> Any:
        def hook(layer: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
            weight = layer.weight.data
            layer.weight.data = _round_channels(weight)
            difference = layer.forward(_round_tensor(inputs[0])) - output
            layer.weight.data = weight
            ratio = output.square().mean() / difference.square().mean().clamp_min(1e-20)
            noise[name] = 10 * ratio.clamp_min(1e-20).log10().item()

        return hook

    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(compare(name))
    network(torch.from_numpy(card.preprocess.normalize(calibration.pixels[:PICTURES])))
    return dict(sorted(noise.items(), key=lambda item: item[1]))


def _round_channels(weight: torch.Tensor) -> torch.Tensor:
    largest = weight.abs().flatten(1).amax(1).clamp_min(1e-12)
    scale = (2 * largest / (LEVELS - 1)).view(-1, *[1] * (weight.ndim - 1))
    return (weight / scale).round() * scale


def _round_tensor(x: torch.Tensor) -> torch.Tensor:
    low, high = min(x.min().item(), 0.0), max(x.max().item(), 0.0)
    scale = max(high - low, 1e-12) / LEVELS
    zero = round(-low / scale)
    return ((x / scale).round() + zero).clamp(0, LEVELS).sub(zero) * scale
