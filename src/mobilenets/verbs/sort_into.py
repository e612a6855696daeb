"""`predict --sort-into`: photos copied or linked into a folder for each class, `unknown/` among them."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from mobilenets.errors import UsageError
from mobilenets.tasks.known import UNKNOWN

_UNUSABLE = re.compile(r'[/\\:*?"<>|\x00-\x1f]')  # in names of folders, on one system or another
_MAX_NAME = 200  # bytes; file systems take 255, and a number may follow

log = logging.getLogger(__name__)


class Sorter:
    """Puts photos into the folders of their classes; nothing that exists is ever written over.

    Parameters
    ----------
    folder
        A new folder, or an empty one.
    classes
        Names of all classes.
    link
        Symbolic links instead of copies.

    Raises
    ------
    UserError
        The folder holds something, or cannot be written.
    """

    def __init__(self, folder: Path, classes: Iterable[str], link: bool) -> None:
        self._folders, self._link = _folders(folder, classes), link
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"--sort-into {folder}: is a file; name a new folder")
        if folder.is_dir() and any(folder.iterdir()):
            raise UsageError(f"--sort-into {folder}: holds files already; name a new folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--sort-into {folder}: cannot be made ({error.strerror}); name another folder") from None

    def add(self, path: Path, label: str | None) -> Path:
        """Put the photo at `path` into the folder of its class, or of the unknown, and give its new path.

        Raises
        ------
        UserError
            It cannot be copied or linked there.
        """
        folder, new = self._folders[label], None
        try:
            folder.mkdir(exist_ok=True)
            new = _unused(folder / path.name)
            if self._link:
                new.symlink_to(path.absolute())
            else:
                with path.open("rb") as source, new.open("xb") as copy:
                    shutil.copyfileobj(source, copy)
                shutil.copystat(path, new)
        except OSError as error:
            if new is not None and not self._link:
                new.unlink(missing_ok=True)  # what has only a part of the photo
            advice = "leave --link out" if self._link else "make room, or name another folder"
            raise UsageError(f"--sort-into {folder}: {path} cannot be put there ({error.strerror}); {advice}") from None
        return new


def _folders(folder: Path, classes: Iterable[str]) -> dict[str | None, Path]:
    """A folder for every class and, under None, for the unknown: names that every system takes, no two the same."""
    folders: dict[str | None, Path] = {}
    taken: set[str] = set()
    for label in (*classes, None):
        wanted = UNKNOWN if label is None else _usable(label)
        name, number = wanted, 2
        while name.casefold() in taken:
            name, number = f"{wanted}-{number}", number + 1
        taken.add(name.casefold())
        folders[label] = folder / name
    other = [
        f"{label or UNKNOWN!a} in {path.name}" for label, path in folders.items() if (label or UNKNOWN) != path.name
    ]
    if other:
        more = f" and {len(other) - 3:,} more" if len(other) > 3 else ""
        log.warning("--sort-into: folders are called otherwise than classes: %s%s", ", ".join(other[:3]), more)
    return folders


def _usable(label: str) -> str:
    """The name of a class as one of a folder."""
    name = _UNUSABLE.sub("_", label).encode()[:_MAX_NAME].decode(errors="ignore")
    return name.rstrip(". ") or "_"


def _unused(path: Path) -> Path:
    """`path`, or with a number where another photo has this name."""
    new, number = path, 2
    while os.path.lexists(new):
        new, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return new
