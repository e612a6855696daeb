"""The only place that turns an image into an input array, for training, prediction and export alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenets.errors import UsageError
from mobilenets.preprocess import decode, depth
from mobilenets.preprocess.crops import paste_box
from mobilenets.preprocess.decode import Box, Decoded
from mobilenets.preprocess.depth import Range
from mobilenets.preprocess.fit import FITS, PADDING, Window, window
from mobilenets.preprocess.notes import NOTES

# Mean and standard deviation of ImageNet's training images, in 0..1, per channel R, G, B
# (torchvision's published weights, `transforms.ImageClassification`).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_RESAMPLE = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_CHANNELS = {"RGB": 3, "L": 1}
_MAX_SIZE = 4096  # a card comes from a file: a size beyond any use must not reserve memory
_MIN_CROP = 0.1  # below it the centre crop would be smaller than a pixel of small images
_SLACK = 1e-6  # of a pixel: what is a whole number but for rounding is one
_LONGEST = 8  # sides: a 1×5000 strip must not become 256×1,280,000 pixels on the way to its crop


@dataclass(frozen=True)
class Preprocess:
    """Resize, fit into a square, scale to the statistics the network was trained with.

    Parameters
    ----------
    size
        Side in pixels of the square the network sees, 1 to 4096.
    crop
        Fraction of the resized side that the input shows, 0.1 to 1. Published networks are scored at 0.875 (256 → 224):
        objects then appear as large as random-resized-crop training showed them.
    interpolation
        "bilinear" or "bicubic", both antialiased.
    mean, std
        Per channel, for values in 0..1; `std` above 0.
    mode
        "RGB", or "L" for one grey channel.
    range
        What of 16-bit, integer and floating-point photos becomes black and white; 8-bit ones stay as they are. None:
        nothing is known, and each such photo is judged by itself.
    fit
        "crop" (the short side fills the input, the centre of the long one is seen), "pad" (the long side fills it, the
        rest is grey) or "squash" (both fill it); see `mobilenets.preprocess.fit`.

    Raises
    ------
    UsageError
        A value outside these ranges.

    Examples
    --------
    >>> import mobilenets as mn
    >>> preprocess = mn.Preprocess(size=160, crop=1.0)
    >>> pixels = preprocess.pixels(preprocess.read("rose.jpg"))
    >>> pixels.shape, pixels.dtype
    ((160, 160, 3), dtype('uint8'))
    >>> preprocess.normalize(pixels[None]).shape
    (1, 3, 160, 160)
    """

    size: int = 224
    crop: float = 0.875
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    mode: decode.Mode = "RGB"
    range: Range | None = None
    fit: str = "crop"

    def __post_init__(self) -> None:
        _require(
            type(self.size) is int and 1 <= self.size <= _MAX_SIZE,
            f"size {self.size!r}: must be a whole number of pixels from 1 to {_MAX_SIZE}",
        )
        _require(
            _is_number(self.crop) and _MIN_CROP <= self.crop <= 1,
            f"crop {self.crop!r}: must be a fraction from {_MIN_CROP} to 1",
        )
        for field, accepted in (("interpolation", _RESAMPLE), ("mode", _CHANNELS), ("fit", FITS)):
            value = getattr(self, field)
            _require(
                isinstance(value, str) and value in accepted,
                f"{field} {value!r}: must be one of {', '.join(accepted)}",
            )
        for field in ("mean", "std"):
            values = getattr(self, field)
            _require(
                isinstance(values, (tuple, list)) and len(values) == self.channels and all(map(_is_number, values)),
                f"{field} {values!r}: must be {self.channels} finite numbers for mode {self.mode}",
            )
            object.__setattr__(self, field, tuple(map(float, values)))
        _require(min(self.std) > 0, f"std {self.std!r}: must be above 0")
        if self.range is not None:
            ends = tuple(self.range) if isinstance(self.range, (tuple, list)) else ()
            _require(
                len(ends) == 2 and all(map(_is_number, ends)) and ends[0] < ends[1],
                f"range {self.range!r}: must be two finite numbers, black below white",
            )
            object.__setattr__(self, "range", tuple(map(float, ends)))

    @property
    def channels(self) -> int:
        """Channels of the input array: 3 for RGB, 1 for L."""
        return _CHANNELS[self.mode]

    @property
    def resize_side(self) -> int:
        """Side in pixels after the resize, before the crop: size / crop, rounded down.

        The short side if `fit` is "crop", the long one if it is "pad", else both.
        """
        return math.floor(self.size / self.crop + _SLACK)  # 224 / (224 / 232) must be 232, not 231.999…

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON types; `from_dict` gives an equal object back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """Read the `values` that `to_dict` gave; missing fields take their default, unknown ones are refused."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        _require(not unknown, f"unknown field {', '.join(map(repr, unknown))}: known are {', '.join(known)}")
        return cls(**values)

    def read(
        self,
        source: str | Path | bytes | BinaryIO | Image.Image,
        *,
        min_side: int | None = None,
        max_pixels: int | None = None,
    ) -> Decoded:
        """Decode a photo for this preprocess, as everything that a network is shown is decoded: `pixels` takes it.

        Parameters
        ----------
        source
            A path, the bytes of a file, an open file, or an image that was opened elsewhere, of any of Pillow's modes.
        min_side
            Short side in pixels that is wanted of it, 0 for every pixel of the file; None: what `pixels` needs.
        max_pixels
            Decode at most so many; None: 120 million.

        Returns
        -------
        Decoded
            Upright, of mode `mode`, 8 bits a channel.

        Raises
        ------
        UnreadableImage
            The file cannot be decoded, or more than `max_pixels` would have to be decoded; a `DataError`.
        """
        if isinstance(source, Image.Image):
            guessed = self.range is None and depth.kind(source) not in (None, *depth.IN_TWO)
            decoded = Decoded(decode.flatten(source, self.mode, value_range=self.range), guessed=guessed)
        else:
            side = self.resize_side if min_side is None else min_side
            decoded = decode.decoded(
                source, min_side=side, mode=self.mode, max_pixels=max_pixels, value_range=self.range
            )
        if decoded.guessed:
            NOTES.warn(depth.GUESSED, "image" if isinstance(source, Image.Image) else decode.name_of(source))
        return decoded

    def pixels(self, decoded: Decoded | Image.Image) -> NDArray[np.uint8]:
        """Resize and crop, pad or squash.

        With `fit` "crop" it equals torchvision's Resize(resize_side, antialias) and CenterCrop(size) exactly.
        A photo decoded at reduced scale is resized and cropped in one step, to the crop of the full photo within a few
        grey levels; one longer than 8 times its width, within 2.

        Parameters
        ----------
        decoded
            What `read` returned, or an image of mode RGB or L.

        Returns
        -------
        ndarray
            uint8 (size, size, channels), 0..255.

        Raises
        ------
        UsageError
            An image of another mode.
        """
        image, covered = (decoded.image, decoded.box) if isinstance(decoded, Decoded) else (decoded, None)
        _require(image.mode in _CHANNELS, f"image of mode {image.mode}: pass it through Preprocess.read")
        if image.mode != self.mode:
            image = image.convert(self.mode)
        left, top, right, bottom = covered or (0, 0, *image.size)
        w = self.window(right - left, bottom - top)
        resample = _RESAMPLE[self.interpolation]
        if covered is None and max(w.wide, w.high) <= _LONGEST * self.resize_side:
            # Two steps are torchvision's to the bit: a box in fractions of a pixel tips sums that lie halfway
            # between two grey levels the other way.
            part = image.resize((w.wide, w.high), resample).crop((w.left, w.top, w.right, w.bottom))
        else:
            # The axes scale slightly differently, as `wide` and `high` are rounded.
            sx, sy = (right - left) / w.wide, (bottom - top) / w.high
            end = min(left + w.right * sx, right), min(top + w.bottom * sy, bottom)
            box = (left + w.left * sx, top + w.top * sy, *end)
            part = image.resize((w.right - w.left, w.bottom - w.top), resample, box=box)
        pixels = np.array(part, dtype=np.uint8).reshape(part.height, part.width, self.channels)
        if part.size == (self.size, self.size):
            return pixels
        padded = np.full((self.size, self.size, self.channels), PADDING, np.uint8)
        padded[w.rows, w.columns] = pixels
        return padded

    def resize_box(self, image: Image.Image, box: Box) -> Image.Image:
        """The part of an RGB or L `image` inside `box` (left, top, right, bottom, in its pixels) at the input's size.

        What training's random crops use; the result is as antialiased as `pixels`. Where the box reaches beyond the
        image there is padding.
        """
        image = image if image.mode == self.mode else image.convert(self.mode)
        resample, size = _RESAMPLE[self.interpolation], self.size
        width, height = image.size
        pasted = paste_box(size, box, width, height)
        if pasted.inside == tuple(box):
            return image.resize((size, size), resample, box=box)
        view = Image.new(self.mode, (size, size), (PADDING,) * self.channels)
        part = image.resize((pasted.wide, pasted.high), resample, box=pasted.inside)
        view.paste(part, (pasted.x, pasted.y))
        return view

    def window(self, width: float, height: float) -> Window:
        """Which part of a photo of `width` × `height` pixels the input shows, and where."""
        return window(self.fit, self.size, self.resize_side, width, height)

    def seen(self, width: float, height: float) -> Box:
        """The part of a photo of `width` × `height` that the input shows, in the photo's pixels."""
        w = self.window(width, height)
        x, y = width / w.wide, height / w.high
        return w.left * x, w.top * y, w.right * x, w.bottom * y

    def photo_part(self, values: NDArray[Any], width: float, height: float) -> NDArray[Any]:
        """What `values` of the input (size, size) or (size, size, C) say of the photo: padding cut, squash undone.

        (h, w) or (h, w, C), in the proportions of the part of a `width` × `height` photo that was seen.
        """
        w = self.window(width, height)
        part = values[w.rows, w.columns]
        if self.fit != "squash":
            return part
        wide, high = (max(1, round(self.size * length / max(width, height))) for length in (width, height))
        planes = [Image.fromarray(plane) for plane in np.moveaxis(np.atleast_3d(part), 2, 0)]
        stretched = [np.asarray(plane.resize((wide, high), Image.Resampling.BILINEAR)) for plane in planes]
        return np.stack(stretched, axis=2) if values.ndim == 3 else stretched[0]

    def reducible(self, width: int, height: int, side: int) -> tuple[int, int]:
        """How many pixels across (`width`) and down (`height`) may be averaged for crops as sharp as of `side`."""
        if self.fit == "squash":
            return max(1, width // side), max(1, height // side)
        factor = max(1, (max(width, height) if self.fit == "pad" else min(width, height)) // side)
        return factor, factor

    def normalize(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 `pixels` (N, H, W, C) to float32 (N, C, H, W), contiguous: (pixel / 255 - mean) / std."""
        mean = np.array(self.mean, np.float32).reshape(-1, 1, 1)
        std = np.array(self.std, np.float32).reshape(-1, 1, 1)
        result = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
        result /= 255
        result -= mean
        result /= std
        return result


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(f"preprocess: {message}")
