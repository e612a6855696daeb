"""`mobilenets models`: which weights are published for which network."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from mobilenets.errors import UserError
from mobilenets.system.terminal import table

if TYPE_CHECKING:
    from mobilenets.weights.catalog import Checkpoint


HEADER = ("model", "width", "tag", "params", "MACs", "top-1", "licence")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "pattern", nargs="?", default="*", metavar="PATTERN", help="of models or MODEL/TAG, for example '*v3*'"
    )
    parser.add_argument("--json", action="store_true", help="one JSON list, for other programs")


def run(args: argparse.Namespace) -> int:
    """Print the catalogue, or what of it matches."""
    from mobilenets.arch import NAMES
    from mobilenets.weights.catalog import checkpoints, matching

    found = matching(args.pattern)
    if not found:
        raise UserError(f"{args.pattern}: no published weights match; the models are {', '.join(NAMES)}")
    groups = sorted({(NAMES.index(c.model), -c.width) for c in found})
    rows = [_row(c) for i, width in groups for c in checkpoints(NAMES[i], -width) if c in found]
    if args.json:
        print(json.dumps(rows, indent=2))
    else:
        _print_table(rows)
    return 0


def _row(checkpoint: Checkpoint) -> dict[str, Any]:
    from mobilenets.arch import build
    from mobilenets.arch.cost import total
    from mobilenets.weights.catalog import checkpoints

    net = build(checkpoint.model, width=checkpoint.width, flavor=checkpoint.flavor)
    size = checkpoint.preprocess.size
    params, macs = total(net, size)
    return {
        "model": checkpoint.model,
        "width": checkpoint.width,
        "tag": checkpoint.tag,
        "default": checkpoint == checkpoints(checkpoint.model, checkpoint.width)[0],
        "parameters": params,
        "macs": macs,
        "top1": checkpoint.top1,
        "size": size,
        "licence": checkpoint.licence,
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    lines: list[tuple[str, ...]] = [HEADER]
    for row in rows:
        lines.append(
            (
                row["model"],
                f"{row['width']:g}",
                row["tag"] + (" *" if row["default"] else ""),
                f"{row['parameters'] / 1e6:.2f} M",
                f"{row['macs'] / 1e6:.1f} M",
                f"{row['top1']:.1f} @{row['size']}",
                row["licence"],
            )
        )
    print(*table(lines, "lrlrrrl"), sep="\n")
    print("* the default of its network and width")
