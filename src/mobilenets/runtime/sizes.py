"""What a photo may come as, and how large it is before it is decoded: whether it is to be cut into tiles."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenets.errors import UsageError
from mobilenets.preprocess.decode import Decoded


def image_of(array: NDArray[np.uint8]) -> Image.Image:
    """The image that an array (H, W, 3) or (H, W) holds.

    Raises
    ------
    UsageError
        Another shape or dtype.
    """
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise UsageError(f"array of {array.dtype} {array.shape}: give uint8 of shape (H, W, 3) or (H, W)")
    return Image.fromarray(array)


def is_larger(
    source: str | Path | bytes | BinaryIO | Image.Image | Decoded | NDArray[np.uint8], side: int | None
) -> bool:
    """Whether the upright photo has more than `side` pixels on one side, or may have: a stream is read once; None: no.

    Raises
    ------
    UnreadableImage
        It cannot be read.

    Examples
    --------
    >>> is_larger(np.zeros((30, 40, 3), np.uint8), 32), is_larger(np.zeros((30, 40, 3), np.uint8), None)
    (True, False)
    """
    if side is None:
        return False
    if isinstance(source, np.ndarray):
        return bool(max(source.shape[:2]) > side)
    if isinstance(source, (Decoded, Image.Image)):
        return max(source.size) > side
    from mobilenets.preprocess.stored import stored  # only who cuts tiles loads the readers that it needs

    if isinstance(source, bytes):
        source = io.BytesIO(source)
    elif not isinstance(source, (str, Path)) and not source.seekable():
        return True
    return max(stored(source).upright) > side
