"""A network cut to fewer channels: the least important go, and those that stay make up for them.

Slicing takes from every layer that reads a cut channel what that channel gave it. Most of it follows from the
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
from mobilenets.searching.pruning.groups import channel_groups
from mobilenets.searching.pruning.importance import importance, keep_important, slice_channels

POSITIONS = 2048  # of the maps of a batch that count
# Of the mean variance of the channels that stay: they change too, by what is cut before them. From 0.03 to 0.3 it
# matters little; with less the weights rely on what is no longer so, and are useless
# (docs/decisions/002-least-squares-ridge.md).
RIDGE = 0.1


@dataclass(frozen=True)
class Moments:
    """Mean (C,) and covariance (C, C), float64, of what a layer reads at a position."""

    mean: torch.Tensor
    covariance: torch.Tensor


class _Gathered:
    """Moments of rows (N, C) that come batch by batch."""

    def __init__(self, rows: torch.Tensor) -> None:
        self._centre = rows.mean(0)  # squares of what is far from 0 would lose their digits
        self._count = 0
        self._sum = torch.zeros(rows.shape[1], dtype=torch.float64)
        self._squares = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)

    def add(self, rows: torch.Tensor) -> None:
        rows = rows - self._centre
        self._count += len(rows)
        self._sum += rows.sum(0).cpu()
        self._squares += (rows.T @ rows).cpu()

    def moments(self) -> Moments:
        off = self._sum / self._count
        return Moments(self._centre.cpu().double() + off, self._squares / self._count - torch.outer(off, off))


class Inputs:
    """Gathers, within `with`, the moments of what every 1×1 convolution and linear layer of `model` reads."""

    def __init__(self, model: MobileNet) -> None:
        self._gathered: dict[str, _Gathered] = {}
        self._layers: dict[str, nn.Module] = {}
        for name in channel_groups(model.net).tensors:
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
        if name not in self._gathered:
            self._gathered[name] = _Gathered(rows)
        self._gathered[name].add(rows)

    def moments(self) -> dict[str, Moments]:
        """By the names of the layers' weights in the state dict."""
        return {name: gathered.moments() for name, gathered in self._gathered.items()}


def _mixes_channels(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.kernel_size == (1, 1) and layer.groups == 1
    return isinstance(layer, nn.Linear)


@dataclass(frozen=True)
class PruningStats:
    """What a cut has to know: the importance of the channels by group, and what the layers read by their weights."""

    scores: Mapping[str, torch.Tensor]
    inputs: Mapping[str, Moments]


def collect_stats(model: MobileNet, losses: Iterable[torch.Tensor]) -> PruningStats:
    """Find out both from one pass: `losses` as for `importance`."""
    with Inputs(model) as inputs:
        scores = importance(model, losses)
    return PruningStats(scores, inputs.moments())


def prune(model: MobileNet, sizes: Mapping[str, int], stats: PruningStats, ridge: float = RIDGE) -> MobileNet:
    """`model` with so many channels in each group of `sizes`, the most important; layers that read them make up.

    `ridge`: of the least squares, in mean variances of the channels that stay; 0 or more.

    Raises
    ------
    ValueError
        Numbers of channels that make another kind of network (see `groups.with_channels`).
    """
    keep = keep_important(stats.scores, sizes)
    narrow = slice_channels(model, keep)
    for name, (out, group) in channel_groups(model.net).tensors.items():
        if group in keep and name in stats.inputs:
            outputs = keep[out] if out in keep else slice(None)
            weight = model.get_parameter(name).detach().cpu().double().flatten(1)[outputs]
            _make_up(narrow, name, *_made_up(weight, stats.inputs[name], keep[group], ridge))
    return narrow


def _made_up(
    weight: torch.Tensor, inputs: Moments, kept: torch.Tensor, ridge: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """What to add to the weights (O, kept) and to the outputs (O,) of a layer of `weight` (O, C) that reads no more."""
    stays = torch.zeros(weight.shape[1], dtype=torch.bool)
    stays[kept] = True
    covariance = inputs.covariance[stays][:, stays]
    noise = ridge * covariance.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny)
    steady = covariance + noise * torch.eye(len(covariance), dtype=covariance.dtype)
    mixing = torch.linalg.solve(steady, inputs.covariance[stays][:, ~stays])  # what goes, as sums of what stays
    gone = weight[:, ~stays]
    return gone @ mixing.T, gone @ (inputs.mean[~stays] - inputs.mean[stays] @ mixing)


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
