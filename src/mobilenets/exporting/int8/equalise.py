"""Channels brought near to one size, so that the one scale of 8 bits that a tensor has suits them all.

What writes a channel is multiplied and what reads it divided by the same factor, which changes nothing in float
(1906.04721, §4.1): a ReLU passes it on, a ReLU6 as far as the channel then stays below 6, h-swish does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple, TypeGuard

import torch
from torch import nn

from mobilenets.exporting.int8.quantize import SMALLEST
from mobilenets.nn.blocks import Block
from mobilenets.nn.layers import ConvNormAct
from mobilenets.nn.model import MobileNet

ROOM = 1.1  # over the largest value met: other photos have larger ones
MAX_FACTOR = 100.0


class Group(NamedTuple):
    """Maps with the same channels: the modules that give them, the layers that write and those that read them."""

    maps: list[nn.Module]
    writers: list[nn.Module]
    readers: list[nn.Module]


@torch.no_grad()
def equalise(network: MobileNet, batches: Iterable[torch.Tensor]) -> None:
    """Scale the channels of `network`, BatchNorm folded, by their largest values on normalised images, in place."""
    net = network.net
    infos = [*net.head_maps[:-1], *([net.earlier_map] if net.classifies else [])]
    read_too = {_writer(network.get_submodule(info.name)) for info in infos}  # by a head, or for what is unknown
    groups = [group for group in _groups(network) if not read_too & {*group.maps}]
    largest = _largest(network, {module for group in groups for module in group.maps}, batches)
    for group in groups:
        writers = [layer for layer in group.writers if _passes_factor(layer)]
        readers = [layer.conv for layer in group.readers if isinstance(layer, ConvNormAct)]
        if len(writers) < len(group.writers) or len(readers) < len(group.readers):
            continue
        values = ROOM * torch.stack([largest[module] for module in group.maps]).amax(0)
        clipped = any(isinstance(layer.act, nn.ReLU6) for layer in writers)
        limit = torch.tensor(6.0) if clipped else values.max().clamp_min(SMALLEST)
        factors = (limit / values.clamp_min(limit / MAX_FACTOR)).clamp_min(1)
        # A depthwise convolution has a scale of weights for every channel. In others, what small values are multiplied
        # by is lost by the weights that read them: half of it each (2211.10438, §4).
        if not all(reader.groups > 1 for reader in readers):
            factors = factors.sqrt()
        for layer in writers:
            layer.conv.weight *= factors.view(-1, 1, 1, 1)
            assert layer.conv.bias is not None
            layer.conv.bias *= factors
        for reader in readers:
            reader.weight /= factors.view((-1, 1, 1, 1) if reader.groups > 1 else (1, -1, 1, 1))


def _writer(module: nn.Module) -> nn.Module:
    """The last layer of a row, or a layer itself: a map of it is in every `Group` with what is added to it."""
    return module.get_submodule(module.order[-1]) if isinstance(module, Block) else module


def _groups(network: MobileNet) -> Iterator[Group]:
    """What passes from layer to layer, and from block to block with all that is added to it."""
    current = Group([network.stem], [network.stem], [])
    for block in network.blocks:
        layers = [block.get_submodule(name) for name in block.order] if isinstance(block, Block) else [block]
        yield from (Group([before], [before], [after]) for before, after in pairwise(layers))
        current.readers.append(layers[0])
        if getattr(block, "residual", False):
            current.maps.extend((layers[-1], block))
            current.writers.append(layers[-1])
        else:
            yield current
            current = Group([layers[-1]], [layers[-1]], [])
    if isinstance(network.last, ConvNormAct):  # else it is the features, which are an output
        yield current._replace(readers=[*current.readers, network.last])


def _passes_factor(layer: nn.Module) -> TypeGuard[ConvNormAct]:
    return isinstance(layer, ConvNormAct) and not isinstance(layer.act, nn.Hardswish)


def _largest(
    network: MobileNet, maps: set[nn.Module], batches: Iterable[torch.Tensor]
) -> dict[nn.Module, torch.Tensor]:
    """The largest absolute value of every channel of what the modules `maps` give (C,)."""
    largest: dict[nn.Module, torch.Tensor] = {}

    def watch(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        values = output.abs().amax((0, 2, 3))
        largest[module] = torch.maximum(values, largest.get(module, values))

    hooks = [module.register_forward_hook(watch) for module in maps]
    for batch in batches:
        network(batch)
    for hook in hooks:
        hook.remove()
    return largest
