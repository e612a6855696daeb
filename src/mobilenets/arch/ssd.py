"""The head of a detector, SSDLite (1801.04381, §6.2), as data: which maps it reads, what it adds, its anchors."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mobilenets.arch.checks import check_channels, check_choice, check_fraction, check_number, check_whole
from mobilenets.arch.features import FeatureInfo, tap
from mobilenets.arch.heads import Part
from mobilenets.arch.layers import Layer, depthwise
from mobilenets.arch.rows import Row
from mobilenets.errors import UsageError

ORDERS = ("torchvision", "tf")
STRIDES = (16, 32)  # of the maps that the published detectors read
FINE_STRIDES = (8, *STRIDES)  # with C3, for objects below some 15 % of a photo's side
EXTRAS = (512, 256, 256, 128)  # channels of the maps behind C5, at width 1
MIN_EXTRA = 16
NORM_EPS, NORM_MOMENTUM = 1e-3, 0.03  # torchvision's and TensorFlow's for SSDLite, whatever the backbone has
BOX = 4  # numbers of a box
MAX_OVERLAP = 0.55  # torchvision's

_MAX_EXTRAS = 8
_MAX_SHAPES = 32  # anchors in one place


@dataclass(frozen=True)
class Level:
    """The anchors in each cell of one map; all sides are fractions of the input's.

    Parameters
    ----------
    squares
        Sides of the square ones.
    scale
        The square root of the area of the others.
    ratios
        Above 1: each r gives a wide anchor, r times as wide as high, and a tall one.

    Examples
    --------
    >>> Level(squares=(0.2, 0.26), scale=0.2, ratios=(2.0, 3.0)).count
    6
    """

    squares: tuple[float, ...]
    scale: float
    ratios: tuple[float, ...]

    @property
    def count(self) -> int:
        """Anchors in each cell."""
        return len(self.squares) + 2 * len(self.ratios)

    def sides(self, order: str) -> list[tuple[float, float]]:
        """Width and height of each anchor, in the order of the outputs.

        torchvision: the squares, then the ratios; nothing is larger than the photo. TensorFlow: the first square, the
        ratios, the other squares; an anchor may be larger.
        """
        squares = [(side, side) for side in self.squares]
        others = []
        for ratio in self.ratios:
            long, short = self.scale * math.sqrt(ratio), self.scale / math.sqrt(ratio)
            others += [(long, short), (short, long)]
        if order == "tf":
            return [*squares[:1], *others, *squares[1:]]
        return [(min(width, 1.0), min(height, 1.0)) for width, height in squares + others]

    def check(self) -> None:
        """As `SsdHead.check`."""
        for side in (*self.squares, self.scale):
            check_number("anchors: side", side, 0.001, 2)
        for ratio in self.ratios:
            check_number("anchors: ratio", ratio, 1, 100)
        check_whole("anchors in a cell", self.count, 1, _MAX_SHAPES)


def published_levels(count: int, order: str) -> tuple[Level, ...]:
    """The anchors of torchvision's or TensorFlow's SSDLite, for `count` maps.

    Scales from 0.2 to 0.95 of the photo in equal steps. TensorFlow's finest map has three anchors, the square one of
    half the scale.

    Examples
    --------
    >>> [level.count for level in published_levels(6, "torchvision")], published_levels(6, "tf")[0].squares
    ([6, 6, 6, 6, 6, 6], (0.1,))
    """
    scales = [0.2 + (0.95 - 0.2) * k / max(count - 1, 1) for k in range(count)]
    levels = [
        Level((scale, math.sqrt(scale * after)), scale, (2.0, 3.0))
        for scale, after in zip(scales, [*scales[1:], 1.0], strict=True)
    ]
    if order == "tf":
        levels[0] = Level((0.1,), scales[0], (2.0,))
    return tuple(levels)


@dataclass(frozen=True)
class SsdHead:
    """Boxes and classes from several maps: the backbone's, and `extras` that it adds behind the last.

    Parameters
    ----------
    num_classes
        Outputs for classes, the background among them as number 0: one more than there are classes.
    strides
        Of the backbone's maps that it reads, rising: each is taken where a stride ends, before the next one
        (`mobilenets.arch.features.tap`).
    extras
        Channels of the maps that it adds, each of half the side before.
    levels
        The anchors in each cell, map by map.
    order
        Of the anchors in a cell: "torchvision" or "tf".
    norm_eps, norm_momentum
        BatchNorm's in the head.
    max_overlap
        IoU of two boxes of a class above which they are taken for one object, 0 to 1.

    Examples
    --------
    >>> from mobilenets.arch import build
    >>> head = build("ssdlite_mobilenet_v2", num_classes=21).ssd
    >>> head.strides, head.extras, sum(level.count for level in head.levels)
    ((16, 32), (512, 256, 256, 128), 36)
    """

    kind: ClassVar[str] = "ssd"
    num_classes: int
    strides: tuple[int, ...]
    extras: tuple[int, ...]
    levels: tuple[Level, ...]
    order: str = "torchvision"
    norm_eps: float = NORM_EPS
    norm_momentum: float = NORM_MOMENTUM
    max_overlap: float = MAX_OVERLAP

    @property
    def dropout(self) -> float:
        """There is none."""
        return 0.0

    def width(self, channels: int) -> int:
        """Length of the vector that a photo is described by: the last map's `channels`, averaged."""
        return channels

    def layers(self, *channels: int) -> Iterator[Layer]:
        """Its convolutions, where maps of so many `channels` come in."""
        for part in self.parts(*channels):
            yield from part.layers

    def maps(self, rows: Sequence[tuple[str, Row, int]]) -> tuple[FeatureInfo, ...]:
        """The maps of its strides among those that a network's `rows` make.

        Raises
        ------
        UserError
            The network has none of one of them.
        """
        return tuple(tap(rows, stride) for stride in self.strides)

    def parts(self, *channels: int) -> Iterator[Part]:
        """The extra maps, then for each map what predicts classes and what predicts boxes.

        A map is halved between two 1×1 convolutions, the first of which halves the channels to be reached.
        """
        maps = list(channels)
        for i, out in enumerate(self.extras):
            name, middle = f"extra.{i}", out // 2
            layers = (
                Layer(f"{name}.reduce", 1, maps[-1], middle, "relu6"),
                depthwise(f"{name}.depthwise", 3, middle, "relu6", 2, 1, None),
                Layer(f"{name}.expand", 1, middle, out, "relu6"),
            )
            yield Part(name, "extra map, 3x3", "relu6", layers, len(maps) - 1, makes_map=True)
            maps.append(out)
        for i, (level, inside) in enumerate(zip(self.levels, maps, strict=True)):
            for what, out in (("classes", level.count * self.num_classes), ("boxes", level.count * BOX)):
                name = f"heads.{i}.{what}"
                layers_of_one = (
                    depthwise(f"{name}.depthwise", 3, inside, "relu6", 1, 1, None),
                    Layer(f"{name}.predict", 1, inside, out, norm=False),
                )
                yield Part(name, f"{what}, 3x3, {level.count} anchors", "none", layers_of_one, i)

    def check(self) -> None:
        """Every number is of its kind and in its range.

        Raises
        ------
        UserError
            One is not.
        """
        check_channels("num_classes", self.num_classes, 2)
        for stride in self.strides:
            check_choice("strides", stride, (4, *FINE_STRIDES))
        if not self.strides or list(self.strides) != sorted(set(self.strides)):
            raise UsageError(f"strides: {list(self.strides)!r} do not rise")
        check_whole("number of extras", len(self.extras), 0, _MAX_EXTRAS)
        for out in self.extras:
            check_channels("extras", out, 2)
        if len(self.levels) != len(self.strides) + len(self.extras):
            raise UsageError(
                f"levels: anchors for {len(self.levels)} maps; there are {len(self.strides) + len(self.extras)}"
            )
        for level in self.levels:
            level.check()
        check_choice("order", self.order, ORDERS)
        check_fraction("norm_eps", self.norm_eps)
        check_fraction("norm_momentum", self.norm_momentum)
        check_number("max_overlap", self.max_overlap, 0, 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SsdHead:
        """The inverse of `to_dict`, unchecked; a missing or unknown field is a `TypeError` or `KeyError`."""
        levels = (
            Level(**{**level, "squares": tuple(level["squares"]), "ratios": tuple(level["ratios"])})
            for level in values["levels"]
        )
        tuples = {"strides": tuple(values["strides"]), "extras": tuple(values["extras"]), "levels": tuple(levels)}
        return cls(**{**values, **tuples})


def published_head(num_classes: int, width: float, order: str) -> SsdHead:
    """The head of torchvision's or TensorFlow's SSDLite, of which `width` narrows the extra maps."""
    extras = tuple(max(MIN_EXTRA, int(channels * width)) for channels in EXTRAS)
    return SsdHead(num_classes, STRIDES, extras, published_levels(len(STRIDES) + len(extras), order), order)
