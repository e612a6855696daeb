"""A network cut to fewer channels: the least important go, and those that stay make up for them.

Slicing takes from every layer that reads a cut channel what that channel gave it. Most of it can be told from the
channels that stay: maps of one layer are correlated. So each such layer gets the weights that come closest to its old
outputs, by least squares (He et al. 2017, 1707.06168, §3.1), in closed form from the mean and covariance of its inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import nn

from mobilenets.nn.layers import ConvNormAct
from mobilenets.nn.model import MobileNet
from mobilenets.search.layout import layout
from mobilenets.search.prune import importance, most_important, sliced

POSITIONS = 2048  # of the maps of a batch that count
# Of the mean variance of what stays, added to each: those maps change too, by what is cut before them. Of 0.003 to 1
# this is the best for small and for large cuts (benchmarks/reconstruct.py).
RIDGE = 0.1


@dataclass(frozen=True)
class Moments:
    """Mean (C,) and covariance (C, C), float64, of what a layer reads at a position."""

    mean: torch.Tensor
    covariance: torch.Tensor


class Inputs:
    """Gathers, within `with`, the moments of what every 1×1 convolution and linear layer of `model` reads."""

    def __init__(self, model: MobileNet) -> None:
        self._centres: dict[str, torch.Tensor] = {}
        self._sums: dict[str, tuple[int, torch.Tensor, torch.Tensor]] = {}
        self._layers: dict[str, nn.Module] = {}
        for name in layout(model.net).tensors:
            layer = model.get_submodule(name.rpartition(".")[0])
            if name.endswith(".weight") and _mixes_channels(layer):
                self._layers[name] = layer

    def __enter__(self) -> Inputs:
        """Begin to watch."""
        self._hooks = [
            layer.register_forward_pre_hook(lambda _, args, name=name: self._add(name, args[0]))
            for name, layer in self._layers.items()
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No longer watch."""
        for hook in self._hooks:
            hook.remove()

    def _add(self, name: str, maps: torch.Tensor) -> None:
        rows = maps.detach().movedim(1, -1).flatten(0, -2)  # (positions, C)
        if len(rows) > POSITIONS:
            rows = rows[torch.linspace(0, len(rows) - 1, POSITIONS, device=rows.device).long()]
        rows = rows.float()
        if name not in self._sums:  # about which it varies: squares of what is far from 0 lose their digits
            self._centres[name] = rows.mean(0)
        count, total, squares = self._sums.get(name, (0, torch.zeros(()), torch.zeros(())))
        rows = rows - self._centres[name]
        self._sums[name] = (
            count + len(rows),
            total + rows.sum(0).cpu().double(),
            squares + (rows.T @ rows).cpu().double(),
        )

    def moments(self) -> dict[str, Moments]:
        """By the names of the layers' weights in the state dict."""
        found = {}
        for name, (count, total, squares) in self._sums.items():
            off = total / count
            mean = self._centres[name].cpu().double() + off
            found[name] = Moments(mean, squares / count - torch.outer(off, off))
        return found


def _mixes_channels(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.kernel_size == (1, 1) and layer.groups == 1
    return isinstance(layer, nn.Linear)


@dataclass(frozen=True)
class Weighed:
    """What a cut has to know: the importance of the channels by space, and what the layers read by their weights."""

    scores: Mapping[str, torch.Tensor]
    inputs: Mapping[str, Moments]


def weigh(model: MobileNet, losses: Iterable[torch.Tensor]) -> Weighed:
    """Find out both from one pass: `losses` as for `prune.importance`."""
    with Inputs(model) as inputs:
        scores = importance(model, losses)
    return Weighed(scores, inputs.moments())


def cut(model: MobileNet, sizes: Mapping[str, int], weighed: Weighed) -> MobileNet:
    """`model` with so many channels in each space of `sizes`, the most important; layers that read them make up.

    Raises:
        ValueError: numbers of channels that make another kind of network (see `layout.resized`).
    """
    keep = most_important(weighed.scores, sizes)
    narrow = sliced(model, keep)
    for name, (out, space) in layout(model.net).tensors.items():
        if space in keep and name in weighed.inputs:
            outputs = keep[out] if out in keep else slice(None)
            weight = model.get_parameter(name).detach().cpu().double().flatten(1)[outputs]
            _make_up(narrow, name, *_made_up(weight, weighed.inputs[name], keep[space]))
    return narrow


def _made_up(weight: torch.Tensor, inputs: Moments, kept: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What to add to the weights (O, kept) and to the outputs (O,) of a layer of `weight` (O, C) that reads no more."""
    stays = torch.zeros(weight.shape[1], dtype=torch.bool)
    stays[kept] = True
    covariance = inputs.covariance[stays][:, stays]
    ridge = RIDGE * covariance.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny)
    told = torch.linalg.solve(
        covariance + ridge * torch.eye(len(covariance), dtype=covariance.dtype), inputs.covariance[stays][:, ~stays]
    )  # of every channel that goes, as a sum of those that stay
    gone = weight[:, ~stays]
    return gone @ told.T, gone @ (inputs.mean[~stays] - inputs.mean[stays] @ told)


@torch.no_grad()
def _make_up(narrow: MobileNet, name: str, weights: torch.Tensor, outputs: torch.Tensor) -> None:
    weight = narrow.get_parameter(name)
    weight.add_(weights.to(weight).view_as(weight))
    layer = narrow.get_submodule(name.rpartition(".")[0])
    if isinstance(layer.bias, nn.Parameter):
        layer.bias.add_(outputs.to(layer.bias))
    else:
        reader = narrow.get_submodule(name.rpartition(".conv.")[0])
        assert isinstance(reader, ConvNormAct)
        mean = reader.norm.get_buffer("running_mean")
        mean.sub_(outputs.to(mean))
