"""SOURCE on the command line: files, folders, globs, or `-` for paths on standard input; streamed."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from mobilenets.errors import UserError
from mobilenets.images import is_image


def expand(sources: list[str]) -> Iterator[str]:
    """The paths that the sources name, one after another, without a list of them all in memory.

    Raises:
        UserError: a source that does not exist, or a folder or pattern without images.
    """
    for source in sources:
        yield from _expand(source)


def _expand(source: str) -> Iterator[str]:
    if source == "-":
        yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
    elif Path(source).is_dir():
        yield from _some(_walk(source), f"{source}: no images in this folder")
    elif Path(source).exists():
        yield source
    elif glob.has_magic(source):
        yield from _some(iter(sorted(glob.glob(source, recursive=True))), f"{source}: no file matches this pattern")
    else:
        raise UserError(f"{source}: no such file or folder")


def _walk(folder: str) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        folders.sort()
        yield from (str(Path(root, name)) for name in sorted(files) if is_image(name))


def _some(paths: Iterator[str], nothing: str) -> Iterator[str]:
    first = next(paths, None)
    if first is None:
        raise UserError(nothing)
    yield first
    yield from paths
