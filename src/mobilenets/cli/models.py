"""`mobilenets models`: which weights are published for which network."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from mobilenets.cli.options import call
from mobilenets.system.terminal import table

if TYPE_CHECKING:
    from mobilenets.verbs.models import PublishedWeights


HEADER = ("model", "width", "tag", "params", "MACs", "top-1", "licence")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "pattern", nargs="?", metavar="PATTERN", help="shell pattern of MODEL or MODEL/TAG, for example '*v3*'"
    )
    parser.add_argument("--json", action="store_true", help="one JSON list, for other programs")


def run(args: argparse.Namespace) -> int:
    """Print the catalogue, or what of it matches."""
    from mobilenets.verbs.models import models

    rows = call(models, args)
    if args.json:
        print(json.dumps([row.to_dict() for row in rows], indent=2))
    else:
        _print_table(rows)
    return 0


def _print_table(rows: list[PublishedWeights]) -> None:
    lines: list[tuple[str, ...]] = [HEADER]
    for row in rows:
        lines.append(
            (
                row.model,
                f"{row.width:g}",
                row.tag + (" *" if row.default else ""),
                f"{row.parameters / 1e6:.2f} M",
                f"{row.macs / 1e6:.1f} M",
                f"{row.top1:.1f} @{row.size}" if row.top1 is not None else f"mAP {row.map:.1f} @{row.size}",
                row.licence,
            )
        )
    print(*table(lines, "lrlrrrl"), sep="\n")
    print("* the default of its network and width")
