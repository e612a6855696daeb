"""How large a photo is, by whatever it comes as: what boxes are told in."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mobilenets.preprocess.decode import Decoded


def upright_size(
    source: str | Path | bytes | BinaryIO | Image.Image | Decoded | NDArray[np.uint8],
) -> tuple[int, int] | None:
    """Width and height in pixels of the upright photo; None of a `Decoded`, which may be reduced.

    Raises
    ------
    UnreadableImage
        It cannot be read any more.

    Examples
    --------
    >>> upright_size(np.zeros((30, 40, 3), np.uint8))
    (40, 30)
    """
    if isinstance(source, np.ndarray):
        return source.shape[1], source.shape[0]
    if isinstance(source, Decoded):
        return None
    if isinstance(source, Image.Image):
        return ImageOps.exif_transpose(source).size
    from mobilenets.preprocess.stored import stored  # only who asks for boxes loads the readers that it needs

    if isinstance(source, bytes):
        return stored(io.BytesIO(source)).upright
    if not isinstance(source, (str, Path)):
        source.seek(0)
    return stored(source).upright
