"""`mobilenets fetch flowers`: the tutorial's photographs, verified and split."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("what", choices=("flowers",), metavar="flowers", help="five classes, 3,670 photographs, 229 MB")
    parser.add_argument("--out", type=Path, default=Path("flowers"), metavar="DIR", help="new folder (default flowers)")
    parser.add_argument("--val", type=float, default=0.1, metavar="SHARE", help="held out of every class (default 0.1)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the split (default 0)")


def run(args: argparse.Namespace) -> int:
    """Fetch, verify, unpack and split."""
    from mobilenets.data.flowers import fetch_flowers
    from mobilenets.errors import UserError

    if args.seed < 0:
        raise UserError(f"--seed: {args.seed} is negative; use 0 or more")
    counts = fetch_flowers(args.out, args.val, args.seed)
    width = max(map(len, counts))
    print(f"{'class':<{width}}  train   val")
    for name, (train, val) in counts.items():
        print(f"{name:<{width}}  {train:5d} {val:5d}")
    print(f"next: mobilenets train {args.out}")
    return 0
