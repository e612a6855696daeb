"""The folder where downloads are kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def home() -> Path:
    """`MOBILENETS_HOME`, or the system's place for caches."""
    if chosen := os.environ.get("MOBILENETS_HOME"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "mobilenets"


def cached_files() -> list[tuple[Path, int]]:
    """Every file kept, with its size in bytes."""
    return sorted((p, p.stat().st_size) for p in home().rglob("*") if p.is_file())


def clear() -> int:
    """Delete what this package keeps; returns the bytes freed.

    Only the folders it made itself: `MOBILENETS_HOME` may have been pointed at a folder with other things.
    """
    freed = 0
    for folder in ("weights", "data"):
        for path in sorted((home() / folder).rglob("*"), reverse=True):
            if path.is_file() or path.is_symlink():
                freed += path.lstat().st_size
                path.unlink()
            else:
                path.rmdir()
    return freed
