"""A whole network as data: the rows of its table, its head, and what holds for all of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mobilenets.arch.checks import check_channels, check_choice, check_fraction
from mobilenets.arch.features import FeatureInfo, feature_info
from mobilenets.arch.heads import Head, Part
from mobilenets.arch.layers import Gate, Layer
from mobilenets.arch.patches import PatchHead
from mobilenets.arch.rows import ROWS, Conv, Row
from mobilenets.arch.ssd import SsdHead
from mobilenets.errors import UsageError

FAMILIES = ("v1", "v2", "v3", "v4")
FLAVORS = ("torchvision", "timm", "tf")
PADDINGS = ("symmetric", "same")

_MAX_BLOCKS = 500
_MAX_WEIGHTS = 1_000_000_000  # 4 GB; the largest published MobileNet has 36 million


HEADS: dict[str, type[Head | SsdHead | PatchHead]] = {head.kind: head for head in (Head, SsdHead, PatchHead)}


@dataclass(frozen=True)
class Net:
    """A MobileNet, completely: what `nn.MobileNet` builds and a model card stores.

    All channels are absolute: width, rounding and variants are already applied.

    Parameters
    ----------
    name, family, flavor, width
        What it was built from (`mobilenets.arch.build`); a search may have changed any row since.
    in_channels
        Of the image: 3, or 1 for grey ones.
    stem, blocks, last
        The rows, first to last; `last` is None in V1.
    head
        What makes answers of the maps: a classifier's, after pooling, a detector's, or that of good ones only.
    norm_eps, norm_momentum
        BatchNorm's, the momentum in torch's sense (the weight of the new batch).
    padding
        "symmetric" (k // 2) or TensorFlow's "same".
    output_stride
        The last map's reduction against the image: 32, or 16 or 8 by dilation.

    Examples
    --------
    >>> from mobilenets.arch import build
    >>> net = build("mobilenet_v2", width=0.5, num_classes=10)
    >>> net.stem
    Conv(kernel=3, out=16, act='relu6', stride=2, dilation=1)
    >>> Net.from_dict(net.to_dict()) == net
    True
    """

    name: str
    family: str
    flavor: str
    width: float
    in_channels: int
    stem: Conv
    blocks: tuple[Row, ...]
    last: Conv | None
    head: Head | SsdHead | PatchHead
    norm_eps: float
    norm_momentum: float
    padding: str
    output_stride: int = 32

    @property
    def num_classes(self) -> int:
        """Outputs of the classifier, 0 without one; of a detector one more than classes: the background is number 0."""
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
        return self.head.width(self.feature_channels)

    @property
    def classifies(self) -> bool:
        """Whether its head reads one vector, as those of classes, labels and numbers do."""
        return isinstance(self.head, Head)

    @property
    def earlier_map(self) -> FeatureInfo:
        """The last map of the stride before the deepest, where there is one: it knows textures, few classes yet."""
        return feature_info(self)[-2:][0]

    @property
    def ssd(self) -> SsdHead:
        """A detector's head.

        Raises
        ------
        UserError
            It is none.
        """
        if not isinstance(self.head, SsdHead):
            raise UsageError(f"{self.name}: a classifier, not a detector; use a network like ssdlite_mobilenet_v2")
        return self.head

    @property
    def classifier(self) -> Head:
        """A classifier's head.

        Raises
        ------
        UserError
            It is none.
        """
        if not isinstance(self.head, Head):
            raise UsageError(f"{self.name}: no classifier, and this is there for classifiers alone")
        return self.head

    @property
    def patches(self) -> PatchHead:
        """The head that knows good photos alone.

        Raises
        ------
        UserError
            It is another.
        """
        if not isinstance(self.head, PatchHead):
            raise UsageError(f"{self.name}: knows no good ones; train it with photos of good ones only")
        return self.head

    @property
    def head_maps(self) -> tuple[FeatureInfo, ...]:
        """The maps that the head reads, finest first; of a classifier the last one.

        Raises
        ------
        UserError
            The network has no such map.
        """
        return self.head.maps(list(self.rows()))

    @property
    def max_cut(self) -> int:
        """How many blocks may be left out in front at most, so that the map behind them is all that the rest needs."""
        names = [info.name.split(".") for info in self.head_maps]
        inside = [int(name[1]) + (len(name) == 2) for name in names if name[0] == "blocks"]
        return min([len(self.blocks), *inside])

    def head_parts(self) -> Iterator[Part]:
        """The head's table, line by line."""
        return self.head.parts(*(info.channels for info in self.head_maps))

    def rows(self) -> Iterator[tuple[str, Row, int]]:
        """Every row with the name of its module and the channels that come in: stem, blocks, last convolution."""
        channels = self.in_channels
        blocks = ((f"blocks.{i}", row) for i, row in enumerate(self.blocks))
        for name, row in (("stem", self.stem), *blocks, *([("last", self.last)] if self.last else [])):
            yield name, row, channels
            channels = row.out

    def with_classes(self, num_classes: int) -> Net:
        """The same network for another number of classes.

        Parameters
        ----------
        num_classes
            Outputs, as `num_classes` has it; 0: without a classifier.

        Raises
        ------
        UserError
            `num_classes` is negative or absurdly large.

        Examples
        --------
        >>> from mobilenets.arch import build
        >>> build("mobilenet_v2").with_classes(5).num_classes
        5
        """
        net = replace(self, head=replace(self.head, num_classes=num_classes))
        net.head.check()
        return net

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = dataclasses.asdict(self)
        values["blocks"] = [{"kind": row.kind, **vars(row)} for row in self.blocks]
        values["head"] = self.head.to_dict()
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Net:
        """The inverse of `to_dict`; the values may come from a stranger's file and are checked.

        Rows are found by their kind in `mobilenets.arch.rows.ROWS`.

        Raises
        ------
        UserError
            A missing, unknown or impossible value.
        """
        try:
            rows = [dict(row) for row in values["blocks"]]
            head = dict(values["head"])
            if len(rows) > _MAX_BLOCKS:
                raise UsageError(f"network: {len(rows)} blocks; at most {_MAX_BLOCKS} are read from a file")
            net = cls(
                **{
                    **values,
                    "stem": Conv(**values["stem"]),
                    "blocks": tuple(ROWS[row.pop("kind")](**row) for row in rows),
                    "last": Conv(**values["last"]) if values["last"] else None,
                    "head": HEADS[head.pop("kind", Head.kind)].from_dict(head),
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"network: not a description this version reads ({error!r})") from error
        return net.checked()

    def checked(self) -> Net:
        """Itself, if every number is of its kind and in its range.

        Returns
        -------
        Net
            This very network.

        Raises
        ------
        UserError
            A number is not, or the network as a whole would be too large to build.
        """
        if not isinstance(self.name, str) or len(self.name) > 100:
            raise UsageError("name: not a text of at most 100 characters")
        check_choice("family", self.family, FAMILIES)
        check_choice("flavor", self.flavor, FLAVORS)
        check_choice("padding", self.padding, PADDINGS)
        check_channels("in_channels", self.in_channels)
        check_fraction("norm_eps", self.norm_eps)
        check_fraction("norm_momentum", self.norm_momentum)
        check_choice("output_stride", self.output_stride, (8, 16, 32))
        if not isinstance(self.width, (int, float)) or not 0 < self.width < math.inf:
            raise UsageError(f"width: {self.width!r} is not a positive number")
        if not self.blocks:
            raise UsageError("network: it has no blocks")
        self.head.check()
        layers: list[Layer | Gate] = []
        for _, row, channels in self.rows():
            row.check()
            layers += row.layers(channels)
        layers += (layer for part in self.head_parts() for layer in part.layers)
        weights = sum(conv.weights for layer in layers for conv in layer.convolutions)
        if weights > _MAX_WEIGHTS:
            raise UsageError(f"network: {weights:,} weights are too many; at most {_MAX_WEIGHTS:,} are built")
        return self
