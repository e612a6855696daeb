"""Pictures of more than 8 bits a channel as 8-bit ones: 16-bit, integer and floating-point values by one range."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Values = NDArray[Any]
Range = tuple[float, float]  # what becomes black, and what becomes white

COLOUR, ALPHA = "16-bit colour", "16-bit grey with alpha"
IN_TWO = (COLOUR, ALPHA)  # kinds of which Pillow gives the upper bytes only; the lower ones take opening them again
GUESSED = "has more than 8 bits, and the model no range for them: black and white are guessed for each photo by itself"

# A pixel in a thousand may lie beyond: dead pixels, cosmic rays, the overshoot of a sharpening.
ROBUST = 0.001
# A sharpened or resized picture overshoots white along its edges, by a tenth and more of the contrast there.
_OVERSHOOT = 1.1

_AT_A_TIME = 1 << 20  # values: as doubles 8 MB, where a whole picture could be a gigabyte
_PHOTOMETRIC, _SAMPLE_FORMAT, _BITS, _MAX_VALUE, _SMAX_VALUE = 262, 339, 258, 281, 341  # tags of TIFF
_WHITE_IS_ZERO, _UNSIGNED = 0, 1
# How Pillow unpacks 16-bit colour: only the upper bytes. The other byte order gives it the lower ones.
_UPPER = {"RGB;16B", "RGB;16L", "RGB;16N", "RGBA;16B", "RGBA;16L", "RGBA;16N", "RGBX;16B", "RGBX;16L", "RGBX;16N"}
_NATIVE = "L" if sys.byteorder == "little" else "B"
_SWAPPED = {"B": "L", "L": "B", "N": "B" if _NATIVE == "L" else "L"}


def kind(image: Image.Image) -> str | None:
    """What kind of values beyond 8 bits an opened picture has, in words; None where it has none."""
    if image.mode.startswith("I;16"):
        return "16-bit grey"
    if image.mode == "I":
        sixteen = image.format in ("PNG", "PPM") or any("16" in mode for mode in _rawmodes(image))
        return "16-bit grey" if sixteen else "32-bit integer grey"
    if image.mode == "F":
        return "floating-point grey"
    if image.mode in ("RGB", "RGBA") and _rawmodes(image) and all(mode in _UPPER for mode in _rawmodes(image)):
        return COLOUR
    return ALPHA if _rawmodes(image) == ["LA;16B"] else None


def grey_values(image: Image.Image) -> Values:
    """The values (H, W) of a deep grey picture: uint16, int32, uint32 or float32."""
    values = np.asarray(image)
    unsigned = _tag(image, _SAMPLE_FORMAT, _UNSIGNED) == _UNSIGNED and _tag(image, _BITS, 0) == 32
    # Pillow has no mode for unsigned 32 bits: their upper half comes out negative.
    return values.view(np.uint32) if image.mode == "I" and unsigned else values


def colour_values(upper: Image.Image, again: Image.Image) -> Values:
    """uint16 (H, W, C) of a picture of a kind `IN_TWO`, from `upper`, decoded, and its file opened again."""
    values: Values
    if _rawmodes(again) == ["LA;16B"]:  # Pillow unpacks 4 bytes of grey and alpha as it does 4 of RGBA
        again._mode = "RGBA"
        again.tile = [_unpacked(tile, "RGBA") for tile in again.tile]  # type: ignore[attr-defined]  # of its plugin
        values = np.asarray(again).astype(np.uint16)
        return values[..., 0::2] << 8 | values[..., 1::2]
    again.tile = [_swapped(tile) for tile in again.tile]  # type: ignore[attr-defined]  # of its plugin
    values = np.asarray(upper).astype(np.uint16) << 8 | np.asarray(again)
    return values


def declared_white(image: Image.Image) -> float | None:
    """The largest value that a TIFF says its samples can have, if it says so."""
    bits = _tag(image, _BITS, 0)
    if 8 < bits < 16:  # of other widths, as many as the type has say nothing
        return float(2**bits - 1)
    white = _tag(image, _SMAX_VALUE, 0) or _tag(image, _MAX_VALUE, 0)
    return float(white) if 0 < white < 65535 else None


def to_grey(image: Image.Image, value_range: Range | None) -> Image.Image:
    """A deep grey picture as 8-bit grey, with alpha where a PNG has a see-through value; without a range by a guess."""
    values = grey_values(image)
    scaled = eight_bit(values, value_range or guess(values, image))
    if _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO:
        scaled = 255 - scaled
    grey = Image.fromarray(scaled)
    hidden = image.info.get("transparency")  # PNG: the one grey value that is see-through
    if isinstance(hidden, int):
        grey.putalpha(Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8)))
    return grey


def to_colour(upper: Image.Image, again: Image.Image, value_range: Range) -> Image.Image:
    """A 16-bit colour picture (as for `colour_values`) in 8 bits; its alpha, if any, is not scaled."""
    values = colour_values(upper, again)
    has_alpha = values.shape[2] in (2, 4)
    scaled = eight_bit(np.ascontiguousarray(values[..., :-1] if has_alpha else values), value_range)
    if has_alpha:
        return Image.fromarray(np.dstack([scaled, (values[..., -1] >> 8).astype(np.uint8)]))
    image = Image.fromarray(scaled)
    hidden = upper.info.get("transparency")
    if isinstance(hidden, tuple):
        image.putalpha(Image.fromarray(np.where((values == hidden).all(2), 0, 255).astype(np.uint8)))
    return image


def eight_bit(values: Values, value_range: Range) -> NDArray[np.uint8]:
    """`values` between the ends of the range as 0..255, rounded; beyond them 0 and 255; what is no number 0."""
    low, high = value_range
    result = np.empty(values.shape, np.uint8)
    source, target = values.reshape(-1), result.reshape(-1)
    for start in range(0, len(source), _AT_A_TIME):
        # Doubles: 32-bit integers differ by less than single precision can tell, and browsers calculate in them.
        part = source[start : start + _AT_A_TIME].astype(np.float64)
        part -= low
        part /= high - low
        part *= 255
        part += 0.5
        np.nan_to_num(part, copy=False, nan=0, posinf=255, neginf=0)
        target[start : start + _AT_A_TIME] = part.clip(0, 255)
    return result


def robust_ends(values: Values) -> Range:
    """The values that a pixel in a thousand lies below and above; of the finite ones. (0, 0) where there are none."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
    if not finite.size:
        return 0.0, 0.0
    outside = int(ROBUST * finite.size)
    ends = np.partition(finite, (outside, finite.size - 1 - outside))
    return float(ends[outside]), float(ends[finite.size - 1 - outside])


