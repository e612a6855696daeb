"""A photo as it is looked at: what its EXIF orientation turns, and what of it goes where."""

from __future__ import annotations

from typing import NamedTuple

from PIL import ExifTags, Image


class Turn(NamedTuple):
    """What makes a photo upright: of its pixels, and of a point whether its coordinates are `swapped`, and which of the
    two are then counted from the other side.
    """

    transpose: Image.Transpose | None
    swapped: bool
    from_right: bool
    from_bottom: bool


TURNS = {  # by orientation (EXIF 2.32, tag 0x0112)
    1: Turn(None, False, False, False),
    2: Turn(Image.Transpose.FLIP_LEFT_RIGHT, False, True, False),
    3: Turn(Image.Transpose.ROTATE_180, False, True, True),
    4: Turn(Image.Transpose.FLIP_TOP_BOTTOM, False, False, True),
    5: Turn(Image.Transpose.TRANSPOSE, True, False, False),
    6: Turn(Image.Transpose.ROTATE_270, True, True, False),
    7: Turn(Image.Transpose.TRANSVERSE, True, True, True),
    8: Turn(Image.Transpose.ROTATE_90, True, False, True),
}
UPRIGHT = 1

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, a key of `TURNS`: `UPRIGHT` where there is none, another or none that can be read."""
    try:
        found = int(image.getexif().get(ExifTags.Base.Orientation, UPRIGHT))
    except Exception:  # Pillow lets whatever its EXIF parser stumbles over escape, and the picture can still be read
        return UPRIGHT
    return found if found in TURNS else UPRIGHT


def turned_image(image: Image.Image, orientation: int) -> Image.Image:
    """The image upright."""
    transpose = TURNS[orientation].transpose
    return image if transpose is None else image.transpose(transpose)


def turned_sides(sides: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height of what is stored with these `sides`, when it is upright."""
    return sides[::-1] if TURNS[orientation].swapped else sides


def covered(sides: tuple[int, int], orientation: int, padding: tuple[float, float]) -> Box:
    """What the photo covers of its upright image, of these `sides`, where columns and rows of it are `padding`."""
    turn, (width, height) = TURNS[orientation], sides
    x, y = padding[::-1] if turn.swapped else padding
    left, right = (x, width) if turn.from_right else (0, width - x)
    top, bottom = (y, height) if turn.from_bottom else (0, height - y)
    return left, top, right, bottom
