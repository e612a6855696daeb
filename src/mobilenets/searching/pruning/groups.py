"""Which channels of a network belong together, derived from its table: what pruning cuts, and how a table is narrowed.

A *channel group* is a set of channels that can only be kept or cut together. Examples are those of an expansion with
its depthwise convolution, or the width that a chain of residual blocks shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from mobilenets.arch.layers import Gate
from mobilenets.arch.net import Net
from mobilenets.arch.rows import Row, changed

STEM, LAST, HIDDEN = "stem", "last", "hidden"
_NORM = ("weight", "bias", "running_mean", "running_var")
_CACHED = 512  # a step of a search asks for the same hundred networks several times over


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that are only kept or cut together.

    Parameters
    ----------
    name
        `stem`, `blocks.3.exp`, `blocks.3.out`, `last` or `hidden`.
    size
        Number of channels.
    first
        The first block that sees a cut. -1 is the stem; the number of blocks stands for what comes after them.
    writers
        Modules whose outputs these channels are.
    """

    name: str
    size: int
    first: int
    writers: tuple[str, ...]

    def describe(self) -> str:
        """The group in words."""
        if self.name in (STEM, LAST, HIDDEN):
            return {STEM: "stem", LAST: "last convolution", HIDDEN: "hidden layer"}[self.name]
        _, number, kind = self.name.split(".")
        if kind == "exp":
            return f"expansion of block {number}"
        blocks = [writer.split(".")[1] for writer in self.writers if writer.endswith((".project", ".pointwise"))]
        return f"width of block {number}" if len(blocks) < 2 else f"width of blocks {blocks[0]} to {blocks[-1]}"


@dataclass(frozen=True)
class ChannelGroups:
    """The channel groups of a network.

    Parameters
    ----------
    by_name
        The groups by name, in the order of the network's rows.
    tensors
        For each name in the state dict the groups of its first two dimensions; None for a dimension without one.
    rows
        For each block the groups of those fields of its row that are numbers of channels.
    """

    by_name: Mapping[str, ChannelGroup]
    tensors: Mapping[str, tuple[str | None, str | None]]
    rows: tuple[Mapping[str, str], ...]

    @property
    def sizes(self) -> dict[str, int]:
        """Channels by group."""
        return {name: group.size for name, group in self.by_name.items()}


@dataclass
class _Builder:
    """Channel groups while a network is gone through."""

    by_name: dict[str, ChannelGroup] = field(default_factory=dict)
    tensors: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=list)

    def new_group(self, name: str, size: int, first: int) -> str:
        self.by_name[name] = ChannelGroup(name, size, first, ())
        return name

    def add_layer(self, module: str, out: str | None, channels: str | None, norm: bool) -> None:
        """A convolution; `channels` None: depthwise, or from the image; `out` None: its number of channels stays."""
        if not norm:
            self.tensors[f"{module}.weight"] = (out, channels)
            self.tensors |= {f"{module}.bias": (out, None)} if out else {}
            return
        self.tensors[f"{module}.conv.weight"] = (out, channels)
        if out:
            self.tensors |= {f"{module}.norm.{name}": (out, None) for name in _NORM}
            group = self.by_name[out]
            self.by_name[out] = replace(group, writers=(*group.writers, module))

    def add_row(self, name: str, row: Row, channels: int, current: str | None, first: int) -> dict[str, str]:
        """Add a row whose input is the group `current`; the groups of its fields."""
        before, fields = current, {}
        *inner, last = row.layers(channels)
        for layer in (*inner, last):
            if isinstance(layer, Gate):
                # Its squeezed channels stay: one value each, not a map, so that nothing would be gained.
                reduce, expand = layer.convolutions
                self.add_layer(reduce.path(name), None, current, reduce.norm)
                self.add_layer(expand.path(name), current, None, expand.norm)
                continue
            reads = None
            if layer.groups == 1:  # a depthwise convolution keeps the channels it is given
                reads, current = current, None
                if layer is last and row.residual(channels):
                    current = before
                elif layer.field:
                    current = self.new_group(f"{name}.{layer.field}" if "." in name else name, layer.out, first)
            if layer.field and current:
                fields[layer.field] = current
            self.add_layer(layer.path(name), current, reads, layer.norm)
        return fields


@lru_cache(maxsize=_CACHED)
def channel_groups(net: Net) -> ChannelGroups:
    """The channel groups of `net`, in the order of its rows."""
    builder = _Builder()
    current: str | None = None
    for name, row, channels in net.rows():
        first = {STEM: -1, LAST: len(net.blocks)}.get(name, len(builder.rows))
        fields = builder.add_row(name, row, channels, current, first)
        current = fields["out"]
        if name not in (STEM, LAST):
            builder.rows.append(fields)
    for layer in net.classifier.layers(net.feature_channels):
        out = builder.new_group(HIDDEN, layer.out, len(net.blocks)) if layer.field else None
        builder.add_layer(layer.name, out, current, layer.norm)
        current = out
    return ChannelGroups(builder.by_name, builder.tensors, tuple(builder.rows))


def with_channels(net: Net, sizes: Mapping[str, int]) -> Net | None:
    """`net` with other numbers of channels in some groups.

    Parameters
    ----------
    net
        The network's table.
    sizes
        Channels by group; groups it does not name stay as they are.

    Returns
    -------
    Net or None
        None where the table would mean another network. An expansion that equals its input is none. A width that
        equals the one before gains a shortcut.
    """
    groups = channel_groups(net)
    channels = {**groups.sizes, **sizes}
    blocks = (
        changed(row, **{name: channels[group] for name, group in fields.items()})
        for row, fields in zip(net.blocks, groups.rows, strict=True)
    )
    resized = replace(
        net,
        stem=replace(net.stem, out=channels[STEM]),
        blocks=tuple(blocks),
        last=replace(net.last, out=channels[LAST]) if net.last else None,
        head=replace(net.classifier, hidden=channels.get(HIDDEN, 0)),
    ).checked()
    return resized if channel_groups(resized).rows == groups.rows else None


def channel_cuts(before: Net, after: Net) -> dict[str, int]:
    """The groups of which `after`, cut from `before`, has fewer channels, with how many it has."""
    sizes = channel_groups(before).sizes
    return {name: size for name, size in channel_groups(after).sizes.items() if size < sizes[name]}
