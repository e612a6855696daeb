"""`mobilenets show`: the paper's table of a network, with what each row costs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.errors import UserError
from mobilenets.system.terminal import table

if TYPE_CHECKING:
    from mobilenets.arch.cost import RowCost
    from mobilenets.arch.net import Net


SIZE = 224
MAX_SIZE = 8192
HEADER = ("Input", "Operator", "exp size", "#out", "SE", "NL", "s", "parameters", "MACs")
_NL = {"none": "-", "relu": "RE", "relu6": "RE6", "hswish": "HS"}  # V3's abbreviations, and ReLU6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="a network, for example mobilenet_v3_large, or a run folder")
    parser.add_argument("--width", type=float, metavar="A", help="width multiplier (default 1)")
    parser.add_argument(
        "--size", type=int, metavar="PX", help=f"side of the input in pixels (default {SIZE}, or the run's)"
    )
    parser.add_argument(
        "--flavor", metavar="F", help="whose rounding of channels: torchvision, timm or tf (default: as published best)"
    )
    parser.add_argument("--reduced-tail", action="store_true", help="V3 with half the channels in its last stage")
    parser.add_argument("--output-stride", type=int, metavar="S", help="32 (default), or 16 or 8 by dilation")
    parser.add_argument("--classes", type=int, metavar="N", help="outputs (default 1000)")


def run(args: argparse.Namespace) -> int:
    """Print the table and the totals."""
    from mobilenets.arch import NAMES
    from mobilenets.arch.cost import costs

    stored = args.model not in NAMES and Path(args.model).exists()
    net, size = _stored(args) if stored else (_built(args), SIZE)
    size = size if args.size is None else args.size
    if size > MAX_SIZE:
        raise UserError(f"--size: {size} pixels are too many; use {MAX_SIZE} or fewer")
    rows = costs(net, size)
    # Of a run the width says where its network began: a search may have cut every row by itself.
    print(f"{net.name}, {f'of {args.model}' if stored else f'width {net.width:g}'}, flavor {net.flavor}")
    print(*table([HEADER, *_lines(net, rows)], "llr"), sep="\n")
    params, macs = sum(row.params for row in rows), sum(row.macs for row in rows)
    peak = max(rows, key=lambda row: row.activation_bytes)
    totals = [
        ("parameters", f"{params:,} ({params / 1e6:.2f} M)"),
        ("MACs", f"{macs:,} ({macs / 1e6:.1f} M) at {size}x{size}"),
        ("peak activation", f"{peak.activation_bytes / 2**20:.2f} MiB (float32, one image, in {peak.name})"),
    ]
    print(*table(totals, "l"), sep="\n")
    return 0


def _built(args: argparse.Namespace) -> Net:
    """The network of a name, as the options say."""
    from mobilenets.arch import build

    return build(
        args.model,
        width=1.0 if args.width is None else args.width,
        num_classes=1000 if args.classes is None else args.classes,
        reduced_tail=args.reduced_tail,
        output_stride=32 if args.output_stride is None else args.output_stride,
        flavor=args.flavor,
    )


def _stored(args: argparse.Namespace) -> tuple[Net, int]:
    """The network of a run folder or model file, which has its own of everything, and the size of its input."""
    for name in ("width", "flavor", "reduced_tail", "output_stride", "classes"):
        if getattr(args, name) not in (None, False):
            raise UserError(f"--{name.replace('_', '-')}: {args.model} has its own; leave it out")
    from mobilenets.model_card import read_card

    card = read_card(Path(args.model))
    return card.net, card.preprocess.size


def _lines(net: Net, rows: list[RowCost]) -> list[tuple[str, ...]]:
    """Cells per row, with the pooling that the papers print too and that costs no parameters."""
    lines: list[tuple[str, ...]] = []
    for row in rows:
        if row.name in ("head", "classifier") and not any(line[1].startswith("pool") for line in lines):
            lines.append(_pool(net, rows))
        lines.append(_line(net, row))
    if net.num_classes == 0 and not net.head.hidden:
        lines.append(_pool(net, rows))
    return lines


def _pool(net: Net, rows: list[RowCost]) -> tuple[str, ...]:
    side = [row for row in rows if row.row is not None][-1].out_size
    return (_shape(side, net.feature_channels), f"pool, {side}x{side}", *"-----", "0", "0")


def _line(net: Net, row: RowCost) -> tuple[str, ...]:
    from mobilenets.arch.layers import Gate, Layer

    spec, shape, numbers = row.row, _shape(row.size, row.channels), (f"{row.params:,}", f"{row.macs:,}")
    if spec is None:
        operator, act = "linear", "none"
        if row.name == "head":
            operator, act = "conv2d, 1x1" if net.head.norm else "conv2d, 1x1, NBN", net.head.act
        return (shape, operator, "-", str(row.out), "-", _NL[act], "1", *numbers)
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
