"""The multi-scale maps a network offers, known before it is built."""

from __future__ import annotations

from dataclasses import dataclass

from mobilenets.arch.net import Net


@dataclass(frozen=True)
class FeatureInfo:
    """One map: the row it comes out of, its stride against the image, its channels."""

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
