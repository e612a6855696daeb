"""The head of a classifier, and what heads of every kind consist of: a few convolutions over one of the maps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mobilenets.arch.checks import check_channels, check_choice, check_flag, check_fraction
from mobilenets.arch.features import FeatureInfo
from mobilenets.arch.layers import Layer
from mobilenets.arch.rows import ACTIVATIONS, Row


@dataclass(frozen=True)
class Part:
    """One line of a head's table: what `costs` counts and `show` prints.

    Parameters
    ----------
    name
        As in the network; "head" of a hidden layer.
    title, act
        The operator in words, and its activation.
    layers
        Its convolutions, one behind the other.
    source
        The map it works on: its number among those the head reads, and then those that its parts make; None: the mean
        of each channel of the last map.
    makes_map
        Whether its output is one more map, which later parts may work on.
    """

    name: str
    title: str
    act: str
    layers: tuple[Layer, ...]
    source: int | None
    makes_map: bool = False


@dataclass(frozen=True)
class Head:
    """After pooling: an optional hidden layer of `hidden` channels (0: none), dropout, the classifier.

    V3's hidden layer has a bias and no BatchNorm, V4's BatchNorm and no bias. `num_classes` 0: no classifier.
    """

    kind: ClassVar[str] = "classifier"
    hidden: int
    norm: bool
    act: str
    dropout: float
    num_classes: int

    def layers(self, channels: int) -> Iterator[Layer]:
        """The hidden layer and the classifier, as far as there are such, where `channels` come in."""
        if self.hidden:
            name = "hidden" if self.norm else "hidden.0"  # with BatchNorm a module with parts, else one of two
            yield Layer(name, 1, channels, self.hidden, self.act, field="hidden", norm=self.norm)
        if self.num_classes:
            yield Layer("classifier", 1, self.hidden or channels, self.num_classes, norm=False)

    def maps(self, rows: Sequence[tuple[str, Row, int]]) -> tuple[FeatureInfo, ...]:
        """The last of the maps that a network's `rows` make."""
        name, row, _ = rows[-1]
        return (FeatureInfo(name, math.prod(row.stride for _, row, _ in rows), row.out),)

    def parts(self, channels: int) -> Iterator[Part]:
        """Each of its layers as a line of the table."""
        for layer in self.layers(channels):
            if layer.field:
                yield Part("head", "conv2d, 1x1" if layer.norm else "conv2d, 1x1, NBN", layer.act, (layer,), None)
            else:
                yield Part(layer.name, "linear", layer.act, (layer,), None)

    def width(self, channels: int) -> int:
        """Length of the vector that the classifier sees, where `channels` come in."""
        return self.hidden or channels

    def check(self) -> None:
        """Every number is of its kind and in its range.

        Raises
        ------
        UserError
            One is not.
        """
        check_channels("num_classes", self.num_classes, 0)
        check_channels("hidden", self.hidden, 0)
        check_flag("norm", self.norm)
        check_choice("act", self.act, ACTIVATIONS)
        check_fraction("dropout", self.dropout)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a head without a kind is a classifier's."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Head:
        """The inverse of `to_dict`, unchecked; a missing or unknown field is a `TypeError`."""
        return cls(**values)
