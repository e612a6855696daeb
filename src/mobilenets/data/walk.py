"""The files below a folder: what `train`, `predict` and `audit` look at."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from mobilenets.data.sources.survey import HIDDEN, RUN, SYSTEM, Survey
from mobilenets.preprocess.formats import is_image, kind_of, reads, sniff

# What systems and programs put beside files: thumbnails, recycle bins, the other half of a macOS archive.
_SYSTEM_FOLDERS = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"}
_SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"}

# So many files of a suffix have to hold no picture, and none of them one, until the others are believed: opening a
# million side files on a network drive takes an hour.
_BELIEVED = 1_000


def is_unseen(name: str) -> bool:
    """Whether a file or folder is hidden (as macOS' `._` companions are), or a system's own."""
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS or name.lower() in _SYSTEM_FILES


def is_run(folders: Collection[str], files: Collection[str]) -> bool:
    """Whether a folder with these in it is one that `train` wrote, whose pictures are charts."""
    return ("model.safetensors" in files and "card.json" in files) or (
        "config.yaml" in files and "checkpoint" in folders
    )


def is_folder(entry: os.DirEntry[str]) -> bool:
    """As `os.walk` sees it: a link that leads nowhere, as to itself, is a file, which cannot be opened."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def count_unseen(name: str, survey: Survey) -> bool:
    """`is_unseen`, and counted if so."""
    if is_unseen(name):
        survey.leave_out(HIDDEN if name.startswith(".") else SYSTEM, name)
        return True
    return False


def visible_files(
    folder: str | Path, unreadable: Callable[[OSError], object], survey: Survey | None = None
) -> Iterator[str]:
    """Paths of all files below `folder`, which they begin with, one folder after another, each sorted by name.

    Hidden files and folders, those of the system and runs inside are left out and counted in `survey`. Linked folders
    are followed, each once, but for those that `folder` lies in. A folder that cannot be opened, or is gone by then, is
    passed to `unreadable`, as the error whose `filename` it is.
    """
    survey = survey or Survey()

    def shown(names: list[str]) -> list[str]:
        return [name for name in sorted(names) if not count_unseen(name, survey)]

    seen = set(map(str, Path(os.path.realpath(folder)).parents))
    for root, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        if root != os.fspath(folder) and is_run(folders, files):
            survey.leave_out(RUN, root)
            folders.clear()
            continue
        folders[:] = shown(folders)
        yield from (str(Path(root, name)) for name in shown(files))


def image_files(folder: str | Path, unreadable: Callable[[OSError], object], survey: Survey) -> Iterator[str]:
    """`visible_files` that are pictures, whatever they are called; the others are counted in `survey`.

    A file with a picture's suffix is taken for one unopened: what it is shows when it is decoded.
    """
    return images_among(visible_files(folder, unreadable, survey), survey)


def images_among(paths: Iterable[str], survey: Survey) -> Iterator[str]:
    """The pictures among files, whatever they are called; the others are counted in `survey`."""
    barren: Counter[str] = Counter()  # from a suffix to how many held no picture; those that held one are not in it
    fertile: set[str] = set()
    for path in paths:
        if is_image(path):
            yield path
            continue
        suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - of a million paths, none is taken apart
        if suffix and barren[suffix] >= _BELIEVED and suffix not in fertile:
            survey.leave_out(sniff(b"?", suffix), path)
            continue
        kind = kind_of(path)
        if reads(kind):
            fertile.add(suffix)
            yield path
        else:
            barren[suffix] += 1
            survey.leave_out(kind, path)
