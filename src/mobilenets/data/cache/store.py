"""Pixels of photographs in one memory-mapped file that concurrent runs share.

The file only grows. A writer reserves a stretch of it, fills it and then enters it into the index: whatever is
in the index is complete, whoever was killed when. The index is an SQLite database, which brings what it takes to
be safe among processes and through kills.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
import shutil
import sqlite3
import threading
import time
import zlib
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from mobilenets.data.sample import Sample
from mobilenets.preprocess import decode

log = logging.getLogger(__name__)

# What else writes to this disk, the run's own checkpoints first of all, must not fail for the sake of a cache.
RESERVE = 2**30
_WAIT_S = 30.0  # for another process to finish its entry

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS pixels
    (key BLOB PRIMARY KEY, start INTEGER, height INTEGER, width INTEGER, channels INTEGER, crc INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reserved (bytes INTEGER);
INSERT INTO reserved SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM reserved);
COMMIT;
"""

Pixels = NDArray[np.uint8]
Extent = Sequence[int]  # start in bytes, height, width, channels


class PixelStore:
    """uint8 pixels (H, W, C) by key. Safe with threads and among processes.

    When the disk is full or the folder cannot be used it says so once and takes no more; what it has stays usable.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._map: mmap.mmap | None = None
        self._open = False  # for more
        try:
            current = _generation(folder)
            (current / "pixels.bin").touch()
            self._file = (current / "pixels.bin").open("r+b", buffering=0)
            self._index = sqlite3.connect(
                current / "index.sqlite", timeout=_WAIT_S, isolation_level=None, check_same_thread=False
            )
            # A write-ahead log survives a killed process. What a crash of the system may lose is caught by the
            # checksums, so that nothing has to wait for the disk.
            self._index.execute("PRAGMA journal_mode=WAL")
            self._index.execute("PRAGMA synchronous=OFF")
            self._index.executescript(_SCHEMA)
            self._open = True
        except (OSError, sqlite3.Error) as error:
            self._log_failure(error)

    def __reduce__(self) -> tuple[Any, ...]:
        return PixelStore, (self.folder,)

    def room(self) -> int:
        """Bytes of the disk that it has and may still take."""
        if not self._open:
            return 0
        return os.fstat(self._file.fileno()).st_size + self._free()

    def _free(self) -> int:
        return shutil.disk_usage(self.folder).free - RESERVE

    def find(self, key: bytes) -> Extent | None:
        """Where the pixels of this key lie, if they are kept."""
        if self._map is None and not self._open:
            return None
        try:
            with self._lock:
                query = "SELECT start, height, width, channels, crc FROM pixels WHERE key = ?"
                row = self._index.execute(query, (key,)).fetchone()
            if row is None:
                return None
            extent: Extent = row[:-1]
            if zlib.crc32(self.read(extent).data) == row[-1]:
                return extent
            with self._lock:
                self._index.execute("DELETE FROM pixels WHERE key = ?", (key,))
        except (OSError, ValueError, sqlite3.Error) as error:
            self._stop(error)
        return None

    def read(self, extent: Extent) -> Pixels:
        """The pixels at an extent that `find` or `add` gave: a view of the file, not a copy."""
        start, *shape = (int(value) for value in extent)
        count = shape[0] * shape[1] * shape[2]
        kept = self._map
        if kept is None or start + count > len(kept):
            # The file has grown. The old map stays open as long as arrays are made of it.
            kept = self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(kept, np.uint8, count, start).reshape(shape)

    def add(self, key: bytes, pixels: Pixels) -> Extent | None:
        """Keep the pixels under a key; None where they could not be."""
        content = pixels.tobytes()
        try:
            with self._lock:
                if not self._open:
                    return None
                if self._free() < len(content):
                    raise OSError(f"less than {RESERVE / 1e9:.1f} GB are left on this disk")
                start = self._reserve(len(content))
                self._write(start, memoryview(content))
                extent = (start, *pixels.shape)
                values = (key, *extent, zlib.crc32(content))
                self._index.execute("INSERT OR REPLACE INTO pixels VALUES (?, ?, ?, ?, ?, ?)", values)
        except (OSError, sqlite3.Error) as error:
            self._stop(error)
            return None
        return extent

    def _reserve(self, count: int) -> int:
        """The start of a stretch of the file that nobody else writes to."""
        self._index.execute("BEGIN IMMEDIATE")
        try:
            (start,) = self._index.execute("SELECT bytes FROM reserved").fetchone()
            self._index.execute("UPDATE reserved SET bytes = ?", (start + count,))
        except BaseException:
            self._index.execute("ROLLBACK")
            raise
        self._index.execute("COMMIT")
        return int(start)

    def _write(self, start: int, content: memoryview) -> None:
        self._file.seek(start)
        while content:
            content = content[self._file.write(content) :]

    def _stop(self, error: Exception) -> None:
        with self._lock:
            already_stopped, self._open = not self._open, False
        if not already_stopped:
            self._log_failure(error)

    def _log_failure(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        log.warning(
            "cache: %s: %s; from here on photos are kept in memory, or decoded every time "
            "(mobilenets cache --clear makes room)",
            self.folder,
            reason,
        )


def key_of(sample: Sample, kind: Hashable) -> bytes | None:
    """A digest of all that the pixels depend on; None where the photograph's file is gone."""
    try:
        status = sample.file.stat()
    except OSError:
        return None
    inside = sample.member and (sample.member.offset, sample.member.extent)
    content = (
        str(sample.file.absolute()),
        inside,
        status.st_size,
        status.st_mtime_ns,
        kind,
        PIL.__version__,
        decode.REVISION,
    )
    return hashlib.blake2b(repr(content).encode(errors="backslashreplace"), digest_size=16).digest()


def _generation(folder: Path) -> Path:
    """The folder inside `folder` that is in use.

    After `mobilenets cache --clear` the next has another name: a run that still uses the old one, whose files go
    on existing for it alone, would otherwise tidy up the new one's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        (folder / str(time.time_ns())).mkdir(exist_ok=True)
    return min(p for p in folder.iterdir() if p.is_dir())
