"""Photos made small enough to be part of a page."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from mobilenets.data.tiles import tile_name
from mobilenets.errors import UserError
from mobilenets.preprocess import decode
from mobilenets.preprocess.depth import Range
from mobilenets.report.page import PageImage, data_uri

ImageSource = str | Path | bytes | BinaryIO
_QUALITY = 80


def thumbnail(open: Callable[[], ImageSource], side: int, alt: str, value_range: Range | None = None) -> PageImage:
    """The photo within `side` pixels, deep ones in the network's range; without an image where it cannot be read."""
    try:
        image = decode.read(open(), min_side=side, value_range=value_range)
    except UserError:
        return PageImage(alt, None)
    return jpeg(image, side, alt)


def jpeg(image: Image.Image, side: int, alt: str) -> PageImage:
    """An image within `side` pixels as part of a page."""
    content = io.BytesIO()
    contained(image, side).save(content, "JPEG", quality=_QUALITY)
    return PageImage(alt, data_uri(content.getvalue(), "jpeg"))


def contained(image: Image.Image, side: int) -> Image.Image:
    """An image within `side` pixels, which it fills one way; the other way it keeps a pixel, however thin it is."""
    width, height = (max(1, round(own * side / max(image.size))) for own in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def short_path(path: str | Path) -> str:
    """A path in short: the file and its folder, which most often is its class; of a tile its photo and its place."""
    return tile_name(str(path)) or "/".join(Path(path).parts[-2:])
