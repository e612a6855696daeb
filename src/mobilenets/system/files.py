"""Files written whole or not at all, and what is refused before the work that would end in one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from mobilenets.errors import UsageError


def check_new_file(option: str, path: Path, *suffixes: str) -> None:
    """Refuse before the work what would be lost after it: the value of an option that names a file to write.

    Raises
    ------
    UserError
        `path` exists, ends in none of `suffixes`, or lies in a folder that is missing or cannot be written.
    """
    if path.exists():
        raise UsageError(f"{option} {path}: exists already; name a new file")
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{option} {path}: name a file that ends in {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}; make it first, or name another file")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{option} {path}: the folder {path.parent} cannot be written; name a file elsewhere")


def check_new_folder(folder: Path) -> None:
    """Refuse before the work a folder that could not be made after it.

    Raises
    ------
    UserError
        `folder` exists, or where it would lie is a file, or nothing can be written.
    """
    if folder.exists():
        raise UsageError(f"{folder}: exists already; choose another --out")
    parent = next(there for there in folder.absolute().parents if there.exists())
    if not parent.is_dir():
        raise UsageError(f"{folder}: {parent} is a file; choose another --out")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"{folder}: the folder {parent} cannot be written; choose another --out")


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace `path` by `data` (text as UTF-8) in one step: a reader, or a crash, sees the old or the new file.

    Raises
    ------
    OSError
        About `path`, whichever step failed; nothing is left behind.
    """
    with replacing(path) as part, part.open("wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def open_atomic(path: Path) -> Iterator[TextIO]:
    """As `write_atomic`, for UTF-8 text too long to be held at once: a file to write it to.

    Raises
    ------
    OSError
        As `write_atomic`.
    """
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside `path`, which takes its place at the end; an `OSError` inside is one about `path`."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # in a folder that cannot be written there is nothing to remove
            part.unlink()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
