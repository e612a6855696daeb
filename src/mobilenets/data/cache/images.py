"""Decoded photographs kept, in memory or on disk, so that later epochs do not decode again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.cache.store import PixelStore, key_of
from mobilenets.data.samples import Samples
from mobilenets.system.cache_dir import cache_folder

log = logging.getLogger(__name__)

MODES = ("auto", "ram", "disk", "off")
DEFAULT_BYTES = 2 * 2**30

Pixels = NDArray[np.uint8]


class Shelf(Protocol):
    """One kind of pixels of some samples, by index."""

    def get(self, index: int) -> Pixels | None:
        """The pixels (H, W, C) if they are kept; not to be written to."""

    def put(self, index: int, pixels: Pixels) -> None:
        """Keep the pixels if there is room."""


class Cache(Protocol):
    """Keeps pixels. A kind says everything that they depend on besides the photograph."""

    def shelf(self, samples: Samples, kind: Hashable) -> Shelf:
        """The place for one kind of pixels of these samples."""


class PixelCache:
    """uint8 pixels in memory, up to a budget of bytes; what does not fit is decoded again.

    First come, first kept: an epoch visits each photograph once, and evicting would throw out exactly those
    the next epoch wants. Safe with threads.
    """

    def __init__(self, budget: int = DEFAULT_BYTES) -> None:
        self._left = budget
        self._pixels: dict[Hashable, Pixels] = {}
        self._lock = threading.Lock()

    def shelf(self, samples: Samples, kind: Hashable) -> Shelf:
        """As `Cache`; shelves of one kind share what they keep."""
        return _RamShelf(self, samples, kind)

    def get(self, key: Hashable) -> Pixels | None:
        """The pixels under a key."""
        return self._pixels.get(key)

    def put(self, key: Hashable, pixels: Pixels) -> None:
        """Keep the pixels if the budget allows."""
        with self._lock:
            if pixels.nbytes <= self._left and key not in self._pixels:
                self._pixels[key] = pixels
                self._left -= pixels.nbytes


class _RamShelf:
    def __init__(self, cache: PixelCache, samples: Samples, kind: Hashable) -> None:
        self._cache, self._samples, self._kind = cache, samples, kind

    def get(self, index: int) -> Pixels | None:
        return self._cache.get((self._samples[index].path, self._kind))

    def put(self, index: int, pixels: Pixels) -> None:
        self._cache.put((self._samples[index].path, self._kind), pixels)


class DiskCache:
    """Pixels in the file that all runs share; once that takes no more, in memory.

    An entry belongs to a photograph's path, size and time of change: one that is replaced is decoded anew by the
    next run. Within a run each is looked up once, so that all epochs see the same.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.store = PixelStore(folder or cache_folder("pixels"))
        self.rest = PixelCache()

    def shelf(self, samples: Samples, kind: Hashable) -> Shelf:
        """As `Cache`."""
        return _DiskShelf(self, samples, kind)


class _DiskShelf:
    """Remembers per sample where its pixels lie: start, height, width, channels; no height before they were found."""

    def __init__(self, cache: DiskCache, samples: Samples, kind: Hashable) -> None:
        self._store, self._samples, self._kind = cache.store, samples, kind
        self._rest = cache.rest.shelf(samples, kind)
        self._extents = np.zeros((len(samples), 4), np.int64)  # pages of zeros take no memory until they are written to
        self._missing: dict[int, bytes] = {}  # keys of photographs that are being decoded

    def get(self, index: int) -> Pixels | None:
        if self._extents[index, 1]:
            return self._store.read(self._extents[index])
        key = key_of(self._samples[index], self._kind)
        extent = self._store.find(key) if key is not None else None
        if extent is None:
            if key is not None:
                self._missing[index] = key
            return self._rest.get(index)
        self._extents[index] = extent
        return self._store.read(extent)

    def put(self, index: int, pixels: Pixels) -> None:
        key = self._missing.pop(index, None)
        if key is None or key != key_of(self._samples[index], self._kind):
            return  # it was replaced while it was decoded: of which file these pixels are is not known
        extent = self._store.add(key, pixels)
        if extent is None:
            self._rest.put(index, pixels)
        else:
            self._extents[index] = extent


def open_cache(mode: str, expected: int) -> Cache | None:
    """The cache for pixels of about `expected` bytes; None for `off`.

    `auto` keeps them in memory if they fit in 2 GB, else on disk if they take at most half of what is free there,
    else as many as fit in memory, and says so.
    """
    if mode == "off":
        return None
    if mode == "disk":
        return DiskCache()
    if mode == "auto" and expected > DEFAULT_BYTES:
        cache = DiskCache()
        if expected <= cache.store.room() / 2:
            log.info("cache: decoded photos are kept in %s (%s)", cache.store.folder, _gb(expected))
            return cache
        log.warning(
            "cache: decoded photos would take %s, more than half of what is free for them; "
            "%s are kept in memory, the others are decoded every time",
            _gb(expected),
            _gb(DEFAULT_BYTES),
        )
    return PixelCache()


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
