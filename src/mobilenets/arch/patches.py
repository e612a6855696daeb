"""The head that knows good photographs alone, as data: which maps it reads, and how many of their patches it keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mobilenets.arch.checks import check_choice, check_whole
from mobilenets.arch.features import FeatureInfo
from mobilenets.arch.heads import Part
from mobilenets.arch.layers import Layer
from mobilenets.arch.rows import Row
from mobilenets.errors import UsageError

if TYPE_CHECKING:
    from mobilenets.arch.net import Net

MAX_MAPS = 3
POWERS = (1, 2, 4, 8, 16, 32, 64)  # by squaring alone, which every runtime can do, as not all can sort
MAX_LENGTH, MAX_BANK = 2_048, 100_000


@dataclass(frozen=True)
class PatchHead:
    """The distance of each patch of a photo from the nearest of those kept from good photos (PatchCore, 2106.08265).

    A patch is a place of the coarsest map with its neighbours, and what finer maps have there.

    Parameters
    ----------
    taps
        Numbers of the blocks whose maps it reads, rising; no map is more than twice as fine as the coarsest.
    length
        Numbers that a patch is described by.
    bank
        Patches kept.
    power
        Of the mean over a photo's patches that is its score: the higher, the more the farthest ones count alone.
    num_classes
        1: like the good ones or not.
    """

    kind: ClassVar[str] = "patches"
    taps: tuple[int, ...]
    length: int
    bank: int
    power: int = 32
    num_classes: int = 1

    @property
    def dropout(self) -> float:
        """There is none."""
        return 0.0

    def width(self, channels: int) -> int:
        """Length of the vector that a photo is described by: the last map's `channels`, averaged."""
        return channels

    def maps(self, rows: Sequence[tuple[str, Row, int]]) -> tuple[FeatureInfo, ...]:
        """The maps it reads among those of a network's `rows`.

        Raises
        ------
        UserError
            There are no such blocks, or their maps are too unlike in size.
        """
        stride, found = 1, []
        for name, row, _ in rows:
            stride *= row.stride
            if name in {f"blocks.{tap}" for tap in self.taps}:
                found.append(FeatureInfo(name, stride, row.out))
        if len(found) < len(self.taps):
            raise UsageError(f"taps: {list(self.taps)!r} are not all blocks of the network")
        if any(found[-1].stride > 2 * info.stride for info in found):
            raise UsageError(f"taps: the map of block {self.taps[0]} is more than twice as fine as the last")
        return tuple(found)

    def parts(self, *channels: int) -> Iterator[Part]:
        """What shortens the patches of each map, then the distances; all at the coarsest map's places."""
        last = len(channels) - 1
        for i, inside in enumerate(channels):
            layer = Layer(f"reduce.{i}", 1, inside, self.length, norm=False)
            yield Part(layer.name, "patches, 1x1", "none", (layer,), last)
        layer = Layer("bank", 1, self.length, self.bank, norm=False)
        yield Part("bank", f"distances, {self.bank:,} patches", "none", (layer,), last)

    def check(self) -> None:
        """Every number is of its kind and in its range.

        Raises
        ------
        UserError
            One is not.
        """
        check_whole("number of taps", len(self.taps), 1, MAX_MAPS)
        for tap in self.taps:
            check_whole("taps", tap, 0, 1_000)
        if list(self.taps) != sorted(set(self.taps)):
            raise UsageError(f"taps: {list(self.taps)!r} do not rise")
        check_whole("length", self.length, 1, MAX_LENGTH)
        check_whole("bank", self.bank, 1, MAX_BANK)
        check_choice("power", self.power, POWERS)
        check_choice("num_classes", self.num_classes, (1,))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PatchHead:
        """The inverse of `to_dict`, unchecked; a missing or unknown field is a `TypeError` or `KeyError`."""
        return cls(**{**values, "taps": tuple(values["taps"])})


def cut_for(net: Net, head: PatchHead) -> Net:
    """The network with this head, without the blocks behind the last map that it reads.

    Raises
    ------
    UserError
        The head does not fit.

    Examples
    --------
    >>> from mobilenets.arch import build
    >>> cut = cut_for(build("mobilenet_v2"), PatchHead((5, 12), 96, 1000))
    >>> len(cut.blocks), cut.last, [info.name for info in cut.head_maps]
    (13, None, ['blocks.5', 'blocks.12'])
    """
    head.check()
    blocks = net.blocks[: head.taps[-1] + 1]
    return dataclasses.replace(net, blocks=blocks, last=None, head=head).checked()
