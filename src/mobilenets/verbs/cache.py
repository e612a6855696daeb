"""`mobilenets.cache`: what is kept of downloads and decoded photographs, and how to be rid of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mobilenets.verbs.verb import verb


@dataclass(frozen=True)
class CacheContents:
    """The cache `folder`, the files in it with their bytes, and the bytes that were `freed` (None: not asked to)."""

    folder: Path
    files: tuple[tuple[Path, int], ...]
    freed: int | None = None


@verb
def cache(*, clear: bool = False) -> CacheContents:
    """List what this package keeps of what it fetched and decoded, or delete it.

    Parameters
    ----------
    clear
        Delete all of it.
    """
    from mobilenets.system.cache_dir import cached_files, clear_cache, home

    freed = clear_cache() if clear else None
    return CacheContents(home(), tuple(cached_files()), freed)
