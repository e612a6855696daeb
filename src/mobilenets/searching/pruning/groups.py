"""Which channels of a network hang together, derived from its table: what pruning cuts, and how a table is narrowed.

A *space* is a set of channels that can only be kept or cut together: those of an expansion with its depthwise
convolution, or the width that a chain of residual blocks shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mobilenets.arch.rows import Conv, Fused, Inverted, Net, Row, Separable

STEM, LAST, HIDDEN = "stem", "last", "hidden"


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
    `rows`: for each block the spaces of its expansion (None: the row has no such number) and of its output.
    """

    spaces: dict[str, Space] = field(default_factory=dict)
    tensors: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    rows: list[tuple[str | None, str]] = field(default_factory=list)

    @property
    def sizes(self) -> dict[str, int]:
        """Channels by space."""
        return {name: space.size for name, space in self.spaces.items()}

    def _conv(self, prefix: str, out: str, channels: str | None) -> None:
        """A convolution with BatchNorm under `prefix`; `channels` None: depthwise, or from the image."""
        self.tensors[f"{prefix}.conv.weight"] = (out, channels)
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.tensors[f"{prefix}.norm.{name}"] = (out, None)
        space = self.spaces[out]
        self.spaces[out] = replace(space, writers=(*space.writers, prefix))

    def _new(self, name: str, size: int, first: int) -> str:
        self.spaces[name] = Space(name, size, first, ())
        return name


def layout(net: Net) -> Layout:
    """The spaces of `net`."""
    result = Layout()
    current = result._new(STEM, net.stem.out, -1)
    result._conv(STEM, STEM, None)
    for i, row in enumerate(net.blocks):
        current = _block(result, i, row, current)
    after = len(net.blocks)
    if net.last:
        result._new(LAST, net.last.out, after)
        result._conv(LAST, LAST, current)
        current = LAST
    if net.head.hidden:
        result._new(HIDDEN, net.head.hidden, after)
        if net.head.norm:
            result._conv(HIDDEN, HIDDEN, current)
        else:
            result.tensors |= {"hidden.0.weight": (HIDDEN, current), "hidden.0.bias": (HIDDEN, None)}
        current = HIDDEN
    if net.num_classes:
        result.tensors["classifier.weight"] = (None, current)
    return result


def _block(result: Layout, i: int, row: Row, current: str) -> str:
    """Add block `i`, whose input is the space `current`; its output's space."""
    name, channels = f"blocks.{i}", result.spaces[current].size
    out = f"{name}.out"
    if isinstance(row, (Conv, Separable)):
        result._new(out, row.out, i)
        if isinstance(row, Conv):
            result._conv(name, out, current)
        else:
            result._conv(f"{name}.depthwise", current, None)
            result._conv(f"{name}.pointwise", out, current)
        result.rows.append((None, out))
        return out
    exp = current
    if not isinstance(row, Inverted) or row.exp != channels:  # else there is no expansion convolution
        exp = result._new(f"{name}.exp", row.exp, i)
    residual = row.stride == 1 and channels == row.out and getattr(row, "shortcut", True)
    out = current if residual else result._new(out, row.out, i)
    if getattr(row, "start", 0):
        result._conv(f"{name}.start", current, None)
    if exp != current:
        result._conv(f"{name}.expand", exp, current)
    if not isinstance(row, Fused) and row.kernel:
        result._conv(f"{name}.depthwise", exp, None)
    if isinstance(row, Inverted) and row.se:
        # Its squeezed channels stay: one value each, not a map, so that nothing would be gained.
        result.tensors |= {
            f"{name}.se.reduce.weight": (None, exp),
            f"{name}.se.expand.weight": (exp, None),
            f"{name}.se.expand.bias": (exp, None),
        }
    result._conv(f"{name}.project", out, exp)
    result.rows.append((exp, out))
    return out


def resized(net: Net, sizes: Mapping[str, int]) -> Net | None:
    """`net` with other channels in some spaces.

    None where the table would then mean another network: an expansion that equals its input is none, and a width that
    equals the one before gets a shortcut.
    """
    plan = layout(net)
    channels = {**plan.sizes, **sizes}
    blocks: list[Row] = []
    for row, (exp, out) in zip(net.blocks, plan.rows, strict=True):
        if exp is None or isinstance(row, (Conv, Separable)):
            blocks.append(replace(row, out=channels[out]))
        else:
            blocks.append(replace(row, exp=channels[exp], out=channels[out]))
    changed = replace(
        net,
        stem=replace(net.stem, out=channels[STEM]),
        blocks=tuple(blocks),
        last=replace(net.last, out=channels[LAST]) if net.last else None,
        head=replace(net.head, hidden=channels.get(HIDDEN, 0)),
    )
    changed = Net.from_dict(changed.to_dict())  # its checks hold here too
    return changed if layout(changed).rows == plan.rows else None


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
