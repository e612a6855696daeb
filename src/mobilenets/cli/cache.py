"""`mobilenets cache`: what is kept of downloads and decoded photographs, and how to be rid of it."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--clear", action="store_true", help="delete all of it")


def run(args: argparse.Namespace) -> int:
    """List the cache folder's files; with --clear delete them."""
    from mobilenets.system.cache_dir import cached_files, clear_cache, home

    if args.clear:
        print(f"{home()}: {_size(clear_cache())} freed")
        return 0
    print(home())
    files = cached_files()
    for path, size in files:
        print(f"{_size(size):>10}  {path.relative_to(home())}")
    print(f"{_size(sum(size for _, size in files)):>10}  in {len(files)} files")
    return 0


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
