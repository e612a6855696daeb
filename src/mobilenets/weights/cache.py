"""The folder where downloads, decoded photographs and indexes of shards are kept."""

from __future__ import annotations

from pathlib import Path

from mobilenets.system.cache_dir import home

# The folders it made itself: `MOBILENETS_HOME` may have been pointed at a folder with other things.
_FOLDERS = ("weights", "data", "pixels", "shards", "npm", "latency")


def cached_files() -> list[tuple[Path, int]]:
    """Every file kept, with its size in bytes; without the empty lock files."""
    files = (p for folder in _FOLDERS for p in (home() / folder).rglob("[!.]*") if p.is_file())
    return sorted((p, p.stat().st_size) for p in files)


def clear() -> int:
    """Delete what this package keeps; returns the bytes freed."""
    freed = 0
    for folder in _FOLDERS:
        for path in sorted((home() / folder).rglob("*"), reverse=True):
            if path.is_file() or path.is_symlink():
                freed += path.lstat().st_size
                path.unlink()
            else:
                path.rmdir()
    return freed
