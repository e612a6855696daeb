"""From a name and the two hyper-parameters to a `Net`, as each published implementation would."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from mobilenets.arch.heads import Head
from mobilenets.arch.net import Net
from mobilenets.arch.rows import Conv, Inverted, Row, changed
from mobilenets.arch.ssd import published_head
from mobilenets.errors import UsageError

# Every network, with the flavour of its most accurate published weights.
_DEFAULT_FLAVOR = {
    "mobilenet_v1": "timm",
    "mobilenet_v2": "timm",
    "mobilenet_v3_large": "timm",
    "mobilenet_v3_small": "tf",
    "mobilenet_v3_large_minimal": "tf",
    "mobilenet_v3_small_minimal": "tf",
    "mobilenet_v4_conv_small": "timm",
    "mobilenet_v4_conv_medium": "timm",
    "mobilenet_v4_conv_large": "timm",
}
NAMES = tuple(_DEFAULT_FLAVOR)
DETECTOR = "ssdlite_"  # before the name of the network whose maps it reads
DETECTORS = tuple(DETECTOR + name for name in NAMES if not name.endswith("minimal"))
IMAGENET_CLASSES = 1000
COCO_CLASSES = 91  # the background, and numbers to 90, of which COCO uses 80
DEFAULT_NAME = "mobilenet_v3_large"  # what is trained, and looks, where nothing else is said


@dataclass(frozen=True)
class _Norm:
    """BatchNorm's eps and torch's momentum (1 - TensorFlow's decay)."""

    eps: float
    momentum: float


def make_divisible(value: float, divisor: int = 8) -> int:
    """`value` rounded to a multiple of `divisor`, at least `divisor`, never below 90 % of `value`.

    Source: TensorFlow slim `mobilenet.py`, copied by every later implementation.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def build(
    name: str,
    *,
    width: float = 1.0,
    num_classes: int | None = None,
    in_channels: int = 3,
    reduced_tail: bool = False,
    output_stride: int = 32,
    dropout: float | None = None,
    flavor: str | None = None,
) -> Net:
    """A network by name, as data.

    Parameters
    ----------
    name
        One of `NAMES` or `DETECTORS`.
    width
        The width multiplier α, above 0: every row has about so many times the paper's channels.
    num_classes
        Outputs of the classifier, 0 for none (default: 1000); of a detector one more than classes, as number 0 is the
        background (default: 91, as COCO has).
    in_channels
        Of the image.
    reduced_tail
        V3 only: half the channels in the last stage.
    output_stride
        32, or 16 or 8: the last strides are then replaced by dilation.
    dropout
        Its probability before the classifier (default: the paper's); a detector has none.
    flavor
        Whose rounding, padding and BatchNorm apply: "torchvision", "timm" or "tf" (default: that of the network's most
        accurate published weights). "tf" has TensorFlow's anchors, the others torchvision's.

    Returns
    -------
    Net
        The table, with every number worked out.

    Raises
    ------
    UserError
        An unknown name, or values outside these ranges.

    Examples
    --------
    >>> net = build("mobilenet_v3_small", width=0.75, num_classes=5)
    >>> len(net.blocks), net.head.hidden, net.num_classes
    (11, 1024, 5)
    """
    if name not in NAMES + DETECTORS:
        raise UsageError(f"{name}: no such network; there are {', '.join(NAMES + DETECTORS)}")
    check_width(width)
    if name in DETECTORS:
        if dropout is not None:
            raise UsageError(f"dropout: {name} has none; leave it out")
        backbone = build(
            name.removeprefix(DETECTOR),
            width=width,
            in_channels=in_channels,
            reduced_tail=reduced_tail,
            output_stride=output_stride,
            flavor=flavor,
        )
        return as_detector(backbone, num_classes)
    family = name.split("_")[1]
    flavor = flavor or _DEFAULT_FLAVOR[name]
    of_family = _FAMILIES[family]
    if flavor not in of_family.norms:
        raise UsageError(f"flavor: {flavor!r} has no {name}; use {' or '.join(of_family.norms)}")
    if reduced_tail and family != "v3":
        raise UsageError(f"reduced_tail: {name} has no such variant; only V3 has")
    stem, blocks, last, hidden = of_family.body(name, width, flavor, reduced_tail)
    norm = of_family.norms[flavor]
    return Net(
        name=name,
        family=family,
        flavor=flavor,
        width=width,
        in_channels=in_channels,
        stem=stem,
        blocks=dilate(blocks, output_stride, early=flavor == "torchvision"),
        last=last,
        head=Head(
            hidden,
            norm=family == "v4",
            act=last.act if last and hidden else "none",
            dropout=of_family.dropout if dropout is None else dropout,
            num_classes=IMAGENET_CLASSES if num_classes is None else num_classes,
        ),
        norm_eps=norm.eps,
        norm_momentum=norm.momentum,
        padding="same" if flavor == "tf" else "symmetric",
        output_stride=output_stride,
    ).checked()


def check_width(width: float) -> None:
    """Refuse what is no width multiplier."""
    if not (math.isfinite(width) and 0 < width <= 16):
        raise UsageError(f"width: {width!r} is not a positive number up to 16")


def as_detector(net: Net, num_classes: int | None = None) -> Net:
    """A detector with the stem and blocks of a classifier, and the published anchors.

    Parameters
    ----------
    net
        A classifier, whose head is left out.
    num_classes
        Outputs for classes, the background among them (None: COCO's 91).

    Raises
    ------
    UserError
        A network that is dilated: it lacks the coarsest map.
    """
    order = "tf" if net.flavor == "tf" else "torchvision"
    head = published_head(COCO_CLASSES if num_classes is None else num_classes, net.width, order)
    return replace(net, name=DETECTOR + net.name, head=head).checked()


_Body = tuple[Conv, tuple[Row, ...], Conv | None, int]
# Each body imports its table: who predicts with a network that is described in a file needs none of them.


def _body_v1(name: str, width: float, flavor: str, reduced: bool) -> _Body:
    from mobilenets.arch import v1

    # Keras truncates and never rounds to eight (1704.04861 does not say); timm rounds like V2.
    scale: Callable[[int], int] = (
        (lambda c: max(1, int(c * width))) if flavor == "tf" else (lambda c: make_divisible(c * width))
    )
    stem = replace(v1.STEM, out=scale(v1.STEM.out))
    return stem, tuple(replace(row, out=scale(row.out)) for row in v1.BLOCKS), None, 0


def _body_v2(name: str, width: float, flavor: str, reduced: bool) -> _Body:
    from mobilenets.arch import v2

    channels = stem = make_divisible(v2.STEM_CHANNELS * width)
    blocks: list[Row] = []
    for t, c, n, s in v2.STAGES:
        # Keras truncates before it rounds, the others do not.
        out = make_divisible(int(c * width) if flavor == "tf" else c * width)
        for i in range(n):
            blocks.append(Inverted(3, t * channels, out, 0, "relu6", s if i == 0 else 1))
            channels = out
    last = make_divisible(v2.LAST_CHANNELS * max(1.0, width))  # §3.4: not narrowed, its features are needed
    return Conv(3, stem, "relu6", 2), tuple(blocks), Conv(1, last, "relu6", 1), 0


def _body_v3(name: str, width: float, flavor: str, reduced: bool) -> _Body:
    from mobilenets.arch import v3

    large, minimal = "large" in name, "minimal" in name
    table, hidden = (v3.LARGE, v3.LARGE_HIDDEN) if large else (v3.SMALL, v3.SMALL_HIDDEN)
    table = v3.minimal(table) if minimal else table
    if reduced:
        table, hidden = v3.reduced_tail(table), hidden // 2
    act = "relu" if minimal else "hswish"
    # Keras never scales the stem; timm leaves it below 0.75.
    fixed_stem = flavor == "tf" or (flavor == "timm" and width < 0.75)
    stem = v3.STEM_CHANNELS if fixed_stem else make_divisible(v3.STEM_CHANNELS * width)
    channels, paper_channels = stem, v3.STEM_CHANNELS
    blocks: list[Row] = []
    for row in table:
        # torchvision scales the expansion itself, Keras and timm the ratio to the rounded input. The ratio comes
        # first: theirs is a literal, and 200 · 2.3 is a hair below the 460 at which rounding turns.
        scaled = row.exp * width if flavor == "torchvision" else channels * (row.exp / paper_channels)
        # The first block of Large (and of every variant) has no expansion: it works on the stem's channels.
        exp = channels if row.exp == paper_channels else make_divisible(scaled)
        out = make_divisible(row.out * width)
        squeeze = make_divisible(exp / 4) if row.se else 0
        blocks.append(Inverted(row.kernel, exp, out, squeeze, row.act, row.stride))
        channels, paper_channels = out, row.out
    # 960 = 6 · 160: timm scales 960 itself, the others multiply the rounded output.
    last = make_divisible(6 * paper_channels * width) if flavor == "timm" else make_divisible(6 * channels)
    # Of the hidden layer torchvision scales every width, Keras only above 1, timm none.
    scale = {"torchvision": width, "tf": max(1.0, width), "timm": 1.0}[flavor]
    return Conv(3, stem, act, 2), tuple(blocks), Conv(1, last, act, 1), make_divisible(hidden * scale)


def _body_v4(name: str, width: float, flavor: str, reduced: bool) -> _Body:
    from mobilenets.arch import v4

    stem, table = v4.TABLES[name]
    channels = stem = stem if width < 1 else make_divisible(stem * width)
    blocks: list[Row] = []
    for row in table:
        out = make_divisible(row.out * width)
        if isinstance(row, Conv):
            blocks.append(replace(row, out=out))
        else:
            blocks.append(row.at(make_divisible(channels * row.expand), out))
        channels = out
    last = make_divisible(v4.LAST_CHANNELS * width)
    return Conv(3, stem, "relu", 2), tuple(blocks), Conv(1, last, "relu", 1), v4.HIDDEN


@dataclass(frozen=True)
class _Family:
    """What the networks of one paper share.

    `dropout`: its probability in the paper's training ("dropout 0.8" in V3 is the probability to keep); V1: TF-slim.
    `norms` by flavor.
    """

    body: Callable[[str, float, str, bool], _Body]
    dropout: float
    norms: dict[str, _Norm]


# Sources of the norms: torchvision 0.28 (V3 keeps TensorFlow's eps 0.001, V2 torch's default), timm 1.0 (torch's
# defaults throughout), Keras 3 (V1 the layer's default momentum 0.99, V2 and V3 0.999).
_TORCH, _KERAS = _Norm(1e-5, 0.1), _Norm(1e-3, 0.001)
_FAMILIES = {
    "v1": _Family(_body_v1, 0.001, {"timm": _TORCH, "tf": _Norm(1e-3, 0.01)}),
    "v2": _Family(_body_v2, 0.2, {"torchvision": _TORCH, "timm": _TORCH, "tf": _KERAS}),
    "v3": _Family(_body_v3, 0.2, {"torchvision": _Norm(1e-3, 0.01), "timm": _TORCH, "tf": _KERAS}),
    "v4": _Family(_body_v4, 0.2, {"timm": _TORCH}),
}


def dilate(blocks: tuple[Row, ...], output_stride: int, early: bool) -> tuple[Row, ...]:
    """Strides beyond `output_stride` become dilation of the rows that follow (1802.02611, §3.1).

    `early` (torchvision) dilates the row that loses its stride too; TF-slim and timm begin after it. There
    such a row gets a shortcut where its channels now allow one, in torchvision it does not.
    """
    stride, dilation, result = 2, 1, []
    for row in blocks:
        if row.stride == 2 and stride >= output_stride:
            before, dilation = dilation, dilation * 2
            row = changed(row, stride=1, dilation=dilation if early else before)
            result.append(changed(row, shortcut=False) if early and isinstance(row, Inverted) else row)
        else:
            stride *= row.stride
            result.append(changed(row, dilation=dilation))
    return tuple(result)
