"""Normalisation in torch: as the layers of a graph that is exported, and in place for the batches of a training."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mobilenets.preprocess.preprocess import Preprocess


class FromPlanes(nn.Module):
    """`network` behind its normalisation: takes float planes (N, C, H, W) of 0..255.

    The division can be folded into the first convolution, the subtraction not: around the borders a convolution pads
    with zeros, which are the mean.
    """

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.network = network
        scale = 255 * torch.tensor([preprocess.mean, preprocess.std]).view(2, 1, -1, 1, 1)  # (2, 1, C, 1, 1)
        self.mean = nn.Buffer(scale[0])
        self.std: torch.Tensor | None = nn.Buffer(scale[1])

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """float (N, C, H, W) of 0..255 → what `network` makes of the normalised images."""
        centred = planes - self.mean
        result: torch.Tensor = self.network(centred if self.std is None else centred / self.std)
        return result

    def fold_division(self, weight: torch.Tensor) -> None:
        """Let the network's first convolution, of this `weight`, divide: one pass less over the picture."""
        if self.std is not None:
            weight.data = weight.data / self.std
            self.std = None


class FromPixels(nn.Module):
    """`network` behind its normalisation: takes pixels as a decoder leaves them, uint8 (N, H, W, C)."""

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.from_planes = FromPlanes(network, preprocess)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, C) → what `network` makes of the normalised images."""
        result: torch.Tensor = self.from_planes(image.permute(0, 3, 1, 2).float())
        return result


def to_device(values: NDArray[np.generic], device: torch.device) -> torch.Tensor:
    """The array on `device`. A GPU is not waited for: it copies when it has done what it was given before."""
    tensor = torch.from_numpy(values)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class Images:
    """A batch as a network takes it, without a copy: what training and validation are fed through."""

    def __init__(self, preprocess: Preprocess, device: torch.device) -> None:
        self._device = device
        self._scale = 255 * torch.tensor([preprocess.mean, preprocess.std], device=device)

    def __call__(self, pixels: NDArray[np.generic]) -> torch.Tensor:
        """uint8 (N, H, W, C) → normalised float32 (N, C, H, W) in channels-last memory.

        Activations, float16, stay what they are.
        """
        x = to_device(pixels, self._device).to(torch.float32)
        if pixels.dtype != np.uint8:
            return x.permute(0, 3, 1, 2)
        mean, std = self._scale.repeat(1, x.shape[2])  # (W · C,) for a row: three values at a time would be no vectors
        x.flatten(2).sub_(mean).div_(std)
        return x.permute(0, 3, 1, 2)
