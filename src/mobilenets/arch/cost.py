"""Parameters, multiply-accumulates and activation memory per row, without building a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mobilenets.arch.rows import Conv, Fused, Inverted, Net, Row, Separable
from mobilenets.errors import UserError

MIN_SIZE = 32  # pixels
# Between sizes that a search tries: four halvings then leave whole sides. Where a map of odd side is halved, its grid
# is not the one the weights know: at 184, 168 and 152 pixels a MobileNetV2 loses 2 to 7 points against 176, 160 and 144
# (docs/decisions/003-input-sizes.md).
SIZE_STEP = 16
BYTES_PER_ACTIVATION = 4  # float32


@dataclass(frozen=True)
class RowCost:
    """What one row takes and gives.

    `size` and `channels` are the input's side in pixels and channels, `out_size` and `out` the output's;
    `stride` is the reduction of the output against the image. `macs` counts multiply-accumulates of
    convolutions and linear layers (the papers' MAdds), `params` also BatchNorm's scale and shift;
    `activation_bytes` is the largest float32 input plus output of one of its layers at batch 1.
    """

    name: str
    row: Row | None
    size: int
    channels: int
    out_size: int
    out: int
    stride: int
    params: int
    macs: int
    activation_bytes: int


@dataclass(frozen=True)
class _Layer:
    """A convolution of `groups` groups from (size, channels) to (out_size, out)."""

    kernel: int
    channels: int
    out: int
    groups: int
    size: int
    out_size: int
    norm: bool = True
    bias: bool = False

    @property
    def params(self) -> int:
        weights = self.kernel**2 * self.channels // self.groups * self.out
        return weights + 2 * self.out * self.norm + self.out * self.bias

    @property
    def macs(self) -> int:
        return self.kernel**2 * self.channels // self.groups * self.out * self.out_size**2

    @property
    def activations(self) -> int:
        return self.channels * self.size**2 + self.out * self.out_size**2


def costs(net: Net, size: int = 224) -> list[RowCost]:
    """One entry per row of `net` (stem, blocks, last convolution, head) for an input of `size` pixels.

    Raises:
        UserError: `size` below 32.
    """
    if size < MIN_SIZE:
        raise UserError(f"size: {size} pixels are too few; use {MIN_SIZE} or more")
    rows: list[tuple[str, Row]] = [("stem", net.stem)]
    rows += [(f"blocks.{i}", row) for i, row in enumerate(net.blocks)]
    rows += [("last", net.last)] if net.last else []
    result, channels, side, stride = [], net.in_channels, size, 1
    for name, row in rows:
        out_side = -(-side // row.stride)
        stride *= row.stride
        layers = list(_layers(row, channels, side, out_side))
        result.append(_cost(name, row, layers, side, channels, out_side, row.out, stride))
        channels, side = row.out, out_side
    if net.head.hidden:
        layer = _Layer(1, channels, net.head.hidden, 1, 1, 1, norm=net.head.norm, bias=not net.head.norm)
        result.append(_cost("head", None, [layer], 1, channels, 1, net.head.hidden, stride))
        channels = net.head.hidden
    if net.num_classes:
        layer = _Layer(1, channels, net.num_classes, 1, 1, 1, norm=False, bias=True)
        result.append(_cost("classifier", None, [layer], 1, channels, 1, net.num_classes, stride))
    return result


def total(net: Net, size: int = 224) -> tuple[int, int]:
    """Parameters and MACs of the whole network."""
    rows = costs(net, size)
    return sum(r.params for r in rows), sum(r.macs for r in rows)


def _cost(
    name: str,
    row: Row | None,
    layers: list[_Layer],
    size: int,
    channels: int,
    out_size: int,
    out: int,
    stride: int,
) -> RowCost:
    peak = max(layer.activations for layer in layers) * BYTES_PER_ACTIVATION
    params, macs = sum(layer.params for layer in layers), sum(layer.macs for layer in layers)
    return RowCost(name, row, size, channels, out_size, out, stride, params, macs, peak)


def _layers(row: Row, channels: int, size: int, out_size: int) -> Iterator[_Layer]:
    """The convolutions of one row, in order."""
    if isinstance(row, Conv):
        yield _Layer(row.kernel, channels, row.out, 1, size, out_size)
    elif isinstance(row, Separable):
        yield _Layer(row.kernel, channels, channels, channels, size, out_size)
        yield _Layer(1, channels, row.out, 1, out_size, out_size)
    elif isinstance(row, Inverted):
        if row.exp != channels:
            yield _Layer(1, channels, row.exp, 1, size, size)
        yield _Layer(row.kernel, row.exp, row.exp, row.exp, size, out_size)
        if row.se:
            yield _Layer(1, row.exp, row.se, 1, 1, 1, norm=False, bias=True)
            yield _Layer(1, row.se, row.exp, 1, 1, 1, norm=False, bias=True)
        yield _Layer(1, row.exp, row.out, 1, out_size, out_size)
    elif isinstance(row, Fused):
        yield _Layer(row.kernel, channels, row.exp, 1, size, out_size)
        yield _Layer(1, row.exp, row.out, 1, out_size, out_size)
    else:
        start_size = size if row.kernel else out_size
        if row.start:
            yield _Layer(row.start, channels, channels, channels, size, start_size)
        yield _Layer(1, channels, row.exp, 1, start_size, start_size)
        if row.kernel:
            yield _Layer(row.kernel, row.exp, row.exp, row.exp, start_size, out_size)
        yield _Layer(1, row.exp, row.out, 1, out_size, out_size)
