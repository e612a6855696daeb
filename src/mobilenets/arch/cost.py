"""Parameters, multiply-accumulates and activation memory per row, without building a network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mobilenets.arch.layers import Gate, Layer
from mobilenets.arch.net import Net
from mobilenets.arch.rows import Row
from mobilenets.errors import UsageError

MIN_SIZE = 32  # pixels
# Between sizes that a search tries: four halvings then leave whole sides. Where a map of odd side is halved, its grid
# is not the one the weights know: at 184, 168 and 152 pixels a MobileNetV2 loses 2 to 7 points against 176, 160 and 144
# (docs/decisions/003-input-sizes.md).
SIZE_STEP = 16
BYTES_PER_ACTIVATION = 4  # float32


@dataclass(frozen=True)
class RowCost:
    """What one row takes and gives.

    Attributes
    ----------
    name
        As in the network: "stem", "blocks.0" …
    row
        The row of the table; None in the head.
    title, act
        The operator in words, and its activation.
    size
        Side of the input in pixels.
    channels
        Of the input.
    out_size
        Side of the output in pixels.
    out
        Channels of the output.
    stride
        Reduction of the output against the image.
    params
        Numbers that are learned, BatchNorm's scale and shift among them.
    macs
        Multiply-accumulates of convolutions and linear layers (the papers' MAdds).
    activation_bytes
        The largest float32 input plus output of one of its layers at batch 1.
    """

    name: str
    row: Row | None
    title: str
    act: str
    size: int
    channels: int
    out_size: int
    out: int
    stride: int
    params: int
    macs: int
    activation_bytes: int


def costs(net: Net, size: int = 224) -> list[RowCost]:
    """What every row of a network costs.

    Parameters
    ----------
    net
        The network.
    size
        The side of its input in pixels.

    Returns
    -------
    list of RowCost
        One per row (stem, blocks, last convolution), then "head" (the hidden layer) and "classifier", where there are;
        of a detector "extra.0" … and "heads.0.classes", "heads.0.boxes" …

    Raises
    ------
    UserError
        `size` is below 32.

    Examples
    --------
    >>> from mobilenets.arch import build
    >>> stem, *blocks, last, classifier = costs(build("mobilenet_v2"))
    >>> stem.macs, classifier.params
    (10838016, 1281000)
    """
    if size < MIN_SIZE:
        raise UsageError(f"size: {size} pixels are too few; use {MIN_SIZE} or more")
    result, side, stride = [], size, 1
    sides = {}  # by stride
    for name, row, channels in net.rows():
        stride *= row.stride
        result.append(_cost(name, row, row.title, row.act, row.layers(channels), side, channels, stride))
        side = sides[stride] = result[-1].out_size
    maps = [(sides[info.stride], info.stride) for info in net.head_maps]
    for part in net.head_parts():
        side, stride = (1, maps[-1][1]) if part.source is None else maps[part.source]
        stride *= 2 if part.makes_map else 1
        channels = part.layers[0].channels
        result.append(_cost(part.name, None, part.title, part.act, part.layers, side, channels, stride))
        if part.makes_map:
            maps.append((result[-1].out_size, stride))
    return result


def total(net: Net, size: int = 224) -> tuple[int, int]:
    """What a whole network costs.

    Parameters
    ----------
    net
        The network.
    size
        The side of its input in pixels.

    Returns
    -------
    params, macs : int
        Parameters, and multiply-accumulates of one image.

    Raises
    ------
    UserError
        `size` is below 32.

    Examples
    --------
    >>> from mobilenets.arch import build
    >>> params, macs = total(build("mobilenet_v2"), size=224)
    >>> round(params / 1e6, 1), round(macs / 1e6)
    (3.5, 301)
    """
    rows = costs(net, size)
    return sum(r.params for r in rows), sum(r.macs for r in rows)


def _cost(
    name: str,
    row: Row | None,
    title: str,
    act: str,
    layers: Iterable[Layer | Gate],
    size: int,
    channels: int,
    stride: int,
) -> RowCost:
    """The sum over `layers`, where a map of `size` pixels and `channels` comes in."""
    params = macs = peak = 0
    side, out = size, channels
    for layer in (conv for each in layers for conv in each.convolutions):
        before, after = (1, 1) if layer.pooled else (side, -(-side // layer.stride))
        params += layer.weights + layer.out * (2 if layer.norm else 1)  # scale and shift, or a bias
        macs += layer.weights * after**2
        peak = max(peak, layer.channels * before**2 + layer.out * after**2)
        side, out = (side, out) if layer.pooled else (after, layer.out)
    return RowCost(name, row, title, act, size, channels, side, out, stride, params, macs, peak * BYTES_PER_ACTIVATION)
