"""The files below a folder: what `train`, `predict` and `audit` look at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def visible_files(folder: str | Path, unreadable: Callable[[OSError], object]) -> Iterator[str]:
    """Paths of all files below `folder`, which they begin with, one folder after another, each sorted by name.

    Hidden files and folders are left out, and linked folders followed, each once. A folder that cannot be opened, or
    is gone by then, is passed to `unreadable`, as the error whose `filename` it is.
    """
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (str(Path(root, name)) for name in sorted(files) if not name.startswith("."))
