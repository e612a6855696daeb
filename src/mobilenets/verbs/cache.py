"""`mobilenets.cache`: what is kept of downloads and decoded photographs, and how to be rid of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mobilenets.verbs.verb import verb


@dataclass(frozen=True)
class CacheContents:
    """What is kept.

    Attributes
    ----------
    folder
        The cache folder.
    files
        The files in it, each with its bytes; none after they were deleted.
    freed
        Bytes that were deleted; None where nothing was to be.

    Examples
    --------
    >>> import mobilenets as mn
    >>> total_bytes = sum(size for _, size in mn.cache().files)
    """

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

    Returns
    -------
    CacheContents
        The folder, and the files in it with their sizes in bytes.

    Raises
    ------
    UserError
        The folder cannot be read, or a file in it cannot be deleted.

    Examples
    --------
    >>> import mobilenets as mn
    >>> contents = mn.cache()
    >>> contents.freed is None  # nothing was deleted
    True
    """
    from mobilenets.system.cache_dir import cached_files, clear_cache, home

    freed = clear_cache() if clear else None
    return CacheContents(home(), tuple(cached_files()), freed)
