"""From a name and the two hyper-parameters to a `Net`, as each published implementation would."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from mobilenets.arch.rows import Conv, Fused, Head, Inverted, Net, Row, Universal
from mobilenets.arch.scaling import make_divisible
from mobilenets.errors import UserError

NAMES = (
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "mobilenet_v3_large_minimal",
    "mobilenet_v3_small_minimal",
    "mobilenet_v4_conv_small",
    "mobilenet_v4_conv_medium",
    "mobilenet_v4_conv_large",
)
DEFAULT_NAME = "mobilenet_v3_large"  # what is trained, and looks, where nothing else is said


@dataclass(frozen=True)
class _Norm:
    """BatchNorm's eps and torch's momentum (1 - TensorFlow's decay)."""

    eps: float
    momentum: float


# Sources: torchvision 0.28 (V3 keeps TensorFlow's eps 0.001, V2 torch's default), timm 1.0 (torch's defaults
# throughout), Keras 3 (V1 the layer's default momentum 0.99, V2 and V3 0.999).
_NORMS = {
    ("torchvision", "v2"): _Norm(1e-5, 0.1),
    ("torchvision", "v3"): _Norm(1e-3, 0.01),
    ("timm", "v1"): _Norm(1e-5, 0.1),
    ("timm", "v2"): _Norm(1e-5, 0.1),
    ("timm", "v3"): _Norm(1e-5, 0.1),
    ("timm", "v4"): _Norm(1e-5, 0.1),
    ("tf", "v1"): _Norm(1e-3, 0.01),
    ("tf", "v2"): _Norm(1e-3, 0.001),
    ("tf", "v3"): _Norm(1e-3, 0.001),
}

# The flavour of each network's most accurate published weights.
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

# Probability of dropout in the papers' training ("dropout 0.8" in V3 is the probability to keep); V1: TF-slim.
_DROPOUT = {"v1": 0.001, "v2": 0.2, "v3": 0.2, "v4": 0.2}


def build(
    name: str,
    *,
    width: float = 1.0,
    num_classes: int = 1000,
    in_channels: int = 3,
    reduced_tail: bool = False,
    output_stride: int = 32,
    dropout: float | None = None,
    flavor: str | None = None,
) -> Net:
    """The network `name` at width multiplier `width` (α > 0).

    `reduced_tail` (V3 only) halves the last stage, `output_stride` 16 or 8 replaces the last strides by
    dilation, `flavor` ("torchvision", "timm", "tf") picks whose rounding, padding and BatchNorm apply; the
    default is that of the network's most accurate published weights.

    Raises:
        UserError: an unknown name, or values outside these ranges.
    """
    if name not in NAMES:
        raise UserError(f"{name}: no such network; there are {', '.join(NAMES)}")
    if not (math.isfinite(width) and 0 < width <= 16):
        raise UserError(f"width: {width!r} is not a positive number up to 16")
    family = name.split("_")[1]
    flavor = flavor or _DEFAULT_FLAVOR[name]
    if (flavor, family) not in _NORMS:
        known = [f for f, v in _NORMS if v == family]
        raise UserError(f"flavor: {flavor!r} has no {name}; use {' or '.join(known)}")
    if reduced_tail and family != "v3":
        raise UserError(f"reduced_tail: {name} has no such variant; only V3 has")
    dropout = _DROPOUT[family] if dropout is None else dropout
    stem, blocks, last, hidden = _BODIES[family](name, width, flavor, reduced_tail)
    norm = _NORMS[flavor, family]
    net = Net(
        name=name,
        family=family,
        flavor=flavor,
        width=width,
        in_channels=in_channels,
        stem=stem,
        blocks=dilate(blocks, output_stride, early=flavor == "torchvision"),
        last=last,
        head=Head(hidden, family == "v4", last.act if last and hidden else "none", dropout, num_classes),
        norm_eps=norm.eps,
        norm_momentum=norm.momentum,
        padding="same" if flavor == "tf" else "symmetric",
        output_stride=output_stride,
    )
    return Net.from_dict(net.to_dict())  # the checks of a stranger's file hold for arguments too


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
        elif isinstance(row, v4.FusedIb):
            blocks.append(Fused(row.kernel, make_divisible(channels * row.expand), out, "relu", row.stride))
        else:
            exp = make_divisible(channels * row.expand)
            blocks.append(Universal(row.start, row.mid, exp, out, "relu", row.stride))
        channels = out
    last = make_divisible(v4.LAST_CHANNELS * width)
    return Conv(3, stem, "relu", 2), tuple(blocks), Conv(1, last, "relu", 1), v4.HIDDEN


_BODIES: dict[str, Callable[[str, float, str, bool], _Body]] = {
    "v1": _body_v1,
    "v2": _body_v2,
    "v3": _body_v3,
    "v4": _body_v4,
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
            row = replace(row, stride=1, dilation=dilation if early else before)
            result.append(replace(row, shortcut=False) if early and isinstance(row, Inverted) else row)
        else:
            stride *= row.stride
            result.append(replace(row, dilation=dilation))
    return tuple(result)
