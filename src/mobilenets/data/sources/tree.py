"""The folders of a data set, looked into as far as needed to see how it is laid out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import islice
from pathlib import Path
from unicodedata import category, normalize

from mobilenets.data.sources.survey import Survey
from mobilenets.data.walk import image_files, is_folder, is_run, is_unseen
from mobilenets.preprocess.formats import is_image, kind_of, reads
from mobilenets.tasks.known import UNKNOWN

_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]+)?")
_LOOKED_INTO = 1_000  # files of one folder whose suffix is no picture's, to see whether one is


class Folder:
    """A folder: what lies directly in it, and which of its folders hold photographs anywhere below.

    `without` is one that is taken for absent; `unreadable` gets the error of a folder that cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        unreadable: Callable[[OSError], object],
        without: str | None = None,
        chain: frozenset[str] = frozenset(),
    ) -> None:
        self.path, self.name = path, path.name
        self._unreadable, self._without = unreadable, without
        self._chain = chain | {os.path.realpath(path)}

    @cached_property
    def _entries(self) -> tuple[list[str], list[str]]:
        folders: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    if not is_unseen(entry.name):
                        (folders if is_folder(entry) else files).append(entry.name)
        except OSError as error:
            self._unreadable(error)
        return sorted(folders), sorted(files)

    @cached_property
    def folders(self) -> list[Folder]:
        """Every visible folder in it, by name; none that leads back up, and no run."""
        return [f for f in self._inside if not f._is_run]

    @cached_property
    def runs(self) -> list[Path]:
        """The folders in it that `train` wrote, or that hold nothing else."""
        return [f.path for f in self._inside if f._is_run]

    @cached_property
    def _inside(self) -> list[Folder]:
        inside = [Folder(self.path / name, self._unreadable, self._without, self._chain) for name in self._entries[0]]
        return [f for f in inside if f._chain != self._chain and self._without not in f._chain]

    @cached_property
    def _is_run(self) -> bool:
        """Whether it is a run, or holds nothing else."""
        return is_run(*self._entries) or (
            not self.files and bool(self._inside) and all(f._is_run for f in self._inside)
        )

    @property
    def files(self) -> list[str]:
        """Names of all visible files directly in it."""
        return self._entries[1]

    @cached_property
    def has_images(self) -> bool:
        """Whether a picture lies directly in it."""
        if any(map(is_image, self.files)):
            return True
        return any(reads(kind_of(self.path / name)) for name in islice(self.files, _LOOKED_INTO))

    @cached_property
    def is_filled(self) -> bool:
        """Whether a picture lies in it or anywhere below."""
        return self.has_images or any(f.is_filled for f in self.folders)

    @cached_property
    def filled(self) -> list[Folder]:
        """The folders in it with pictures in them or below."""
        return [f for f in self.folders if f.is_filled]

    def count(self) -> int:
        """How many pictures lie in it and below."""
        return sum(1 for _ in image_files(self.path, self._unreadable, Survey()))

    @property
    def is_nested(self) -> bool:
        """Whether its pictures lie in folders of it only."""
        return not self.has_images and bool(self.filled)

    @cached_property
    def keys(self) -> frozenset[str]:
        """Names of the folders in it that hold pictures, as they are compared."""
        return frozenset(key(f.name) for f in self.filled)


def key(name: str) -> str:
    """A class name without what only a careless hand sets apart: case, Unicode form, white space, unseen characters."""
    seen = "".join(c for c in normalize("NFKC", name) if category(c) != "Cf")
    return " ".join(seen.casefold().split())


def name_warnings(names: Iterable[str]) -> list[str]:
    """A line for all classes whose names only a careless hand sets apart, and for one called as an answer is."""
    alike: dict[str, list[str]] = {}
    for name in names:
        plain = key(name)
        alike.setdefault(str(float(plain)) if _NUMBER.fullmatch(plain) else plain, []).append(name)
    lines = [
        f"warning: the classes {' and '.join(map(repr, sorted(own)))} differ only in case, white space, Unicode "
        "form or how a number is written; they are read as different classes"
        for own in alike.values()
        if len(own) > 1
    ]
    if UNKNOWN in alike.get(UNKNOWN, ()):
        answer = "the answer for photos unlike the training photos"
        lines.insert(0, f"warning: the class {UNKNOWN!r} is called as {answer} is; rename it")
    return lines
