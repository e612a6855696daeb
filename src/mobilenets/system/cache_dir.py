"""The folder where this package keeps what it may lose: downloads, decoded images, and what it measured.

Every kind of file that is kept is named here, so that listing and clearing miss none. The system's place for caches is
found in ten lines rather than by platformdirs: where caches of earlier versions lie is where they are looked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

# weights: checkpoints; data: the flower archive; pixels: decoded images; shards: indexes of tar files; npm: the runtime
# for the browser; latency: milliseconds of sub-graphs; tiles: large photos in parts.
Folder = Literal["weights", "data", "pixels", "shards", "npm", "latency", "tiles"]
File = Literal["engines.json"]  # the fastest engine of each model on this machine


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


def cache_folder(name: Folder) -> Path:
    """The folder for one kind of file; it need not exist yet."""
    return home() / name


def cache_file(name: File) -> Path:
    """A file that lies in the cache folder itself; it need not exist yet."""
    return home() / name


def cached_files() -> list[tuple[Path, int]]:
    """Every file kept, with its size in bytes; without the empty lock files."""
    in_folders = (path for name in get_args(Folder) for path in cache_folder(name).rglob("[!.]*"))
    return sorted((path, path.stat().st_size) for path in (*in_folders, *_files()) if path.is_file())


def clear_cache() -> int:
    """Delete what this package keeps, and nothing else that lies in the folder; returns the bytes freed."""
    freed = 0
    in_folders = (path for name in get_args(Folder) for path in sorted(cache_folder(name).rglob("*"), reverse=True))
    for path in (*in_folders, *_files()):
        if path.is_file() or path.is_symlink():
            freed += path.lstat().st_size
            path.unlink()
        else:
            path.rmdir()
    return freed


def _files() -> Iterator[Path]:
    return (path for name in get_args(File) if (path := cache_file(name)).is_file())
