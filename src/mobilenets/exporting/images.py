"""The images an export is compared on and calibrated with."""

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

NUM_RANDOM_IMAGES = 32


@dataclass(frozen=True)
class SampleImage:
    """uint8 pixels (size, size, C), the image they were made of (H, W, C), and its label where the model knows it."""

    pixels: Pixels
    full_image: Pixels
    label: int | None


def read_images(preprocess: Preprocess, samples: Sequence[Sample], count: int, title: str) -> Iterator[SampleImage]:
    """At most `count` of `samples`, without those that cannot be read.

    They come from all over the list, which is in the order of the classes.
    """
    chosen = np.linspace(0, len(samples) - 1, min(len(samples), count))
    with Progress(title, len(chosen), "photo") as progress:
        for i in chosen:
            sample = samples[int(i)]
            try:
                photo = _whole(sample, preprocess)
            except UserError:  # reported when the run was trained
                continue
            finally:
                progress.advance()
            label = None if sample.label == UNKNOWN else sample.label
            yield SampleImage(preprocess.pixels(photo), np.asarray(photo.image), label)


def _whole(sample: Sample, preprocess: Preprocess) -> Decoded:
    """The image; one that is too large to be decoded whole as training saw it, at reduced scale."""
    try:
        return preprocess.read(sample.open(), min_side=0)
    except TooManyPixels:
        return preprocess.read(sample.open())


def random_images(preprocess: Preprocess) -> Iterator[SampleImage]:
    """Smooth noise around random colours, half as large again as the input: values from all over their range."""
    rng = np.random.default_rng(0)
    side = preprocess.resize_side * 3 // 2
    for _ in range(NUM_RANDOM_IMAGES):
        noise = rng.normal(rng.uniform(0, 255, 3), 50, (side // 4, side // 3, 3)).clip(0, 255).astype(np.uint8)
        image = Image.fromarray(noise).resize((side * 4 // 3, side), Image.Resampling.BICUBIC)
        yield SampleImage(preprocess.pixels(image), np.asarray(image), None)
