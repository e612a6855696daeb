"""The pictures an export is compared on and calibrated with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mobilenets.data.sample import Sample
from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.decode import Decoded, TooManyPixels
from mobilenets.runtime.base import Pixels
from mobilenets.system.progress import Progress
from mobilenets.tasks.task import UNKNOWN

RANDOM_PICTURES = 32


@dataclass(frozen=True)
class Picture:
    """uint8 pixels (size, size, C), the picture they were made of (H, W, C), and its label where the model knows it."""

    pixels: Pixels
    whole: Pixels
    label: int | None


def read_pictures(preprocess: Preprocess, samples: Sequence[Sample], most: int, title: str) -> Iterator[Picture]:
    """At most `most` of `samples`, without those that cannot be read.

    They come from all over the list, which is in the order of the classes.
    """
    chosen = np.linspace(0, len(samples) - 1, min(len(samples), most))
    with Progress(title, len(chosen), "picture") as progress:
        for i in chosen:
            sample = samples[int(i)]
            try:
                photo = _whole(sample, preprocess)
            except UserError:  # reported when the run was trained
                continue
            finally:
                progress.advance()
            label = None if sample.label == UNKNOWN else sample.label
            yield Picture(preprocess.pixels(photo), np.asarray(photo.image), label)


def _whole(sample: Sample, preprocess: Preprocess) -> Decoded:
    """The picture; one that is too large to be decoded whole as training saw it, at reduced scale."""
    try:
        return preprocess.read(sample.open(), min_side=0)
    except TooManyPixels:
        return preprocess.read(sample.open())


def random_pictures(preprocess: Preprocess) -> Iterator[Picture]:
    """Smooth noise around random colours, half as large again as the input: values from all over their range."""
    rng = np.random.default_rng(0)
    side = preprocess.resize_side * 3 // 2
    for _ in range(RANDOM_PICTURES):
        noise = rng.normal(rng.uniform(0, 255, 3), 50, (side // 4, side // 3, 3)).clip(0, 255).astype(np.uint8)
        image = Image.fromarray(noise).resize((side * 4 // 3, side), Image.Resampling.BICUBIC)
        yield Picture(preprocess.pixels(image), np.asarray(image), None)
