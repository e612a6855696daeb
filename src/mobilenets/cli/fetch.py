"""`mobilenets fetch flowers`: the tutorial's photographs, verified and split."""

from __future__ import annotations

import argparse
from pathlib import Path

from mobilenets import choices
from mobilenets.cli.options import SEED, call, one_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("what", **one_of(choices.DataSet), metavar="flowers", help="five classes, 3,670 photos, 229 MB")
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder (default %(default)s)")
    parser.add_argument(
        "--val", type=float, metavar="FRACTION", help="fraction held out of every class (default %(default)s)"
    )
    parser.add_argument("--seed", **SEED, help="seed of the split (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Fetch, verify, unpack and split."""
    from mobilenets.verbs.fetch import fetch

    fetched = call(fetch, args)
    width = max(map(len, fetched.counts))
    print(f"{'class':<{width}}  train   val")
    for name, (train, val) in fetched.counts.items():
        print(f"{name:<{width}}  {train:5d} {val:5d}")
    print(f"next: mobilenets train {fetched.folder}")
    return 0
