"""Files by the paths that a CSV gives: of another system, another folder or in other letters."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from unicodedata import normalize
from urllib.parse import unquote

from mobilenets.preprocess.formats import is_image

# Looking for a file takes a millisecond on a network drive. Of longer tables the first rows are looked for, which
# tells a wrong folder at once; what else is missing is told when it is read.
MAX_LOOKED_FOR = 100_000

_LOCAL_FILES = "/data/local-files/?d="  # Label Studio's address of a file in a folder that it was given
_UPLOADED = re.compile(r"(?<=/)[0-9a-f]{8}-(?=[^/]+$)")  # what it puts before the name of a file sent to it


@dataclass(frozen=True)
class _Moved:
    """All files were moved: their paths begin with `before`, which is now `after`, and end in `suffix` besides."""

    before: str
    after: str
    uploaded: bool
    suffix: str = ""

    def apply(self, path: str) -> str:
        if not path.startswith(self.before):
            return path
        return self.after + (_UPLOADED.sub("", path) if self.uploaded else path)[len(self.before) :] + self.suffix


class Finder:
    """Finds the files that a table in `folder` names; `describe` says what had to be done for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looked = 0
        self._backslashes = self._case = self._unicode = self._escaped = self._elsewhere = 0
        self._moved: _Moved | None = None
        self._example = ("", "")
        self._listed: dict[str, dict[str, list[str]]] = {}

    def find(self, written: str) -> str | None:
        """The path of a file, relative to the folder or absolute; None where there is none.

        Beyond `MAX_LOOKED_FOR` files what held for the others is taken for granted.
        """
        path = _plain(written)
        self._looked += 1
        if self._looked > MAX_LOOKED_FOR:
            path = path.replace("\\", "/") if self._backslashes else path
            return self._moved.apply(path) if self._moved else path
        if self._is_file(path):
            return path
        if os.sep == "/" and "\\" in path:
            path = _plain(path.replace("\\", "/"))
            if self._is_file(path):
                self._backslashes += 1
                return path
        if "%" in path and self._is_file(_plain(unquote(path))):
            self._escaped += 1
            return _plain(unquote(path))
        found = self._in_other_letters(path)
        if found:
            self._unicode += normalize("NFC", found) == normalize("NFC", path)
            self._case += normalize("NFC", found) != normalize("NFC", path)
            return found
        if path.startswith(_LOCAL_FILES):
            path = unquote(path.removeprefix(_LOCAL_FILES))
        # One file that is missing is missing: only where already the first is not there have all of them moved.
        if self._looked == 1:
            self._moved = self._search(path)
        moved = self._moved.apply(path) if self._moved else path
        if moved == written or not self._is_file(moved):
            return None
        self._elsewhere += 1
        self._backslashes += "\\" in written
        if self._elsewhere == 1:
            self._example = (written, moved)
        return moved

    def describe(self) -> list[str]:
        """What was not as written, with counts."""
        lines = []
        if self._elsewhere:
            lines.append(f"{self._elsewhere} paths lead nowhere; read from here: {' is '.join(self._example)}")
        elif self._backslashes:
            lines.append(f"backslashes of {self._backslashes} paths read as /")
        if self._case:
            lines.append(f"{self._case} paths differ from the files in capitals only")
        if self._unicode:
            lines.append(f"{self._unicode} paths differ from the files in their Unicode form only (NFC or NFD)")
        if self._escaped:
            lines.append(f"{self._escaped} paths have signs written as in web addresses (%20)")
        return lines

    def hint(self, written: str) -> str:
        """Where to look for a file that is not there."""
        if re.match(r"https?://|data:", written):
            return "web addresses are not fetched: download the photos first"
        path = Path(written.replace("\\", "/"))
        names = self._names(str(path.parent))
        if path.name in names:
            return "it is a folder" if (self._folder / path).is_dir() else "it is a link to nowhere, or no file"
        like = [name for name in names if is_image(name) and Path(name).stem in (path.name, path.stem)]
        return f"there is {like[0]}" if len(like) == 1 else "paths are relative to the CSV"

    def _is_file(self, path: str) -> bool:
        try:
            return (self._folder / path).is_file()
        except (OSError, ValueError):  # a name too long to be one, or with a null byte in it
            return False

    def _in_other_letters(self, path: str) -> str | None:
        """The one file whose path is this but for capitals and how Unicode writes a letter with an accent."""
        if path.startswith("/"):
            return None
        found = PurePosixPath()
        for part in PurePosixPath(path).parts:
            like = self._folded(str(found)).get(_folded(part), [])
            exact = part == ".." or part in like
            if not exact and len(like) != 1:
                return None
            found /= part if exact else like[0]
        return str(found) if self._is_file(str(found)) else None

    def _names(self, folder: str) -> list[str]:
        try:
            return [path.name for path in (self._folder / folder).iterdir()]
        except (OSError, ValueError):
            return []

    def _folded(self, folder: str) -> dict[str, list[str]]:
        """The names in a folder by what is left of them without capitals, in one Unicode form; listed once."""
        if folder not in self._listed:
            names: dict[str, list[str]] = {}
            for name in self._names(folder):
                names.setdefault(_folded(name), []).append(name)
            self._listed[folder] = names
        return self._listed[folder]

    def _search(self, path: str) -> _Moved | None:
        """Where the first file is now: below the CSV's folder by the end of its path, or in a folder beside the CSV."""
        for uploaded in (False, True):
            name = _UPLOADED.sub("", path) if uploaded else path
            if uploaded and name == path:
                continue
            parts = PurePosixPath(name).parts
            for k in range(1, len(parts)):
                end = "/".join(parts[k:])
                if self._is_file(end):
                    return _Moved(name[: len(name) - len(end)], "", uploaded)
        if path.startswith("/"):
            return None
        beside = [name for name in self._names(".") if self._is_file(f"{name}/{path}")]
        if beside:
            return _Moved("", f"{beside[0]}/", False) if len(beside) == 1 else None
        return self._search_without_suffix(path)

    def _search_without_suffix(self, path: str) -> _Moved | None:
        """Where the one file is whose path is this and a picture's suffix: here, or in a folder beside the CSV."""
        found = [
            _Moved("", before, False, Path(name).suffix)
            for before in ("", *(f"{name}/" for name in self._names(".")))
            for name in self._names(str(Path(before + path).parent))
            if is_image(name) and Path(name).stem == Path(path).name
        ]
        return found[0] if len(found) == 1 else None


def _folded(name: str) -> str:
    return normalize("NFC", normalize("NFC", name).casefold())


def _plain(path: str) -> str:
    """The path as `pathlib` writes it, so that one file has one name; most are plain already."""
    odd = os.sep != "/" or "//" in path or "/./" in path or path.startswith("./") or path.endswith(("/", "/."))
    return str(Path(path)) if odd else path
