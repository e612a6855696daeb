"""`mobilenets cache`: what is kept of downloads and decoded photographs, and how to be rid of it."""

from __future__ import annotations

import argparse

from mobilenets.cli.options import call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--clear", action="store_true", help="delete all of it")


def run(args: argparse.Namespace) -> int:
    """List the cache folder's files; with --clear delete them."""
    from mobilenets.verbs.cache import cache

    found = call(cache, args)
    if found.freed is not None:
        print(f"{found.folder}: {_size(found.freed)} freed")
        return 0
    print(found.folder)
    for path, size in found.files:
        print(f"{_size(size):>10}  {path.relative_to(found.folder)}")
    print(f"{_size(sum(size for _, size in found.files)):>10}  in {len(found.files)} files")
    return 0


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
