"""The photos below a folder, found by what an annotation calls them; a name never leads out of the folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

from mobilenets.data.sources.split_names import split_called
from mobilenets.data.sources.survey import Survey, count_text, named
from mobilenets.data.walk import image_files
from mobilenets.errors import DataError

_HOLDERS = {"jpegimages", "images"}  # where photos lie; what lies elsewhere too may be made of them


class Photos:
    """Paths of all photos below `data`, relative to it, with `/` between folders."""

    def __init__(self, data: Path) -> None:
        self.data = data
        start = len(str(data / "x")) - 1
        self.paths = [path[start:].replace(os.sep, "/") for path in image_files(data, _unreadable, Survey())]
        self._all = frozenset(self.paths)
        self._called: dict[str, list[str]] = {}
        self._stems: dict[str, list[str]] = {}
        for path in self.paths:
            name = path.rpartition("/")[2]
            self._called.setdefault(name, []).append(path)
            self._stems.setdefault(name.rpartition(".")[0] or name, []).append(path)

    def find(self, written: str, near: str = "", split: str = "") -> str | None:
        """The photo that an annotation in the folder `near` calls `written`; None where there is none.

        `written` may have been right on another machine: the photo whose path ends in as much of it as any other's is
        meant. Of several, those in `near` or in a folder called as the part `split` go first.

        Raises
        ------
        DataError
            Several are left.
        """
        steps = [step for step in unquote_if_missing(written, self._called).split("/") if step not in ("", ".", "..")]
        if not steps:
            return None
        for folder in (near, ""):
            path = "/".join(filter(None, [folder, *steps]))
            if path in self._all:
                return path
        return self._chosen(self._called.get(steps[-1], []), steps, near, split, written)

    def beside(self, annotation: str, split: str = "") -> str | None:
        """The photo with the name of an annotation file, which is relative as it is; None where there is none.

        Raises
        ------
        DataError
            There are several.
        """
        near, _, name = annotation.rpartition("/")
        stem = name.rpartition(".")[0]
        return self._chosen(self._stems.get(stem, []), [stem], near, split, stem)

    def _chosen(self, found: Sequence[str], steps: list[str], near: str, split: str, written: str) -> str | None:
        if len(found) > 1:
            common = [_common_end(path.split("/"), steps) for path in found]
            found = [path for path, n in zip(found, common, strict=True) if n == max(common)]
        for preferred in (
            [path for path in found if path.rpartition("/")[0] == near],
            [path for path in found if near and path.startswith(f"{near}/")],
            [path for path in found if split and split_of(path) == split],
            [path for path in found if _HOLDERS.intersection(path.lower().split("/")[:-1])],
        ):
            if len(found) > 1 and preferred:
                found = preferred
        if len(found) > 1:
            raise DataError(
                f"{self.data}: {written!a} may be {' or '.join(sorted(found)[:3])}; give each photo a name of its "
                "own, or write the folder before it"
            )
        return found[0] if found else None

    def refuse_missing(self, source: str, missing: Sequence[str], listed: int) -> None:
        """Refuse an annotation `source` that names photos which are not there.

        Raises
        ------
        DataError
            There is one.
        """
        if missing:
            raise DataError(
                f"{self.data / source}: {len(missing):,} of {count_text(listed)} that it names {_are(missing)} not "
                f"there ({named([ascii(name)[1:-1] for name in missing], 3)}); put them into {self.data}, or take them "
                "out of the annotations"
            )


def split_of(path: str) -> str:
    """The part that a folder of a path says it belongs to, "" where none does; the first one that says it counts."""
    return next(filter(None, map(split_called, path.split("/")[:-1])), "")


def unquote_if_missing(written: str, names: dict[str, list[str]]) -> str:
    """A path with `/` between folders; as a web address where only what that means is the name of a photo."""
    path = written.replace("\\", "/")
    return path if path.rpartition("/")[2] in names else unquote(path)


def _common_end(a: Sequence[str], b: Sequence[str]) -> int:
    """How many last steps two paths have in common."""
    count = 0
    for x, y in zip(reversed(a), reversed(b), strict=False):
        if x != y:
            break
        count += 1
    return count


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _unreadable(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename}: {error.strerror}; check its permissions, or move it away") from error
