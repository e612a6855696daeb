"""SOURCE on the command line: files, folders, globs, or `-` for paths on standard input; streamed."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from mobilenets.data.walk import visible_files
from mobilenets.errors import UserError
from mobilenets.preprocess.formats import is_image


def expand(sources: list[str]) -> Iterator[str]:
    """The paths that the sources name, one after another, without a list of them all in memory.

    A file is taken whatever its name; of folders (as `visible_files` walks them) and patterns only pictures, by
    suffix, and of folders also those in them that cannot be opened, so that they count as unreadable. Every source
    is looked at before the first path is given out.

    Raises:
        UserError: a source that does not exist, a folder or pattern without pictures, no paths on standard input.
    """
    return chain.from_iterable([_expand(source) for source in sources])


def _expand(source: str) -> Iterator[str]:
    if source == "-":
        return _some(_listed(), "-: no paths on standard input; write one a line")
    path = Path(source)
    if path.is_dir():
        return _some(_pictures(source), f"{source}: no pictures in this folder")
    if path.exists():
        return iter((source,))
    if glob.has_magic(source):
        matches = sorted(match for match in glob.iglob(source, recursive=True) if is_image(match))
        return _some(iter(matches), f"{source}: no picture matches this pattern")
    raise UserError(f"{source}: no such file or folder; check the spelling")


def _listed() -> Iterator[str]:
    # As bytes: a file name need not be text.
    for line in sys.stdin.buffer:
        path = os.fsdecode(line.rstrip(b"\r\n"))
        if path.strip():
            yield path


def _pictures(folder: str) -> Iterator[str]:
    """The pictures below a folder, then the folders in it that cannot be opened: reading those says why."""
    closed: list[str] = []
    yield from filter(is_image, visible_files(folder, lambda error: closed.append(error.filename)))
    yield from closed


def _some(paths: Iterator[str], nothing: str) -> Iterator[str]:
    first = next(paths, None)
    if first is None:
        raise UserError(nothing)
    return chain((first,), paths)
