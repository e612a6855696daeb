"""SOURCE on the command line: files, folders, globs, or `-` for paths on standard input; streamed."""

from __future__ import annotations

import codecs
import glob
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from mobilenets.data.sources.survey import Survey, named
from mobilenets.data.walk import image_files, images_among
from mobilenets.errors import DataError

WEB = ("http://", "https://")


def listed(sources: str | Path | Sequence[str | Path]) -> list[str]:
    """The words of an argument that is a source or several."""
    return [str(sources)] if isinstance(sources, (str, Path)) else [str(one) for one in sources]


def expand(sources: list[str], survey: Survey) -> Iterator[str]:
    """The paths that the sources name, one after another, without a list of them all in memory.

    A file is taken whatever it is; of folders and patterns only pictures, whatever they are called (as `image_files`
    finds them), and of folders also those in them that cannot be opened, so that they count as unreadable. What is
    left out is counted in `survey`. Every source is looked at before the first path is given out.

    Raises
    ------
    UserError
        A source that does not exist, a folder or pattern without pictures, no paths on standard input.
    """
    return chain.from_iterable([_expand(source, survey) for source in sources])


def _expand(source: str, survey: Survey) -> Iterator[str]:
    if source == "-":
        return _some(_on_standard_input(), "-: no paths on standard input; write one a line", survey)
    path = Path(source)
    if path.is_dir():
        return _some(_images_below(source, survey), f"{source}: no photos in this folder", survey)
    if path.exists():
        return iter((source,))
    if glob.has_magic(source):
        matches = sorted(match for match in glob.iglob(source, recursive=True) if not Path(match).is_dir())
        return _some(images_among(matches, survey), f"{source}: no photo matches this pattern", survey)
    if source.startswith(WEB):
        raise DataError(f"{source}: web addresses are not fetched; download the photo first")
    raise DataError(f"{source}: no such file or folder; check the spelling")


def _on_standard_input() -> Iterator[str]:
    # As bytes: a file name need not be text.
    for number, line in enumerate(sys.stdin.buffer):
        line = line.removeprefix(codecs.BOM_UTF8) if number == 0 else line  # PowerShell begins a pipe with it
        path = os.fsdecode(line.rstrip(b"\r\n"))
        if path.strip():
            yield path


def _images_below(folder: str, survey: Survey) -> Iterator[str]:
    """The pictures below a folder, then the folders in it that cannot be opened: reading those says why."""
    closed: list[str] = []
    yield from image_files(folder, lambda error: closed.append(error.filename), survey)
    yield from closed


def _some(paths: Iterator[str], nothing: str, survey: Survey) -> Iterator[str]:
    first = next(paths, None)
    if first is None:
        lines = survey.lines()
        raise DataError(f"{nothing} ({named(lines)})" if lines else nothing)
    return chain((first,), paths)
