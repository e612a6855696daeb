"""`mobilenets show`: the paper's table of a network, with what each row costs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mobilenets import choices
from mobilenets.cli.options import call, one_of
from mobilenets.system.terminal import table

if TYPE_CHECKING:
    from mobilenets.arch.cost import RowCost
    from mobilenets.arch.net import Net


HEADER = ("Input", "Operator", "exp size", "#out", "SE", "NL", "s", "parameters", "MACs")
_NL = {"none": "-", "relu": "RE", "relu6": "RE6", "hswish": "HS"}  # V3's abbreviations, and ReLU6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="a network, for example mobilenet_v3_large, or a run folder")
    parser.add_argument("--width", type=float, metavar="A", help="width multiplier (default 1)")
    parser.add_argument(
        "--size", type=int, metavar="PX", help="side of the input (default 224, of a detector 320, or the run's)"
    )
    parser.add_argument(
        "--flavor", **one_of(choices.Flavor), help="whose rounding of channels (default: as published best)"
    )
    parser.add_argument("--reduced-tail", action="store_true", help="V3 with half the channels in its last stage")
    parser.add_argument("--output-stride", type=int, metavar="S", help="32 (default), or 16 or 8 by dilation")
    parser.add_argument(
        "--classes", type=int, metavar="N", help="outputs (default 1000; of a detector 91, with the background)"
    )


def run(args: argparse.Namespace) -> int:
    """Print the table and the totals."""
    from mobilenets.verbs.show import show

    shown = call(show, args)
    net, size, peak = shown.net, shown.size, shown.peak
    # Of a run the width says where its network began: a search may have cut every row by itself.
    print(f"{net.name}, {f'of {args.model}' if shown.stored else f'width {net.width:g}'}, flavor {net.flavor}")
    print(*table([HEADER, *_lines(net, shown.rows)], "llr"), sep="\n")
    totals = [
        ("parameters", f"{shown.parameters:,} ({shown.parameters / 1e6:.2f} M)"),
        ("MACs", f"{shown.macs:,} ({shown.macs / 1e6:.1f} M) at {size}x{size}"),
        ("peak activation", f"{peak.activation_bytes / 2**20:.2f} MiB (float32, one image, in {peak.name})"),
    ]
    print(*table(totals, "l"), sep="\n")
    return 0


def _lines(net: Net, rows: Sequence[RowCost]) -> list[tuple[str, ...]]:
    """Cells per row, with the pooling that the papers print too and that costs no parameters."""
    lines: list[tuple[str, ...]] = []
    for row in rows:
        if row.name in ("head", "classifier") and not any(line[1].startswith("pool") for line in lines):
            lines.append(_pool(net, rows))
        lines.append(_line(row))
    if rows[-1].row is not None:  # neither classifier nor anything before it
        lines.append(_pool(net, rows))
    return lines


def _pool(net: Net, rows: Sequence[RowCost]) -> tuple[str, ...]:
    side = [row for row in rows if row.row is not None][-1].out_size
    return (_shape(side, net.feature_channels), f"pool, {side}x{side}", *"-----", "0", "0")


def _line(row: RowCost) -> tuple[str, ...]:
    from mobilenets.arch.layers import Gate, Layer

    spec, shape, numbers = row.row, _shape(row.size, row.channels), (f"{row.params:,}", f"{row.macs:,}")
    if spec is None:
        stride = "2" if row.out_size < row.size else "1"
        return (shape, row.title, "-", str(row.out), "-", _NL[row.act], stride, *numbers)
    layers = list(spec.layers(row.channels))
    exp = next((str(layer.out) for layer in layers if isinstance(layer, Layer) and layer.field == "exp"), "-")
    return (
        shape,
        spec.title + (f", dilated {spec.dilation}" if spec.dilation > 1 else ""),
        exp,
        str(row.out),
        "yes" if any(isinstance(layer, Gate) for layer in layers) else "-",
        _NL[spec.act],
        str(spec.stride),
        *numbers,
    )


def _shape(side: int, channels: int) -> str:
    return f"{side}x{side}x{channels}"