def guess(values: Values, image: Image.Image) -> Range:
    """The range of one picture by itself: that of its format where it has one, else the first usual one it fits."""
    if (values.dtype.kind == "u" and values.dtype.itemsize == 2) or (
        image.mode == "I" and image.format in ("PNG", "PPM")
    ):
        return 0.0, 65535.0
    low, high = robust_ends(values)
    usual = usual_range(low, high, values.dtype.kind == "f")
    return usual or (low if low < -(_OVERSHOOT - 1) * high else 0.0, high if high > low else low + 1)


def usual_range(low: float, high: float, floating: bool) -> Range | None:
    """The range that people store pictures in and that holds values from `low` to `high`; None where none does."""
    if floating:
        whites = (1.0, 255.0, 65535.0)
        if low < -(_OVERSHOOT - 1) * max(1.0, high):
            return (-1.0, 1.0) if max(-low, high) <= _OVERSHOOT else None
        return next(((0.0, white) for white in whites if high <= _OVERSHOOT * white), None)
    if low < 0:
        return None
    return next((0.0, 2.0**bits - 1) for bits in (8, 10, 12, 14, 16, 31, 32) if high <= 2.0**bits - 1)


def _tag(image: Image.Image, number: int, default: int) -> int:
    tags = getattr(image, "tag_v2", None) or {}
    value = tags.get(number, default)
    value = max(value, default=default) if isinstance(value, tuple) else value
    return int(value) if isinstance(value, (int, float)) else default


def _rawmodes(image: Image.Image) -> list[str]:
    """How the parts of a picture that is not decoded yet are unpacked."""
    return [_rawmode(tile[3]) for tile in getattr(image, "tile", [])]


def _rawmode(args: Any) -> str:
    return str(args[0] if isinstance(args, (tuple, list)) and args else args)


def _swapped(tile: Any) -> Any:
    """A part of a picture, unpacked in the other byte order."""
    mode = _rawmode(tile[3])
    return _unpacked(tile, mode[:-1] + _SWAPPED[mode[-1]])


def _unpacked(tile: Any, mode: str) -> Any:
    *rest, args = tile
    return type(tile)(*rest, (mode, *args[1:]) if isinstance(args, (tuple, list)) else mode)
