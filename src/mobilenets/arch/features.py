"""The multi-scale maps a network offers, known before it is built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mobilenets.arch.layers import Gate, Layer
from mobilenets.arch.rows import Row
from mobilenets.errors import UsageError

if TYPE_CHECKING:
    from mobilenets.arch.net import Net


@dataclass(frozen=True)
class FeatureInfo:
    """One map: the row it comes out of, or the layer inside ("blocks.12.expand"), its stride and its channels."""

    name: str
    stride: int
    channels: int


def feature_info(net: Net) -> tuple[FeatureInfo, ...]:
    """The last map of every stride from 2 on (C1, C2, …); the deepest is that after the last convolution.

    Where a dilated network keeps its stride, fewer strides and so fewer maps exist.
    """
    stride = net.stem.stride
    last_of: dict[int, FeatureInfo] = {}
    for i, row in enumerate(net.blocks):
        stride *= row.stride
        last_of[stride] = FeatureInfo(f"blocks.{i}", stride, row.out)
    last_of[stride] = FeatureInfo("last", stride, net.feature_channels)
    return tuple(last_of[s] for s in sorted(last_of))


def tap(rows: Iterable[tuple[str, Row, int]], stride: int) -> FeatureInfo:
    """The last map at a stride, also inside a row: what a detector reads.

    The row with the next stride expands its input before it halves the side: that expansion, 6 times as wide as the
    row's input, is the deepest map there is at `stride` (1801.04381, §6.2). Where nothing comes before the halving, it
    is the output of the row before.

    Parameters
    ----------
    rows
        Of `Net.rows`.
    stride
        The map's reduction against the image.

    Raises
    ------
    UserError
        The network has no map of this stride.

    Examples
    --------
    >>> from mobilenets.arch import build
    >>> tap(build("mobilenet_v3_large").rows(), 16)
    FeatureInfo(name='blocks.12.expand', stride=16, channels=672)
    """
    reached, found = 1, None
    for name, row, channels in rows:
        if reached == stride and row.stride > 1:
            for layer in _before_stride(row.layers(channels)):
                found = FeatureInfo(f"{name}.{layer.name}", stride, layer.out)
            break
        reached *= row.stride
        if reached == stride:
            found = FeatureInfo(name, stride, row.out)
    if found is None:
        raise UsageError(f"stride: the network has no map of stride {stride}; a detector needs output_stride 32")
    return found


def _before_stride(layers: Iterable[Layer | Gate]) -> Iterator[Layer]:
    for layer in layers:
        (first, *more) = layer.convolutions
        if first.stride > 1 or more:
            return
        yield first
