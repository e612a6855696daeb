"""Decoded photographs kept in memory, so that later epochs do not decode again."""

from __future__ import annotations

import threading
from pathlib import Path

from PIL import Image

DEFAULT_BYTES = 2 * 2**30


class PixelCache:
    """Images by (path, decoding size) up to a budget of bytes; what does not fit is decoded again.

    Only images that were asked for are kept, first come, first kept: an epoch visits each once, and
    evicting would throw out exactly those the next epoch wants. Safe with threads.
    """

    def __init__(self, budget: int = DEFAULT_BYTES) -> None:
        self._left = budget
        self._images: dict[tuple[Path, int], Image.Image] = {}
        self._lock = threading.Lock()

    def get(self, path: Path, at_least: int) -> Image.Image | None:
        """The image if it is kept."""
        return self._images.get((path, at_least))

    def put(self, path: Path, at_least: int, image: Image.Image) -> None:
        """Keep the image if the budget allows."""
        size = image.width * image.height * len(image.getbands())
        with self._lock:
            if size <= self._left and (path, at_least) not in self._images:
                self._images[path, at_least] = image
                self._left -= size
