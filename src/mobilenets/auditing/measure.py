"""Everything the audit knows of a file, from one decode."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenets.data.sample import Sample
from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess, decode
from mobilenets.preprocess.depth import Range
from mobilenets.runtime.features import FeatureExtractor
from mobilenets.system.progress import Progress

SIDE = 256  # pixels of the short side at which quality is judged: what a network of 224 sees, crop included
THUMB = 32
WORKERS = 2
_BATCH = 32
_BLUR_WINDOW = 9  # Crete et al. 2007, §3


@dataclass(frozen=True)
class Appearance:
    """What an image looks like, by which copies are found; grey levels 0..255.

    `digest`: of the decoded pixels. `low`: 1st percentile, `spread`: 99th minus 1st, `light`: 95th. `thumb`: uint8
    (32, 32), the whole image.
    """

    digest: bytes
    low: float
    spread: float
    light: float
    thumb: NDArray[np.uint8]

    @classmethod
    def of(cls, image: Image.Image, grey: Image.Image, width: int, height: int) -> Appearance:
        """That of an image, its `grey_levels` and the size of its file."""
        digest = hashlib.blake2b(image.tobytes(), digest_size=16, person=f"{width}x{height}".encode()[:16]).digest()
        low, light, high = percentiles(grey.histogram(), (1, 95, 99))
        return cls(digest, low, high - low, light, np.asarray(grey.resize((THUMB, THUMB), Image.Resampling.BOX)))


@dataclass(frozen=True)
class ImageMeasures(Appearance):
    """Measures of an image that could be read.

    `format`, `width`, `height`: as stored. `blur`: 0 (sharp) to 1, at `SIDE` pixels.
    """

    path: Path
    format: str
    width: int
    height: int
    blur: float

    @property
    def short(self) -> int:
        """The short side in pixels."""
        return min(self.width, self.height)

    @property
    def aspect(self) -> float:
        """Long side by short side, 1 or more."""
        return max(self.width, self.height) / self.short


@dataclass(frozen=True)
class ImageStats:
    """Images in the order asked for: what could be read, its features (n, D) if asked for, and what could not."""

    images: tuple[ImageMeasures, ...]
    features: NDArray[np.float32] | None
    unreadable: tuple[tuple[Path, str], ...]


def measure_images(
    samples: Sequence[Sample],
    extractor: FeatureExtractor | None = None,
    workers: int = WORKERS,
    value_range: Range | None = None,
    measured: Mapping[Path, ImageMeasures] | None = None,
) -> ImageStats:
    """Decode every file once, in threads, and measure it; with `extractor`, also its features.

    `value_range`: what deep images are scaled by, as training on them would. `measured`: by `measure_image`, and so;
    without `extractor` these are not decoded again.

    The same for any number of `workers`.
    """
    images: list[ImageMeasures] = []
    rows: list[NDArray[np.float32]] = []
    unreadable: list[tuple[Path, str]] = []
    network = replace(extractor.preprocess, range=value_range) if extractor else None
    reader = network or Preprocess(range=value_range)
    known = {path: (image, None) for path, image in (measured or {}).items()} if extractor is None else {}
    with Progress("looking at", len(samples), "image") as progress, ThreadPoolExecutor(workers) as pool:
        for i in range(math.ceil(len(samples) / _BATCH)):
            batch = samples[i * _BATCH :][:_BATCH]
            pixels = []
            results = pool.map(lambda s: known.get(s.path) or _measure_image(s, network, reader), batch)
            for sample, result in zip(batch, results, strict=True):
                if isinstance(result, str):
                    unreadable.append((sample.path, result))
                    continue
                images.append(result[0])
                if result[1] is not None:
                    pixels.append(result[1])
            if extractor and pixels:  # after the decoding, not beside it: both want the same cores
                rows.append(extractor.extract(np.stack(pixels)))
            progress.advance(len(batch))
    return ImageStats(tuple(images), np.concatenate(rows) if rows else None, tuple(unreadable))


def measure_image(sample: Sample, value_range: Range | None = None) -> ImageMeasures | None:
    """What `measure_images` knows of an image; None where it cannot be read."""
    result = _measure_image(sample, None, Preprocess(range=value_range))
    return None if isinstance(result, str) else result[0]


def _measure_image(
    sample: Sample, network: Preprocess | None, reader: Preprocess
) -> tuple[ImageMeasures, NDArray[np.uint8] | None] | str:
    """The measures, and the network's input; or why the file cannot be read."""
    min_side = max(SIDE, network.resize_side) if network else SIDE
    try:
        source = sample.open()
        format, width, height = decode.header(source)
        decoded = reader.read(source, min_side=min_side)
    except UserError as error:
        return str(error)
    grey = grey_levels(decoded.image)
    seen = Appearance.of(decoded.image, grey, width, height)
    blur = blur_effect(np.asarray(grey))
    measures = ImageMeasures(**vars(seen), path=sample.path, format=format, width=width, height=height, blur=blur)
    return measures, network.pixels(decoded) if network else None


def percentiles(histogram: Sequence[int], wanted: Sequence[float]) -> list[float]:
    """Percentiles of what a histogram counts, between two values in proportion; no pixel is sorted."""
    below = np.cumsum(histogram)
    ranks = np.array(wanted) / 100 * (below[-1] - 1)
    low, high = (np.searchsorted(below, np.floor(ranks) + step, side="right") for step in (0, 1))
    high = np.minimum(high, len(histogram) - 1)  # the place behind the last has no part in it
    result: list[float] = (low + (ranks % 1) * (high - low)).tolist()
    return result


def grey_levels(image: Image.Image) -> Image.Image:
    """In grey, no larger than `SIDE` on the short and four times that on the long side; never enlarged."""
    grey = image.convert("L")
    factor = min(1.0, SIDE / min(grey.size))
    size = [min(4 * SIDE, max(1, round(length * factor))) for length in grey.size]
    return grey.resize((size[0], size[1]), Image.Resampling.BILINEAR)


def blur_effect(pixels: NDArray[np.uint8] | NDArray[np.float32]) -> float:
    """How little a picture (H, W) changes when it is blurred further: 0 (sharp) to 1 (it cannot change).

    Crete, Dolmiere, Ladret, Nicolas 2007, "The blur effect": the larger of both axes. Unlike the variance of the
    Laplacian it does not depend on contrast.
    """
    values = pixels.astype(np.float32)
    return max(_blur_along(values), _blur_along(np.ascontiguousarray(values.T)))


def _blur_along(columns: NDArray[np.float32]) -> float:
    """The effect down the columns."""
    if len(columns) <= _BLUR_WINDOW:
        return 0.0
    half = _BLUR_WINDOW // 2
    blurred = _sums_of_nine(np.pad(columns, ((half, half), (0, 0)), "edge")) / _BLUR_WINDOW
    change, left = np.abs(np.diff(columns, axis=0)), np.abs(np.diff(blurred, axis=0))
    total = float(change.sum())
    return 1 - float(np.maximum(change - left, 0).sum()) / total if total else 1.0


def _sums_of_nine(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sum of every nine rows in a row, in four additions."""
    two = rows[1:] + rows[:-1]
    four = two[2:] + two[:-2]
    result: NDArray[np.float32] = four[4:-1] + four[:-5] + rows[8:]
    return result
