"""The vocabulary of the tables: one frozen row per line, and the `Net` they add up to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from mobilenets.errors import UserError

ACTIVATIONS = ("none", "relu", "relu6", "hswish")
FAMILIES = ("v1", "v2", "v3", "v4")
FLAVORS = ("torchvision", "timm", "tf")
PADDINGS = ("symmetric", "same")

_MAX_CHANNELS = 100_000  # a net may come from an untrusted file: no row may ask for gigabytes
_MAX_BLOCKS = 500
_MAX_WEIGHTS = 1_000_000_000  # 4 GB; the largest published MobileNet has 36 million


@dataclass(frozen=True)
class Conv:
    """A full convolution, BatchNorm, activation."""

    kind: ClassVar[str] = "conv"
    kernel: int
    out: int
    act: str
    stride: int
    dilation: int = 1


@dataclass(frozen=True)
class Separable:
    """V1: depthwise convolution, BatchNorm, ReLU6; 1×1 convolution, BatchNorm, ReLU6 (1704.04861, Fig. 3)."""

    kind: ClassVar[str] = "separable"
    kernel: int
    out: int
    act: str
    stride: int
    dilation: int = 1


@dataclass(frozen=True)
class Inverted:
    """V2 and V3: expand to `exp` channels, depthwise, squeeze-and-excite over `se` channels, project linearly.

    `exp` equal to the input means no expansion convolution; `se` 0 means none (1801.04381 §3.3; 1905.02244 §5).
    The input is added to the output where stride and channels allow it, unless `shortcut` is False.
    """

    kind: ClassVar[str] = "inverted"
    kernel: int
    exp: int
    out: int
    se: int
    act: str
    stride: int
    dilation: int = 1
    shortcut: bool = True


@dataclass(frozen=True)
class Universal:
    """V4's universal inverted bottleneck: optional depthwise before and after the expansion (2404.10518, §3).

    A kernel of 0 leaves that depthwise convolution out. The stride sits on the middle one where there is
    one, else on the first.
    """

    kind: ClassVar[str] = "universal"
    start: int
    kernel: int
    exp: int
    out: int
    act: str
    stride: int
    dilation: int = 1


@dataclass(frozen=True)
class Fused:
    """V4's fused inverted bottleneck: a full convolution expands, a 1×1 convolution projects linearly."""

    kind: ClassVar[str] = "fused"
    kernel: int
    exp: int
    out: int
    act: str
    stride: int
    dilation: int = 1


Row = Conv | Separable | Inverted | Universal | Fused
_ROWS: dict[str, type[Row]] = {row.kind: row for row in (Conv, Separable, Inverted, Universal, Fused)}


@dataclass(frozen=True)
class Head:
    """After pooling: an optional hidden layer of `hidden` channels (0: none), dropout, the classifier.

    V3's hidden layer has a bias and no BatchNorm, V4's BatchNorm and no bias. `num_classes` 0: no classifier.
    """

    hidden: int
    norm: bool
    act: str
    dropout: float
    num_classes: int


