"""How a file stores its photo: width, height and orientation, from its header alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from mobilenets.preprocess.decode import name_of, naming, opened
from mobilenets.preprocess.formats import open_image
from mobilenets.preprocess.upright import TURNS, orientation_of, turned_sides

_LATE = {b"eXIf", b"tEXt", b"zTXt", b"iTXt"}  # chunks of a PNG that may say the orientation


@dataclass(frozen=True)
class Stored:
    """The size of a photo in pixels as it is stored, and its EXIF orientation (1 to 8, 1 is upright).

    Examples
    --------
    >>> Stored(4000, 3000, 6).upright
    (3000, 4000)
    """

    width: int
    height: int
    orientation: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored."""
        return self.width, self.height

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height of the upright photo."""
        return turned_sides(self.size, self.orientation)


def stored(source: str | Path | BinaryIO) -> Stored:
    """Size and orientation of a photo; a PNG that says its orientation behind its pixels is decoded, no other.

    Raises
    ------
    UnreadableImage
        Missing, empty, or no photo of a kind read here.
    """
    name = name_of(source)
    with naming(name), opened(source, name) as file:
        image = open_image(file)
        if isinstance(image, PngImageFile) and not _says_more_behind(file):
            # Pillow decodes a whole PNG to look for EXIF data behind its pixels: a second of a large one.
            image = _OfPng.of(image)
        orientation = orientation_of(image)
        width, height = image.size
        if isinstance(image, TiffImageFile):  # Pillow says how it will be when decoded
            width, height = turned_sides(image.size, orientation)
        return Stored(width, height, orientation)


def turned(x1: float, y1: float, x2: float, y2: float, orientation: int) -> tuple[float, float, float, float]:
    """A box on a photo as it is stored, 0 to 1, as it is on the upright one.

    Examples
    --------
    >>> turned(0.0, 0.0, 0.25, 0.5, 6)  # turned to the right, its upper left corner is the upper right one
    (0.5, 0.0, 1.0, 0.25)
    """
    turn = TURNS[orientation]
    if turn.swapped:
        x1, y1, x2, y2 = y1, x1, y2, x2
    if turn.from_right:
        x1, x2 = 1 - x2, 1 - x1
    if turn.from_bottom:
        y1, y2 = 1 - y2, 1 - y1
    return x1, y1, x2, y2


class _OfPng(Image.Image):
    """What a PNG says in front of its pixels."""

    @classmethod
    def of(cls, image: PngImageFile) -> _OfPng:
        result = cls()
        result.info = dict(image.info)
        result._size = image.size
        return result


def _says_more_behind(file: BinaryIO) -> bool:
    """Whether chunks that may say the orientation lie behind the pixels of a PNG."""
    position = file.tell()
    file.seek(8)
    behind = False
    try:
        while len(start := file.read(8)) == 8:
            kind = start[4:]
            if behind and kind in _LATE:
                return True
            behind = behind or kind == b"IDAT"
            file.seek(int.from_bytes(start[:4], "big") + 4, 1)
        return False
    finally:
        file.seek(position)
