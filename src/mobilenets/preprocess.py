"""The only place that turns an image into an input array, for training, prediction and export alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenets.errors import UserError

# Mean and standard deviation of ImageNet's training images, in 0..1, per channel R, G, B
# (torchvision's published weights, `transforms.ImageClassification`).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_RESAMPLE = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_CHANNELS = {"RGB": 3, "L": 1}
_MAX_SIZE = 4096  # a card comes from a file: a size beyond any use must not reserve memory
_MIN_CROP = 0.1  # below it the centre crop would be smaller than a pixel of small images


@dataclass(frozen=True)
class Preprocess:
    """Resize the short side, crop the centre, scale to the statistics the network was trained with.

    Parameters
    ----------
    size: side in pixels of the square the network sees, 1 to 4096.
    crop: fraction of the resized short side that the crop keeps, 0.1 to 1. Published networks are scored at
        0.875 (256 → 224): objects then appear as large as random-resized-crop training showed them.
    interpolation: "bilinear" or "bicubic", both antialiased.
    mean, std: per channel, for values in 0..1.
    mode: "RGB", or "L" for one grey channel.

    Raises
    ------
    UserError: a value outside these ranges.
    """

    size: int = 224
    crop: float = 0.875
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    mode: str = "RGB"

    def __post_init__(self) -> None:
        _require(
            type(self.size) is int and 1 <= self.size <= _MAX_SIZE,
            f"size {self.size!r}: must be a whole number of pixels from 1 to {_MAX_SIZE}",
        )
        _require(
            _is_number(self.crop) and _MIN_CROP <= self.crop <= 1,
            f"crop {self.crop!r}: must be a fraction from {_MIN_CROP} to 1",
        )
        for field, accepted in (("interpolation", _RESAMPLE), ("mode", _CHANNELS)):
            value = getattr(self, field)
            _require(
                isinstance(value, str) and value in accepted,
                f"{field} {value!r}: must be one of {', '.join(accepted)}",
            )
        for field in ("mean", "std"):
            values = getattr(self, field)
            _require(
                isinstance(values, (tuple, list))
                and len(values) == self.channels
                and all(map(_is_number, values)),
                f"{field} {values!r}: must be {self.channels} finite numbers for mode {self.mode}",
            )
            object.__setattr__(self, field, tuple(map(float, values)))
        _require(min(self.std) > 0, f"std {self.std!r}: must be above 0")

    @property
    def channels(self) -> int:
        """Channels of the input array: 3 for RGB, 1 for L."""
        return _CHANNELS[self.mode]

    @property
    def resize_side(self) -> int:
        """Short side in pixels after the resize, before the crop: size / crop, rounded down."""
        return math.floor(self.size / self.crop + 1e-6)  # 224 / (224 / 232) must be 232, not 231.999…

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON types; `from_dict` gives an equal object back."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """Read `to_dict`'s form; missing fields take their default, unknown ones are refused."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        _require(not unknown, f"unknown field {', '.join(map(repr, unknown))}: known are {', '.join(known)}")
        return cls(**values)

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize and centre-crop in one step: uint8, (size, size, channels), 0..255.

        Equals torchvision's Resize(resize_side, antialias) and CenterCrop(size) within 1 of 255. `image` is
        RGB or L, as `images.read` returns it; one decoded at reduced scale gives the crop of the full photo.
        """
        _require(
            image.mode in _CHANNELS,
            f"image of mode {image.mode}: open it with mobilenets.images.read, or pass it through "
            "mobilenets.images.flatten",
        )
        if image.mode != self.mode:
            image = image.convert(self.mode)
        box = _crop_box(_extent(image), self.resize_side, self.size)
        resized = image.resize((self.size, self.size), _RESAMPLE[self.interpolation], box=box)
        return np.array(resized, dtype=np.uint8).reshape(self.size, self.size, self.channels)

    def normalize(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) to float32 (N, C, H, W), contiguous: (pixel / 255 - mean) / std."""
        mean = np.array(self.mean, np.float32).reshape(-1, 1, 1)
        std = np.array(self.std, np.float32).reshape(-1, 1, 1)
        result = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
        result /= 255
        result -= mean
        result /= std
        return result


Box = tuple[float, float, float, float]


def _extent(image: Image.Image) -> Box:
    """The box of `image` that the photo covers: all of it, or what `images.read` noted at a reduced decode.

    The note leaves out less than one pixel a side. Where it does not, the image was cropped or resized since.
    """
    width, height = image.size
    left, top, right, bottom = image.info.get("extent", (0, 0, width, height))
    if 0 <= left < 1 and 0 <= top < 1 and width - 1 < right <= width and height - 1 < bottom <= height:
        return left, top, right, bottom
    return 0, 0, width, height


def _crop_box(extent: Box, side: int, size: int) -> Box:
    """The part of `extent` that a resize of its short side to `side` and a centre crop of `size` show.

    torchvision rounds the resized long side down (`Resize`), so the two axes scale slightly differently,
    and the crop's corner to the nearest pixel, halves to even (`CenterCrop`). Both are kept.
    """
    left, top, right, bottom = extent
    width, height = right - left, bottom - top
    short = min(width, height)
    x0, x1 = _crop_span(width, int(side * width / short), size)
    y0, y1 = _crop_span(height, int(side * height / short), size)
    return left + x0, top + y0, left + x1, top + y1


def _crop_span(length: float, resized: int, size: int) -> tuple[float, float]:
    """Where the middle `size` of `resized` pixels begin and end on a side of `length`."""
    start = round((resized - size) / 2)
    return start * length / resized, min((start + size) * length / resized, length)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(f"preprocess: {message}")
