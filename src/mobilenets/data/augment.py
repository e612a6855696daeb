"""Augmentation: what may change about a photograph without changing what it shows.

torchvision's transforms cannot be imported beside torch's CPU wheel, and albumentations brings OpenCV; these few
are Pillow and numpy. Every random number comes from the generator given, so a sample's augmentation depends on
(seed, epoch, index) alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from mobilenets.errors import UsageError
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.crops import ATTEMPTS, frame_of, random_box, random_view, zoomed_out
from mobilenets.preprocess.decode import Box

ERASE_AREA = (0.02, 0.33)  # of the picture, Zhong et al. 2017 (1708.04896)
ERASE_RATIO = (0.3, 3.3)
ZOOM_OUT_RATE = 0.5
MAX_ZOOM_OUT = 4  # beyond it nothing of a photo is left to be seen

# Linear parts of what is done to a view, and where the upper left corner goes, as a frame's third column has it.
_MIRRORED, _UPSIDE_DOWN, _QUARTER = np.array([[[-1, 0], [0, 1]], [[1, 0], [0, -1]], [[0, 1], [-1, 0]]])
_RIGHT, _BOTTOM = np.array([[[0, 0, 1], [0, 0, 0]], [[0, 0, 0], [0, 0, 1]]])

Generator = np.random.Generator


@dataclass(frozen=True)
class View:
    """One view of a photo: uint8 `pixels` (size, size, C), and the `frame` float32 (6,) of it, a `crops.Frame`.

    What TrivialAugment turns or shears is not in the frame.
    """

    pixels: NDArray[np.uint8]
    frame: NDArray[np.float32]


@dataclass(frozen=True)
class Augment:
    """What may happen to a training photograph; probabilities 0 to 1, other strengths 0 for off.

    `crop_scale`: area of the crop as a fraction of the picture, (1, 1) for all of it; `crop_ratio`: its width
    over its height. `rot90` turns by 0 to 3 quarters, `jitter` changes brightness, contrast and saturation by
    up to that share, `trivial` applies one operation of TrivialAugment (2103.10158, wide space), `erase` is the
    probability of blanking a rectangle. With a `zoom_out` above 1 every second photo is shown whole instead of cropped,
    in grey of up to that many times its width and height.
    """

    crop_scale: tuple[float, float] = (0.35, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    hflip: float = 0.5
    vflip: float = 0.0
    rot90: bool = False
    jitter: float = 0.0
    trivial: bool = False
    erase: float = 0.0
    zoom_out: float = 1.0

    def __post_init__(self) -> None:
        for name in ("hflip", "vflip", "erase", "jitter"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise UsageError(f"augment.{name}: {value} is outside 0 to 1")
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise UsageError(f"augment.crop_scale: {self.crop_scale} is no range of areas inside 0 to 1")
        low, high = self.crop_ratio
        if not 0 < low <= high < math.inf:
            raise UsageError(f"augment.crop_ratio: {self.crop_ratio} is no range of width over height")
        if not 1 <= self.zoom_out <= MAX_ZOOM_OUT:
            raise UsageError(f"augment.zoom_out: {self.zoom_out} is outside 1 (off) to {MAX_ZOOM_OUT}")

    def __call__(
        self,
        image: Image.Image,
        preprocess: Preprocess,
        rng: Generator,
        points: NDArray[np.floating] | None = None,
    ) -> View:
        """An RGB or L image → one augmented view; `points` float (M, 2), 0 to 1: a crop shows one of them at least."""
        box = self._box(image, preprocess, rng, points)
        view = preprocess.resize_box(image, box)
        frame = np.array(frame_of(preprocess.size, box, *image.size)).reshape(2, 3)
        if self.trivial:
            view = trivial_augment(view, rng)
        if self.jitter:
            view = _jitter(view, self.jitter, rng)
        pixels = np.asarray(view).reshape(preprocess.size, preprocess.size, -1)
        if rng.random() < self.hflip:
            pixels, frame = pixels[:, ::-1], _MIRRORED @ frame + _RIGHT
        if rng.random() < self.vflip:
            pixels, frame = pixels[::-1], _UPSIDE_DOWN @ frame + _BOTTOM
        if self.rot90:
            quarters = int(rng.integers(4))
            pixels = np.rot90(pixels, quarters)
            for _ in range(quarters):
                frame = _QUARTER @ frame + _BOTTOM
        pixels = np.array(pixels, order="C")
        if rng.random() < self.erase:
            _erase(pixels, preprocess.mean, rng)
        return View(pixels, frame.astype(np.float32).reshape(6))

    def _box(
        self, image: Image.Image, preprocess: Preprocess, rng: Generator, points: NDArray[np.floating] | None
    ) -> Box:
        """What is shown: a box around the photo, or a crop, drawn again until one of the `points` lies in it."""
        if self.zoom_out > 1 and rng.random() < ZOOM_OUT_RATE:
            return zoomed_out(preprocess.fit, *image.size, rng.uniform(1, self.zoom_out), rng)
        box: Box = (0, 0, *image.size)
        for _ in range(ATTEMPTS):
            box = random_view(preprocess.fit, *image.size, self.crop_scale, self.crop_ratio, rng)
            if points is None or len(points) == 0:
                break
            at = points * image.size
            if ((at >= box[:2]) & (at <= box[2:])).all(1).any():
                break
        return box


def _jitter(image: Image.Image, strength: float, rng: Generator) -> Image.Image:
    """Brightness, contrast and saturation, each by a factor in 1 ± strength."""
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(rng.uniform(1 - strength, 1 + strength))
    return image


def _affine(*matrix: float) -> Callable[[Image.Image], Image.Image]:
    """An affine map of output to input coordinates about the centre, filled with grey."""
    a, b, c, d, e, f = matrix

    def apply(image: Image.Image) -> Image.Image:
        x, y = image.width / 2, image.height / 2
        fill = 128 if image.mode == "L" else (128, 128, 128)
        data = (a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y)
        return image.transform(image.size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=fill)

    return apply


def trivial_augment(image: Image.Image, rng: Generator) -> Image.Image:
    """One operation at a random strength: TrivialAugment's wide space (2103.10158, Table 1)."""
    m = rng.uniform(0, 1)  # strength
    s = m * (1 if rng.random() < 0.5 else -1)  # signed, where an operation has two directions
    pixels = 32 * s
    angle = math.radians(135 * s)
    operations: tuple[Callable[[Image.Image], Image.Image], ...] = (
        lambda im: im,
        _affine(1, 0.99 * s, 0, 0, 1, 0),
        _affine(1, 0, 0, 0.99 * s, 1, 0),
        _affine(1, 0, pixels, 0, 1, 0),
        _affine(1, 0, 0, 0, 1, pixels),
        _affine(math.cos(angle), math.sin(angle), 0, -math.sin(angle), math.cos(angle), 0),
        lambda im: ImageEnhance.Brightness(im).enhance(1 + 0.99 * s),
        lambda im: ImageEnhance.Color(im).enhance(1 + 0.99 * s),
        lambda im: ImageEnhance.Contrast(im).enhance(1 + 0.99 * s),
        lambda im: ImageEnhance.Sharpness(im).enhance(1 + 0.99 * s),
        lambda im: ImageOps.posterize(im, 8 - round(6 * m)),
        lambda im: ImageOps.solarize(im, round(256 * (1 - m))),
        ImageOps.autocontrast,
        ImageOps.equalize,
    )
    return operations[rng.integers(len(operations))](image)


def _erase(pixels: NDArray[np.uint8], mean: tuple[float, ...], rng: Generator) -> None:
    """Fill a random rectangle with the mean colour, in place."""
    size = len(pixels)
    box = random_box(size, size, ERASE_AREA, ERASE_RATIO, rng)
    left, top, right, bottom = (round(v) for v in box)
    pixels[top:bottom, left:right] = np.round(np.multiply(mean, 255)).astype(np.uint8)
