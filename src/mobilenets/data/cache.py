"""Decoded photographs kept in memory, so that later epochs do not decode again."""

from __future__ import annotations

import threading
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

DEFAULT_BYTES = 2 * 2**30


class PixelCache:
    """uint8 pixels by key, up to a budget of bytes; what does not fit is decoded again.

    First come, first kept: an epoch visits each photograph once, and evicting would throw out exactly those
    the next epoch wants. A key says everything that the pixels depend on. Safe with threads.
    """

    def __init__(self, budget: int = DEFAULT_BYTES) -> None:
        self._left = budget
        self._pixels: dict[Hashable, NDArray[np.uint8]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> NDArray[np.uint8] | None:
        """The pixels if they are kept; not to be written to."""
        return self._pixels.get(key)

    def put(self, key: Hashable, pixels: NDArray[np.uint8]) -> None:
        """Keep the pixels if the budget allows."""
        with self._lock:
            if pixels.nbytes <= self._left and key not in self._pixels:
                self._pixels[key] = pixels
                self._left -= pixels.nbytes
