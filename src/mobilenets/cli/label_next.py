"""`mobilenets label-next`: which photos are worth a label."""

from __future__ import annotations

import argparse
from pathlib import Path

from mobilenets.cli.options import call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "source", nargs="+", metavar="SOURCE", help="file, folder, glob, or - for paths on standard input"
    )
    parser.add_argument(
        "--from", dest="from_run", metavar="RUN", help="a run on the labels so far (default: there are none yet)"
    )
    parser.add_argument("--n", type=int, metavar="N", help="how many (default %(default)s)")
    parser.add_argument("--out", metavar="CSV", help="new list (default %(default)s)")
    parser.add_argument("--save", type=Path, metavar="PNG", help="draw the first 16")


def run(args: argparse.Namespace) -> int:
    """List the photos; 1 when some could not be read."""
    from mobilenets.verbs.label_next import label_next

    result = call(label_next, args)
    if result.copies:
        print(f"left out {result.copies} that show the same as another")
    print(f"wrote {len(result.photos)} photos to label, {result.photos[0].why} ones, to {result.path}")
    return 1 if result.failures else 0
