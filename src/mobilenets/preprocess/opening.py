"""Opening a picture file without decoding it, and the limit on what decoding it may take.

`Image.open` refuses pictures by what their header claims, at a limit that belongs to the whole process and to whatever
else runs in it. Here only what is really decoded counts, and Pillow's limit stays as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

# A file of a few kilobytes can claim any size. 120 megapixels passes the largest common phone sensor
# (12000×9000) and keeps one decoded RGB picture, which Pillow holds in 4 bytes a pixel, under half a gigabyte.
MAX_PIXELS = 120_000_000
OPTION = "--max-pixels"  # of the command line, which raises it

# Decoding a JPEG at 1/8 scale takes the memory of the small picture but still runs through every block of the large
# one, about a second for 300 million pixels: time needs a limit too. 8 passes 960 megapixels.
_MAX_REDUCTION = 8

_COEFFICIENTS_PER_PIXEL = 2  # of libjpeg's, which take 2 bytes each
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers that a frame of any kind begins with
_limit = MAX_PIXELS

SEVERAL = "holds several pictures; the first is seen"


def pixel_limit() -> int:
    """How many pixels this process decodes of a picture where nobody says otherwise."""
    return _limit


@contextmanager
def max_pixels(limit: int | None) -> Iterator[None]:
    """Another limit inside, in all threads of this process; None: no other."""
    global _limit
    before = _limit
    _limit = before if limit is None else limit
    try:
        yield
    finally:
        _limit = before


def open_unlimited(file: BinaryIO, formats: Sequence[str]) -> ImageFile.ImageFile:
    """As `Image.open(file, formats=formats)`, without its limit on pixels.

    The plugins of the formats must have been imported.

    Raises
    ------
    UnidentifiedImageError
        None of these formats; and whatever their readers raise.
    """
    file.seek(0)
    prefix = file.read(16)
    for name in formats:
        factory, accept = Image.OPEN[name]
        accepted = accept is None or accept(prefix)
        if not accepted or isinstance(accepted, str):  # a string says what is missing to read it
            continue
        file.seek(0)
        try:
            return factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # as Image.open: not of this format after all
            continue
    raise UnidentifiedImageError


def has_more(image: Image.Image) -> bool:
    """Whether frames or pages follow the one that is read: none that are damaged, no depth or gain map of a phone."""
    try:
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except (OSError, EOFError, SyntaxError, ValueError, TypeError, struct.error):
        return False


def excess(full: tuple[int, int], image: Image.Image, file: BinaryIO, limit: int) -> str | None:
    """Why decoding takes more than `limit` pixels, as a clause; None if it does not.

    `full`: width and height as the header claims; `image`: as it will be decoded, which may be reduced.
    """
    claimed = full[0] * full[1]
    size = f"{full[0]}×{full[1]} pixels"
    if claimed <= limit:
        return None
    if image.width * image.height > limit or image.size == full:
        return f"{size} is more than the limit of {_millions(limit)}"
    if claimed > _MAX_REDUCTION * limit:
        return f"{size} is more than {_MAX_REDUCTION} times the limit of {_millions(limit)}"
    held = _held_coefficients(file) // _COEFFICIENTS_PER_PIXEL
    if held > limit:
        return (
            f"{size} of a progressive JPEG take the memory of {_millions(held)} decoded ones, more than the limit "
            f"of {_millions(limit)}"
        )
    return None


def _millions(pixels: int) -> str:
    return f"{pixels / 1e6:.4g} million"


def _held_coefficients(file: BinaryIO) -> int:
    """How many coefficients of a JPEG libjpeg holds at once: all where the components come in several scans, else few.

    Of a file that cannot be followed as many as there can be: it is damaged, or built to be misunderstood.
    """
    position = file.tell()
    components, several, coefficients = 4, True, 4 * 65535**2
    file.seek(2)
    try:
        while True:
            marker = file.read(2)
            while marker == b"\xff\xff":  # filled up
                marker = marker[1:] + file.read(1)
            (length,) = struct.unpack(">H", file.read(2))
            content = file.read(max(length - 2, 0))
            if marker[0] != 0xFF:
                return coefficients
            if marker[1] == 0xDA:  # start of the first scan
                return coefficients if several or content[0] != components else 0
            if marker[1] in _FRAMES:
                several = marker[1] & 3 == 2  # progressive
                _, height, width, components = struct.unpack(">BHHB", content[:6])
                factors = [(factor >> 4, factor & 15) for factor in content[7::3][:components]]
                shrink = max(across for across, _ in factors) * max(down for _, down in factors)
                coefficients = round(width * height * sum(across * down for across, down in factors) / shrink)
    except (struct.error, IndexError, ValueError, ZeroDivisionError):
        return coefficients
    finally:
        file.seek(position)
