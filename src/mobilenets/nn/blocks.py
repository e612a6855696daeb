"""One module per kind of row."""

from __future__ import annotations

import torch
from torch import nn

from mobilenets.arch.rows import Conv, Fused, Inverted, Net, Row, Separable, Universal
from mobilenets.nn.layers import ConvNormAct, SqueezeExcite


class SeparableBlock(nn.Module):
    """V1: depthwise, then pointwise, each with BatchNorm and activation."""

    def __init__(self, net: Net, channels: int, row: Separable) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(
            net, channels, channels, row.kernel, row.act, row.stride, row.dilation, groups=channels
        )
        self.pointwise = ConvNormAct(net, channels, row.out, act=row.act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, out, H / stride, W / stride)."""
        y: torch.Tensor = self.pointwise(self.depthwise(x))
        return y


class Bottleneck(nn.Module):
    """What V2, V3 and V4 share: some path from wide to narrow, and a residual where shapes allow.

    The projection has no activation: in the narrow space ReLU would destroy information that no later
    layer can restore (1801.04381, §3.2 and Fig. 6a).
    """

    def __init__(self, channels: int, row: Inverted | Universal | Fused) -> None:
        super().__init__()
        self.residual = row.stride == 1 and channels == row.out and getattr(row, "shortcut", True)

    def path(self, x: torch.Tensor) -> torch.Tensor:
        """Everything but the shortcut: the layers in the order they were added."""
        for layer in self.children():
            x = layer(x)
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, out, H / stride, W / stride)."""
        return x + self.path(x) if self.residual else self.path(x)


class InvertedBlock(Bottleneck):
    """V2 and V3: expand, depthwise, squeeze-and-excite, project."""

    def __init__(self, net: Net, channels: int, row: Inverted) -> None:
        super().__init__(channels, row)
        if row.exp != channels:
            self.expand = ConvNormAct(net, channels, row.exp, act=row.act)
        self.depthwise = ConvNormAct(
            net, row.exp, row.exp, row.kernel, row.act, row.stride, row.dilation, groups=row.exp
        )
        if row.se:
            self.se = SqueezeExcite(row.exp, row.se)
        self.project = ConvNormAct(net, row.exp, row.out)


class UniversalBlock(Bottleneck):
    """V4: an optional depthwise convolution before the expansion (linear) and one after it."""

    def __init__(self, net: Net, channels: int, row: Universal) -> None:
        super().__init__(channels, row)
        first_stride = 1 if row.kernel else row.stride
        if row.start:
            self.start = ConvNormAct(
                net, channels, channels, row.start, "none", first_stride, row.dilation, groups=channels
            )
        self.expand = ConvNormAct(net, channels, row.exp, act=row.act)
        if row.kernel:
            self.depthwise = ConvNormAct(
                net, row.exp, row.exp, row.kernel, row.act, row.stride, row.dilation, groups=row.exp
            )
        self.project = ConvNormAct(net, row.exp, row.out)


class FusedBlock(Bottleneck):
    """V4: a full convolution expands, a 1×1 convolution projects."""

    def __init__(self, net: Net, channels: int, row: Fused) -> None:
        super().__init__(channels, row)
        self.expand = ConvNormAct(net, channels, row.exp, row.kernel, row.act, row.stride, row.dilation)
        self.project = ConvNormAct(net, row.exp, row.out)


def make_block(net: Net, channels: int, row: Row) -> nn.Module:
    """The module of one row whose input has `channels` channels."""
    if isinstance(row, Conv):
        return ConvNormAct(net, channels, row.out, row.kernel, row.act, row.stride, row.dilation)
    if isinstance(row, Separable):
        return SeparableBlock(net, channels, row)
    if isinstance(row, Inverted):
        return InvertedBlock(net, channels, row)
    if isinstance(row, Universal):
        return UniversalBlock(net, channels, row)
    return FusedBlock(net, channels, row)
