"""The module of a row: its layers under their names, and a residual where shapes allow."""

from __future__ import annotations

import torch
from torch import nn

from mobilenets.arch.net import Net
from mobilenets.arch.rows import Row
from mobilenets.nn.layers import make_layer


class Block(nn.Module):
    """Any row: its layers run in the order in which the row says them.

    The kinds of row that a paper draws have their path written out below, to be read beside its figure.
    """

    def __init__(self, net: Net, row: Row, channels: int) -> None:
        super().__init__()
        layers = list(row.layers(channels))
        self.order = tuple(layer.name for layer in layers)
        for layer in layers:
            self.add_module(layer.name, make_layer(net, layer))
        self.residual = row.residual(channels)

    def path(self, x: torch.Tensor) -> torch.Tensor:
        """Everything but the shortcut."""
        for name in self.order:
            x = self.get_submodule(name)(x)
        return x

    def tapped(self, x: torch.Tensor, inner: str) -> tuple[torch.Tensor, torch.Tensor]:
        """What the layer named `inner` gives, and then the block."""
        at = self.order.index(inner) + 1
        y = x
        for name in self.order[:at]:
            y = self.get_submodule(name)(y)
        tap = y
        for name in self.order[at:]:
            y = self.get_submodule(name)(y)
        return tap, x + y if self.residual else y

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, out, H / stride, W / stride)."""
        y = self.path(x)
        return x + y if self.residual else y


class SeparableBlock(Block):
    """V1 (1704.04861, Fig. 3)."""

    depthwise: nn.Module
    pointwise: nn.Module

    def path(self, x: torch.Tensor) -> torch.Tensor:
        """Both have BatchNorm and an activation."""
        y: torch.Tensor = self.pointwise(self.depthwise(x))
        return y


class _WithoutSome(Block):
    """A row that may lack some of its layers: nothing happens where one is not there."""

    optional: tuple[str, ...]

    def __init__(self, net: Net, row: Row, channels: int) -> None:
        super().__init__(net, row, channels)
        for name in self.optional:
            if name not in self.order:
                self.add_module(name, nn.Identity())


class InvertedBlock(_WithoutSome):
    """V2 and V3 (1801.04381, Fig. 4d; 1905.02244, Fig. 4)."""

    optional = ("expand", "se")
    expand: nn.Module
    depthwise: nn.Module
    se: nn.Module
    project: nn.Module

    def path(self, x: torch.Tensor) -> torch.Tensor:
        """From narrow to wide, and linearly back."""
        y: torch.Tensor = self.project(self.se(self.depthwise(self.expand(x))))
        return y


class UniversalBlock(_WithoutSome):
    """V4 (2404.10518, Fig. 4)."""

    optional = ("start", "depthwise")
    start: nn.Module
    expand: nn.Module
    depthwise: nn.Module
    project: nn.Module

    def path(self, x: torch.Tensor) -> torch.Tensor:
        """`start` is linear, as the projection is."""
        y: torch.Tensor = self.project(self.depthwise(self.expand(self.start(x))))
        return y


class FusedBlock(Block):
    """V4: the expansion is a full convolution."""

    expand: nn.Module
    project: nn.Module

    def path(self, x: torch.Tensor) -> torch.Tensor:
        """From narrow to wide, and linearly back."""
        y: torch.Tensor = self.project(self.expand(x))
        return y


_WRITTEN_OUT = {
    "separable": SeparableBlock,
    "inverted": InvertedBlock,
    "universal": UniversalBlock,
    "fused": FusedBlock,
}


def make_block(net: Net, channels: int, row: Row) -> nn.Module:
    """The module of one row whose input has `channels` channels."""
    first, *more = row.layers(channels)
    if not more and not first.name:
        return make_layer(net, first)
    return _WRITTEN_OUT.get(row.kind, Block)(net, row, channels)
