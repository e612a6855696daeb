"""What a row consists of: convolutions, and gates over channels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One convolution of a row, with BatchNorm and activation.

    Parameters
    ----------
    name
        Of its module inside the row's; "" where the row is nothing but this convolution.
    kernel, channels, out
        The side of its kernel, its input's and its output's channels.
    act
        "none": linear.
    groups
        Equal to `channels` where it is depthwise.
    field
        The field of the row that holds `out`; None where the input gives it. Pruning narrows a row by it.
    norm
        False: a bias, and no BatchNorm.
    pooled
        It sees the mean of each channel, beside the map: a gate's.
    """

    name: str
    kernel: int
    channels: int
    out: int
    act: str = "none"
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    field: str | None = None
    norm: bool = True
    pooled: bool = False

    @property
    def convolutions(self) -> tuple[Layer, ...]:
        """Itself: as `Gate.convolutions`."""
        return (self,)

    @property
    def weights(self) -> int:
        """Weights of the convolution alone."""
        return self.kernel**2 * self.channels // self.groups * self.out

    def path(self, row: str) -> str:
        """The name of its module in the network, from that of the row's."""
        return f"{row}.{self.name}" if row and self.name else row or self.name

    def modules(self, row: str) -> tuple[str, ...]:
        """Names of the modules that hold its tensors: convolution and BatchNorm, or the convolution alone."""
        path = self.path(row)
        return (f"{path}.conv", f"{path}.norm") if self.norm else (path,)


@dataclass(frozen=True)
class Gate:
    """Squeeze-and-excite: a factor for each of `channels`, computed from their means over `squeeze` values."""

    name: str
    channels: int
    squeeze: int

    @property
    def convolutions(self) -> tuple[Layer, ...]:
        """The two that it computes the factors with."""
        return (
            Layer(f"{self.name}.reduce", 1, self.channels, self.squeeze, norm=False, pooled=True),
            Layer(f"{self.name}.expand", 1, self.squeeze, self.channels, norm=False, pooled=True),
        )


def pointwise(name: str, channels: int, out: int, act: str, field: str) -> Layer:
    """A 1×1 convolution."""
    return Layer(name, 1, channels, out, act, field=field)


def depthwise(name: str, kernel: int, channels: int, act: str, stride: int, dilation: int, field: str | None) -> Layer:
    """A convolution of every channel by itself; `field` where the row holds the number of its channels."""
    return Layer(name, kernel, channels, channels, act, stride, dilation, channels, field)
