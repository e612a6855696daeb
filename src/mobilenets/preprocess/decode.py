"""Safe, fast decoding: any picture file becomes an upright 8-bit RGB or grey image, or one clear error."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from mobilenets.errors import DataError
from mobilenets.preprocess import depth
from mobilenets.preprocess.colours import Color as Color
from mobilenets.preprocess.colours import Mode as Mode
from mobilenets.preprocess.colours import flatten as flatten
from mobilenets.preprocess.depth import Range
from mobilenets.preprocess.formats import open_image
from mobilenets.preprocess.notes import NOTES
from mobilenets.preprocess.opening import OPTION, SEVERAL, excess, has_more, pixel_limit
from mobilenets.preprocess.upright import Box as Box
from mobilenets.preprocess.upright import covered, orientation_of, turned_image, turned_sides

# Counts the changes of what a file's pixels come out as, so that pixels kept by an earlier version are not used.
REVISION = 2

# A JPEG decoder averages blocks of 2×2, 4×4 or 8×8 pixels far cheaper than it decodes them. Leaving at least
# twice the wanted size to the final antialiased resize keeps the result within a few grey levels of a full
# decode (benchmarks/results/decode.md); leaving half of that saves a tenth and triples the difference.
REDUCE_MARGIN = 2


@dataclass(frozen=True)
class Decoded:
    """An upright photo; at reduced scale sides are rounded up: of the last column and row only a fraction is photo.

    Attributes
    ----------
    image, box, guessed
        Its pixels; what of them the photo covers (None: all); whether black and white were found for it alone.
    full_size
        Width and height of the upright photo where it was decoded at reduced scale; None: those of `image`.
    """

    image: Image.Image
    box: Box | None = None
    guessed: bool = False
    full_size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright photo in pixels."""
        return self.full_size or self.image.size


@dataclass(frozen=True)
class DeepValues:
    """Some values of a picture of a kind of `depth.kind`, and the largest that its file says there can be."""

    kind: str
    values: depth.Values
    white: float | None


class UnreadableImage(DataError):
    """A file that holds no picture that can be decoded; the message names it, the reason and a remedy."""


class NotAnImage(UnreadableImage):
    """No picture at all, or of a kind that is not read here."""


class TooManyPixels(UnreadableImage):
    """A picture of which more pixels would have to be decoded than the limit: refused before any is."""


def header(source: str | Path | BinaryIO) -> tuple[str, int, int]:
    """Format (a key of `formats.SUFFIXES_OF`), width and height as stored, from a file's beginning; nothing is decoded.

    Raises
    ------
    UnreadableImage
        Missing, empty, or no picture of a kind read here.
    """
    name = name_of(source)
    with naming(name), opened(source, name) as file:
        image = open_image(file)
        # A JPEG with a second picture behind the first is "MPO" to Pillow.
        return "JPEG" if image.format == "MPO" else str(image.format), image.width, image.height


def read(
    source: str | Path | bytes | BinaryIO,
    *,
    min_side: int | None = None,
    mode: Mode = "RGB",
    background: Color = (255, 255, 255),
    max_pixels: int | None = None,
    value_range: Range | None = None,
) -> Image.Image:
    """As `decoded`, for whoever only shows or measures the picture; a network's input is `Preprocess.read`'s."""
    return decoded(
        source, min_side=min_side, mode=mode, background=background, max_pixels=max_pixels, value_range=value_range
    ).image


def decoded(
    source: str | Path | bytes | BinaryIO,
    *,
    min_side: int | None = None,
    mode: Mode = "RGB",
    background: Color = (255, 255, 255),
    max_pixels: int | None = None,
    value_range: Range | None = None,
) -> Decoded:
    """Decode the first frame of a picture, upright, as 8-bit `mode`.

    Parameters
    ----------
    source
        A path, the bytes of a file, or a binary file open for reading (seekable, or read in whole).
    min_side
        Short side in pixels that the caller will resize to. A much larger JPEG is then decoded at 1/2, 1/4 or 1/8 scale
        with its short side still at least twice that; other pictures are untouched. None: all pixels are decoded.
    mode
        "RGB" or "L" (grey).
    background
        The RGB colour, 0 to 255, that shows through where a picture is transparent.
    max_pixels
        A picture of which more would have to be decoded is refused before any is. One that is decoded at reduced scale
        may claim 8 times as many. None: the limit of this process (`opening.pixel_limit`).
    value_range
        What of 16-bit, integer and floating-point values becomes black and white. None: the upper byte of 16-bit
        colour, and of other deep pictures what each seems to need (`Decoded.guessed`).

    Returns
    -------
    Decoded
        8 bits a channel, of mode `mode`.

    Raises
    ------
    UnreadableImage
        Missing, empty, damaged or cut short; `NotAnImage`: not a picture; `TooManyPixels`: too large.
    """
    if mode not in ("RGB", "L"):
        raise ValueError(f"mode {mode!r}: must be 'RGB' or 'L'")
    name = name_of(source)
    with naming(name), opened(source, name) as file:
        image = open_image(file)
        full = image.size
        padding = _reduce(image, min_side)
        reason = excess(full, image, file, pixel_limit() if max_pixels is None else max_pixels)
        if reason is not None:
            raised = f", or raise the limit with {OPTION}" if max_pixels is None else ""
            raise TooManyPixels(f"{name}: {reason}; scale it down first{raised}")
        if has_more(image):
            NOTES.warn(SEVERAL, name)
        deep = depth.kind(image)
        image.load()
        shown = image
        if deep in depth.IN_TWO and value_range is not None:
            shown = depth.to_colour(image, _opened_again(file), value_range)
        flat = flatten(shown, mode, background, value_range=value_range, name=name)
        guessed = value_range is None and deep not in (None, *depth.IN_TWO)
        result = _upright(flat, orientation_of(image), padding, full, guessed)
    # Metadata is of no further use, describes the file as it was stored, and can be large (colour profiles).
    result.image.info = {}
    return result


