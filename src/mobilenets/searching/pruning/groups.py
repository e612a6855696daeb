"""Which channels of a network hang together, derived from its table: what pruning cuts, and how a table is narrowed.

A *space* is a set of channels that can only be kept or cut together: those of an expansion with its depthwise
convolution, or the width that a chain of residual blocks shares.
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


@dataclass(frozen=True)
class Space:
    """`size` channels, written by the modules `writers`; `first`: the first block that sees a cut, -1 the stem.

    With `first` equal to the number of blocks, what comes after the blocks sees it.
    """

    name: str
    size: int
    first: int
    writers: tuple[str, ...]


@dataclass
class Layout:
    """The spaces of a network by name, in the order of its rows, and where each tensor has which of them.

    `tensors`: name in the state dict → spaces of its first two dimensions, None where a dimension is none of these.
    `rows`: for each block the spaces of those fields of its row that are numbers of channels.
    """

    spaces: dict[str, Space] = field(default_factory=dict)
    tensors: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=list)

    @property
    def sizes(self) -> dict[str, int]:
        """Channels by space."""
        return {name: space.size for name, space in self.spaces.items()}

    def _new(self, name: str, size: int, first: int) -> str:
        self.spaces[name] = Space(name, size, first, ())
        return name

    def _add(self, module: str, out: str | None, channels: str | None, norm: bool) -> None:
        """A convolution; `channels` None: depthwise, or from the image; `out` None: its number of channels stays."""
        if not norm:
            self.tensors[f"{module}.weight"] = (out, channels)
            self.tensors |= {f"{module}.bias": (out, None)} if out else {}
            return
        self.tensors[f"{module}.conv.weight"] = (out, channels)
        if out:
            self.tensors |= {f"{module}.norm.{name}": (out, None) for name in _NORM}
            space = self.spaces[out]
            self.spaces[out] = replace(space, writers=(*space.writers, module))

    def _row(self, name: str, row: Row, channels: int, current: str | None, first: int) -> dict[str, str]:
        """Add a row whose input is the space `current`; the spaces of its fields."""
        before, fields = current, {}
        *inner, last = row.layers(channels)
        for layer in (*inner, last):
            if isinstance(layer, Gate):
                # Its squeezed channels stay: one value each, not a map, so that nothing would be gained.
                reduce, expand = layer.convolutions
                self._add(reduce.path(name), None, current, reduce.norm)
                self._add(expand.path(name), current, None, expand.norm)
                continue
            reads = None
            if layer.groups == 1:  # a depthwise convolution keeps the channels it is given
                reads, current = current, None
                if layer is last and row.residual(channels):
                    current = before
                elif layer.field:
                    current = self._new(f"{name}.{layer.field}" if "." in name else name, layer.out, first)
            if layer.field and current:
                fields[layer.field] = current
            self._add(layer.path(name), current, reads, layer.norm)
        return fields


@lru_cache(maxsize=256)  # searches ask for every space of one network, and thousands of times for its neighbours
def layout(net: Net) -> Layout:
    """The spaces of `net`; of equal networks it is the same object, which nobody changes."""
    result = Layout()
    current: str | None = None
    for name, row, channels in net.rows():
        first = {STEM: -1, LAST: len(net.blocks)}.get(name, len(result.rows))
        fields = result._row(name, row, channels, current, first)
        current = fields["out"]
        if name not in (STEM, LAST):
            result.rows.append(fields)
    for layer in net.head.layers(net.feature_channels):
        out = result._new(HIDDEN, layer.out, len(net.blocks)) if layer.field else None
        result._add(layer.name, out, current, layer.norm)
        current = out
    return result


def resized(net: Net, sizes: Mapping[str, int]) -> Net | None:
    """`net` with other channels in some spaces.

    None where the table would then mean another network: an expansion that equals its input is none, and a width that
    equals the one before gets a shortcut.
    """
    plan = layout(net)
    channels = {**plan.sizes, **sizes}
    blocks = (
        changed(row, **{name: channels[space] for name, space in fields.items()})
        for row, fields in zip(net.blocks, plan.rows, strict=True)
    )
    cut = replace(
        net,
        stem=replace(net.stem, out=channels[STEM]),
        blocks=tuple(blocks),
        last=replace(net.last, out=channels[LAST]) if net.last else None,
        head=replace(net.head, hidden=channels.get(HIDDEN, 0)),
    ).checked()
    return cut if layout(cut).rows == plan.rows else None


def fewer(before: Net, after: Net) -> dict[str, int]:
    """The spaces of which `after`, cut from `before`, has fewer channels, with how many it has."""
    now = layout(before).sizes
    return {name: size for name, size in layout(after).sizes.items() if size < now[name]}


def told(space: Space) -> str:
    """The space in words."""
    if space.name in (STEM, LAST, HIDDEN):
        return {STEM: "stem", LAST: "last convolution", HIDDEN: "hidden layer"}[space.name]
    _, number, kind = space.name.split(".")
    if kind == "exp":
        return f"expansion of block {number}"
    blocks = [writer.split(".")[1] for writer in space.writers if writer.endswith((".project", ".pointwise"))]
    return f"width of block {number}" if len(blocks) < 2 else f"width of blocks {blocks[0]} to {blocks[-1]}"
