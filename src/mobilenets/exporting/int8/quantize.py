"""8-bit arithmetic, and which layers suffer from it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mobilenets.exporting.deploy import fold_norms
from mobilenets.exporting.int8.calibration import Calibration
from mobilenets.model_card import ModelCard
from mobilenets.nn.model import MobileNet

NUM_IMAGES = 16  # that tell which layers suffer
QMIN, QMAX = 0, 255  # of activations
LARGEST_WEIGHT = 127  # -128 is not used: symmetric
SMALLEST = 1e-12

QParams = tuple[float, int]  # scale, the step between two of 256 values, and zero point, which of them, from 0, is zero


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
            layer.weight.data = rounded_weight(weight, weight_steps(weight))
            difference = layer.forward(rounded(inputs[0], _between_extremes(inputs[0]))) - output
            layer.weight.data = weight
            ratio = output.square().mean() / difference.square().mean().clamp_min(1e-20)
            noise[name] = 10 * ratio.clamp_min(1e-20).log10().item()

        return hook

    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(compare(name))
    network(torch.from_numpy(card.preprocess.normalize(calibration.pixels[:NUM_IMAGES])))
    return dict(sorted(noise.items(), key=lambda item: item[1]))


def weight_steps(weight: torch.Tensor) -> torch.Tensor:
    """The step of each output channel's 8-bit weights (C,); `weight`: (C, …)."""
    return weight.detach().abs().flatten(1).amax(1).clamp_min(SMALLEST) / LARGEST_WEIGHT


def rounded_weight(weight: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """`weight` in 8 bits, symmetric; gradients pass as if it were not rounded."""
    zeros = torch.zeros_like(steps, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, steps, zeros, 0, -LARGEST_WEIGHT, LARGEST_WEIGHT)


def rounded(x: torch.Tensor, qparams: QParams) -> torch.Tensor:
    """`x` rounded by `qparams`; gradients pass where nothing is cut off."""
    return torch.fake_quantize_per_tensor_affine(x, *qparams, QMIN, QMAX)


def _between_extremes(x: torch.Tensor) -> QParams:
    low, high = min(x.min().item(), 0.0), max(x.max().item(), 0.0)
    scale = max(high - low, SMALLEST) / QMAX
    return scale, round(-low / scale)