@dataclass(frozen=True)
class Net:
    """A MobileNet, completely: what `nn.MobileNet` builds and a model card stores.

    All channels are absolute: width, rounding and variants are already applied. `norm_momentum` in torch's
    sense (share of the new batch). `padding`: "symmetric" (k // 2) or TensorFlow's "same".
    """

    name: str
    family: str
    flavor: str
    width: float
    in_channels: int
    stem: Conv
    blocks: tuple[Row, ...]
    last: Conv | None
    head: Head
    norm_eps: float
    norm_momentum: float
    padding: str
    output_stride: int = 32

    @property
    def num_classes(self) -> int:
        """Outputs of the classifier; 0 without one."""
        return self.head.num_classes

    @property
    def dropout(self) -> float:
        """Probability of dropout before the classifier."""
        return self.head.dropout

    @property
    def feature_channels(self) -> int:
        """Channels of the last map, before pooling."""
        return self.last.out if self.last else self.blocks[-1].out

    @property
    def head_width(self) -> int:
        """Length of the vector that the classifier sees."""
        return self.head.hidden or self.feature_channels

    def with_classes(self, num_classes: int) -> Net:
        """The same network for another number of classes.

        Raises:
            UserError: `num_classes` is negative or absurdly large.
        """
        _whole("num_classes", num_classes, 0, _MAX_CHANNELS)
        return replace(self, head=replace(self.head, num_classes=num_classes))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = dataclasses.asdict(self)
        values["blocks"] = [{"kind": row.kind, **dataclasses.asdict(row)} for row in self.blocks]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Net:
        """The inverse of `to_dict`; the values may come from a stranger's file and are checked.

        Raises:
            UserError: a missing, unknown or impossible value.
        """
        try:
            rows = [dict(row) for row in values["blocks"]]
            if len(rows) > _MAX_BLOCKS:
                raise UserError(f"network: {len(rows)} blocks; at most {_MAX_BLOCKS} are read from a file")
            net = cls(
                **{
                    **values,
                    "stem": Conv(**values["stem"]),
                    "blocks": tuple(_ROWS[row.pop("kind")](**row) for row in rows),
                    "last": Conv(**values["last"]) if values["last"] else None,
                    "head": Head(**values["head"]),
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"network: not a description this version reads ({error!r})") from error
        _check(net)
        return net


def _check(net: Net) -> None:
    """Every number of `net` is of its kind and in its range."""
    if not isinstance(net.name, str) or len(net.name) > 100:
        raise UserError("name: not a text of at most 100 characters")
    _choice("family", net.family, FAMILIES)
    _choice("flavor", net.flavor, FLAVORS)
    _choice("padding", net.padding, PADDINGS)
    _whole("in_channels", net.in_channels, 1, _MAX_CHANNELS)
    _whole("num_classes", net.head.num_classes, 0, _MAX_CHANNELS)
    _whole("hidden", net.head.hidden, 0, _MAX_CHANNELS)
    _flag("norm", net.head.norm)
    _choice("act", net.head.act, ACTIVATIONS)
    _fraction("dropout", net.head.dropout)
    _fraction("norm_eps", net.norm_eps)
    _fraction("norm_momentum", net.norm_momentum)
    _choice("output_stride", net.output_stride, (8, 16, 32))
    if not isinstance(net.width, (int, float)) or not 0 < net.width < math.inf:
        raise UserError(f"width: {net.width!r} is not a positive number")
    if not net.blocks:
        raise UserError("network: it has no blocks")
    channels, weights = net.in_channels, 0
    for row in (net.stem, *net.blocks, *([net.last] if net.last else [])):
        _check_row(row)
        weights += _dense_weights(row, channels)
        channels = row.out
    weights += channels * net.head.hidden + net.head_width * net.num_classes
    if weights > _MAX_WEIGHTS:
        raise UserError(f"network: {weights:,} weights are too many; at most {_MAX_WEIGHTS:,} are built")


def _check_row(row: Row) -> None:
    _choice("act", row.act, ACTIVATIONS)
    _whole("stride", row.stride, 1, 2)
    _whole("out", row.out, 1, _MAX_CHANNELS)
    _whole("dilation", row.dilation, 1, 64)
    _kernel("kernel", row.kernel, optional=isinstance(row, Universal))
    if isinstance(row, Universal):
        _kernel("start", row.start, optional=True)
    if isinstance(row, (Inverted, Universal, Fused)):
        _whole("exp", row.exp, 1, _MAX_CHANNELS)
    if isinstance(row, Inverted):
        _whole("se", row.se, 0, _MAX_CHANNELS)
        _flag("shortcut", row.shortcut)


def _dense_weights(row: Row, channels: int) -> int:
    """Weights of a row but those of its depthwise convolutions, which are few."""
    kernel = row.kernel if isinstance(row, (Conv, Fused)) else 1
    if isinstance(row, (Conv, Separable)):
        return kernel**2 * channels * row.out
    squeeze = row.se if isinstance(row, Inverted) else 0
    return kernel**2 * channels * row.exp + row.exp * (row.out + 2 * squeeze)


def _choice(name: str, value: object, accepted: tuple[object, ...]) -> None:
    if value not in accepted:
        raise UserError(f"{name}: {value!r} is not one of {', '.join(map(str, accepted))}")


def _whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UserError(f"{name}: {value!r} is not a whole number from {low} to {high}")


def _kernel(name: str, value: object, optional: bool) -> None:
    _whole(name, value, 0 if optional else 1, 31)
    if isinstance(value, int) and value and value % 2 == 0:
        raise UserError(f"{name}: {value!r} is even; convolutions here have a centre")


def _flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise UserError(f"{name}: {value!r} is neither true nor false")


def _fraction(name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or not math.isfinite(value) or not 0 <= value <= 1:
        raise UserError(f"{name}: {value!r} is not a number from 0 to 1")
