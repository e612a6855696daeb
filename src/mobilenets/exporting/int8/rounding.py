"""Weights on the 8-bit grid such that what a layer gives changes least; rounding each by itself is not that.

The error of one weight is made good by those that are not rounded yet, as far as what the layer reads lets them
(2210.17323): in an image neighbours are nearly the same, so that the sum of a depthwise filter has to stay. What is
left of it in the mean the bias takes (1906.04721, §4.2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mobilenets.exporting.int8.quantize import LARGEST_WEIGHT, SMALLEST, weight_steps
from mobilenets.nn.layers import SamePadConv2d

DAMPING = 0.01  # of the mean variance: what was not met is not relied on
FLOAT_ERROR = 1e-6  # of the mean square: of a difference of sums in float32
MIN_VALUES = 4  # met for each weight of a filter; where there are fewer nothing is known of how inputs go together


class _Inputs:
    """Mean and covariance of what each of the G groups of a layer reads at once, its D inputs."""

    def __init__(self) -> None:
        self.count, self._sum, self._products = 0, torch.zeros(()), torch.zeros(())

    def add(self, values: torch.Tensor) -> None:
        """Take in `values` (G, N, D)."""
        self.count += values.shape[1]
        self._sum = self._sum + values.sum(1).double()
        self._products = self._products + (values.transpose(1, 2) @ values).double()

    @property
    def mean(self) -> torch.Tensor:
        """(G, D)."""
        return self._sum / self.count

    @property
    def covariance(self) -> torch.Tensor:
        """(G, D, D), the variances alone where too little was met."""
        mean, products = self.mean, self._products / self.count
        unsure = FLOAT_ERROR * products.diagonal(dim1=1, dim2=2).mean(1, keepdim=True) + SMALLEST
        covariance = products - mean[:, :, None] * mean[:, None] + torch.diag_embed(unsure.expand_as(mean))
        if self.count < MIN_VALUES * mean.shape[1]:
            return torch.diag_embed(covariance.diagonal(dim1=1, dim2=2))
        return covariance


@torch.no_grad()
def round_weights(network: nn.Module, batches: Iterable[torch.Tensor], kept: Collection[nn.Module] = ()) -> None:
    """Put the weights of `network`, BatchNorm folded, on the grid of each output channel, in place.

    `batches`: of what the network takes. `kept`: layers that stay as they are. The largest weight of a channel
    stays, so that every quantiser finds the same grid and rounds nothing again.
    """
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and m not in kept]
    inputs = {layer: _Inputs() for layer in layers}

    def watch(layer: Any, given: tuple[torch.Tensor]) -> None:
        inputs[layer].add(_read_at_once(layer, given[0]))

    hooks = [layer.register_forward_pre_hook(watch) for layer in layers]
    for batch in batches:
        network(batch)
    for hook in hooks:
        hook.remove()
    for layer in layers:
        groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
        weight = layer.weight.reshape(groups, -1, layer.weight[0].numel())  # (G, outputs, D)
        steps = weight_steps(layer.weight).view(groups, -1)
        rounded = round_together(weight, steps, inputs[layer].covariance)
        assert layer.bias is not None
        layer.bias += ((weight - rounded).double() @ inputs[layer].mean[:, :, None]).float().flatten()
        layer.weight.copy_(rounded.reshape(layer.weight.shape))


def round_together(weight: torch.Tensor, steps: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
    """`weight` (G, outputs, D) in multiples of `steps` (G, outputs), for inputs of `covariance` (G, D, D).

    Inputs are taken one after the other, those that vary most first. Each error goes into the weights behind by the
    rows of the Cholesky factor of the inverse covariance.
    """
    variance = covariance.diagonal(dim1=1, dim2=2)
    order = variance.argsort(1, descending=True)
    columns = order[:, None].expand_as(weight)
    damped = covariance + torch.diag_embed((DAMPING * variance.mean(1, keepdim=True)).expand_as(variance))
    damped = damped.gather(1, order[:, :, None].expand_as(damped)).gather(2, order[:, None].expand_as(damped))
    found, failed = torch.linalg.cholesky_ex(damped)
    # Of inputs that hardly vary about a large mean, float32 sums leave no covariance: each weight is rounded by itself.
    found = torch.where(failed[:, None, None] > 0, torch.eye(found.shape[1], dtype=found.dtype), found)
    factor = torch.linalg.cholesky(torch.cholesky_inverse(found), upper=True).float()
    wanted = weight.gather(2, columns)
    largest, remaining, rounded = wanted.abs().argmax(2), wanted.clone(), torch.empty_like(wanted)
    for i in range(wanted.shape[2]):
        column = torch.where(largest == i, wanted[:, :, i], remaining[:, :, i])
        rounded[:, :, i] = (column / steps).round().clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT) * steps
        error = (remaining[:, :, i] - rounded[:, :, i]) / factor[:, None, i, i]
        remaining[:, :, i + 1 :] -= error[:, :, None] * factor[:, None, i, i + 1 :]
    return torch.empty_like(rounded).scatter_(2, columns, rounded)


def _read_at_once(layer: nn.Conv2d | nn.Linear, x: torch.Tensor) -> torch.Tensor:
    """What a layer reads, (G, N, D): for each output and image the D values that are multiplied by its weights."""
    if isinstance(layer, nn.Linear):
        return x[None]
    if isinstance(layer, SamePadConv2d):
        x = F.pad(x, layer.pads(x.shape[2], x.shape[3]))
    assert not isinstance(layer.padding, str)
    patches = F.unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)  # (N, C · k · k, locations)
    count, values, locations = patches.shape
    grouped = patches.view(count, layer.groups, values // layer.groups, locations)
    return grouped.permute(1, 0, 3, 2).flatten(1, 2)
