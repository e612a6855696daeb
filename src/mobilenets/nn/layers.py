"""Layers that every MobileNet is made of."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from mobilenets.arch.layers import Gate, Layer
from mobilenets.arch.net import Net

_ACTIVATIONS: dict[str, type[nn.ReLU] | type[nn.ReLU6] | type[nn.Hardswish]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,  # clipped at 6 for fixed-point arithmetic (1704.04861's code; 1801.04381, §3.3)
    "hswish": nn.Hardswish,  # x · relu6(x + 3) / 6 (1905.02244, eq. 3)
}


def activation(name: str) -> nn.Module:
    """The activation of a row; "none" is the identity.

    ReLUs work in place: BatchNorm keeps its input for the backward pass, not its output, and these networks are bound
    by memory. h-swish needs its own input there: in place, autograd would copy it first.
    """
    return nn.Identity() if name == "none" else _ACTIVATIONS[name](inplace=name != "hswish")


class Conv2d(nn.Conv2d):
    """torch's convolution; where bfloat16 would be the slower arithmetic under autocast on a CPU, in float32.

    oneDNN computes the backward pass of a depthwise convolution with stride 2 ten times as fast in float32 as in
    bfloat16, and that of a 5×5 one twice as fast; only 3×3 with stride 1 gains
    (`docs/decisions/004-depthwise-in-float32.md`).
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, C', H', W') as torch's."""
        y: torch.Tensor
        depthwise = self.groups > 1 and (self.stride[0] > 1 or self.kernel_size[0] > 3)
        if depthwise and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                y = super().forward(x.float()).to(x.dtype)
        else:
            y = super().forward(x)
        return y


class SamePadConv2d(Conv2d):
    """A convolution with TensorFlow's SAME padding: as much as the input's size needs, the odd one at the end."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, C', ceil(H / stride), ceil(W / stride))."""
        pads = self.pads(x.shape[2], x.shape[3])
        return super().forward(F.pad(x, pads) if any(pads) else x)

    def pads(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Zeros to the left, to the right, above and below a map of this size."""
        vertical, horizontal = self._total(height, 0), self._total(width, 1)
        left, top = horizontal // 2, vertical // 2
        return left, horizontal - left, top, vertical - top

    def _total(self, size: int, axis: int) -> int:
        stride, reach = self.stride[axis], self.dilation[axis] * (self.kernel_size[axis] - 1)
        return max((math.ceil(size / stride) - 1) * stride + reach + 1 - size, 0)


class ConvNormAct(nn.Sequential):
    """Convolution without bias, BatchNorm, activation ("none": a linear layer), under `conv`, `norm`, `act`."""

    def __init__(self, net: Net, layer: Layer) -> None:
        super().__init__()
        same = net.padding == "same"
        self.conv: nn.Conv2d = (SamePadConv2d if same else Conv2d)(
            layer.channels,
            layer.out,
            layer.kernel,
            stride=layer.stride,
            padding=0 if same else (layer.kernel - 1) // 2 * layer.dilation,
            dilation=layer.dilation,
            groups=layer.groups,
            bias=False,
        )
        self.norm: nn.Module = nn.BatchNorm2d(layer.out, eps=net.norm_eps, momentum=net.norm_momentum)
        self.act = activation(layer.act)


def average(x: torch.Tensor) -> torch.Tensor:
    """The mean of each channel, (N, C, H, W) → (N, C, 1, 1).

    As pooling: engines compute that in the layout of their convolutions, and a mean over axes in another.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        mean: torch.Tensor = _Average.apply(x)  # type: ignore[no-untyped-call]  # torch: untyped
        return mean
    return F.adaptive_avg_pool2d(x, 1)


class _Average(torch.autograd.Function):
    """Pooling whose gradient, one value for all of a channel's map, is never written out.

    torch writes it as N, C, H, W in memory. Wherever that then meets a map of N, H, W, C, as in a gate's sum of two
    gradients, the two are combined slowly, element by element.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.shape = x.shape
        return F.adaptive_avg_pool2d(x, 1)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
        _, _, height, width = ctx.shape
        everywhere: torch.Tensor = (slope / (height * width)).expand(ctx.shape)
        return everywhere


class SqueezeExcite(nn.Module):
    """Channel gates from the mean of each channel: ReLU, then a hard sigmoid relu6(x + 3) / 6 (1905.02244, §5.3)."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(gate.channels, gate.squeeze, 1)
        self.expand = nn.Conv2d(gate.squeeze, gate.channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → the same shape."""
        gate = average(x)
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(gate))))


def make_layer(net: Net, layer: Layer | Gate) -> nn.Module:
    """The module of one layer of a row."""
    return SqueezeExcite(layer) if isinstance(layer, Gate) else ConvNormAct(net, layer)


def initialise(module: nn.Module) -> None:
    """He initialisation over fan-out, which for a depthwise convolution is k², not k²·C.

    torchvision does not divide by the groups, so that its depthwise layers start with a standard deviation
    too small by the root of their channels; timm and TensorFlow do (`init_weight_goog`).
    """
    if isinstance(module, (nn.Conv2d, nn.Linear)) and module.weight.is_meta:
        return  # nothing to fill; and to fill nothing, torch would import its compiler, which takes seconds
    if isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.01)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


Network = TypeVar("Network", bound=nn.Module)


def channels_last(model: Network) -> Network:
    """Lay the weights out as N, H, W, C in memory, which is what fast convolutions on CPUs and GPUs want."""
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model