def _upright(
    image: Image.Image, orientation: int, padding: tuple[float, float] | None, full: tuple[int, int], guessed: bool
) -> Decoded:
    """The image upright; if reduced, by `padding`, also the box that the photo covers, and its `full` size before."""
    result = turned_image(image, orientation)
    if padding is None:
        return Decoded(result, guessed=guessed)
    return Decoded(result, covered(result.size, orientation, padding), guessed, turned_sides(full, orientation))


def is_deep(source: str | Path | bytes | BinaryIO) -> bool:
    """Whether a picture has more than 8 bits a channel; nothing is decoded.

    Raises
    ------
    UnreadableImage
        As `header`.
    """
    name = name_of(source)
    with naming(name), opened(source, name) as file:
        return depth.kind(open_image(file)) is not None


def deep_values(source: str | Path | bytes | BinaryIO, max_values: int) -> DeepValues | None:
    """About `max_values` values, from all over, of an image with more than 8 bits a channel; None of another one.

    Raises
    ------
    UnreadableImage
        As `decoded`.
    """
    name = name_of(source)
    with naming(name), opened(source, name) as file:
        image = open_image(file)
        kind = depth.kind(image)
        if kind is None:
            return None
        if (reason := excess(image.size, image, file, pixel_limit())) is not None:
            raise TooManyPixels(f"{name}: {reason}")
        image.load()
        if kind in depth.IN_TWO:
            values = depth.colour_values(image, _opened_again(file))
            values = values[..., : {2: 1, 3: 3, 4: 3}[values.shape[2]]]  # without alpha
        else:
            values = depth.grey_values(image)
        step = max(1, round((values.size / max_values) ** 0.5))
        return DeepValues(kind, values[::step, ::step].ravel(), depth.declared_white(image))


def _opened_again(file: BinaryIO) -> Image.Image:
    file.seek(0)
    return open_image(file)


def _reduce(image: Image.Image, min_side: int | None) -> tuple[float, float] | None:
    """Have a JPEG decoded at reduced scale; returns the columns and rows (0 ≤ x < 1) that are padding.

    Whoever resizes must leave them out, or everything shifts by a fraction of a pixel. None where nothing is reduced.
    """
    full = image.size
    drafted = image.draft(None, (min_side * REDUCE_MARGIN,) * 2) if min_side else None
    if drafted is None or image.size == full:
        return None
    _, (_, _, right, bottom) = drafted
    return image.width - right, image.height - bottom


def name_of(source: str | Path | bytes | BinaryIO) -> str:
    """What an error calls the source: always one printable line."""
    if isinstance(source, bytes):
        return "image bytes"
    name = str(source) if isinstance(source, (str, Path)) else str(getattr(source, "name", "image file"))
    return name if name.isprintable() else ascii(name)


@contextmanager
def opened(source: str | Path | bytes | BinaryIO, name: str) -> Iterator[BinaryIO]:
    """The source as a seekable, non-empty binary file; closed afterwards if opened here."""
    if isinstance(source, (str, Path)):
        status = Path(source).stat()
        if stat.S_ISDIR(status.st_mode):
            os.scandir(source).close()  # of one that cannot be opened, that is what is told
            raise UnreadableImage(f"{name}: is a folder; name a photo file")
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise UnreadableImage(f"{name}: is not a regular file; name a photo file")
        with Path(source).open("rb") as file:
            yield _not_empty(file, name)
    elif isinstance(source, bytes):
        yield _not_empty(io.BytesIO(source), name)
    else:
        yield _not_empty(source if source.seekable() else io.BytesIO(source.read()), name)


def _not_empty(file: BinaryIO, name: str) -> BinaryIO:
    file.seek(0)
    if not file.read(1):
        raise UnreadableImage(f"{name}: is empty (0 bytes); copy it again from where it came")
    file.seek(0)
    return file


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Turn whatever decoding raises into one line that names the file, the reason and a remedy."""
    try:
        yield
    except UnreadableImage:
        raise
    except FileNotFoundError:
        raise UnreadableImage(f"{name}: no such file; check the spelling") from None
    except UnidentifiedImageError as error:
        raise NotAnImage(f"{name}: {_one_line(error)}") from None
    except Image.DecompressionBombError as error:
        raise TooManyPixels(f"{name}: {_one_line(error)}; scale it down first") from None
    except OSError as error:
        reason = error.strerror or _one_line(error)
        remedy = "check the path and its permissions" if error.errno else "copy it again from where it came"
        raise UnreadableImage(f"{name}: cannot be read ({reason}); {remedy}") from None
    except Exception as error:  # on damaged files Pillow's decoders raise nearly anything
        reason = f"{type(error).__name__}: {_one_line(error)}"
        raise UnreadableImage(f"{name}: damaged ({reason}); copy it again from where it came") from None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
