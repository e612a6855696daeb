"""The pictures an export is compared on and calibrated with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mobilenets.data.sample import Sample
from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess
from mobilenets.progress import Progress
from mobilenets.runtime.classifier import Classifier
from mobilenets.runtime.engine import Engine, Pixels

RANDOM_PICTURES = 32
UNKNOWN = -1  # label of a photograph whose class the model does not have

Picture = tuple[Pixels, int | None]  # uint8 (size, size, C) and the true class, where it is known


def read_pictures(engine: Engine, samples: Sequence[Sample], most: int, title: str) -> Iterator[Picture]:
    """At most `most` of `samples` as `engine` takes them, without those that cannot be read.

    They come from all over the list, which is in the order of the classes.
    """
    chosen = np.linspace(0, len(samples) - 1, min(len(samples), most))
    reader = Classifier(engine)
    with Progress(title, len(chosen), "picture") as progress:
        for i in chosen:
            sample = samples[int(i)]
            try:
                pixels = reader.pixels(sample.path)
            except UserError:  # reported when the run was trained
                continue
            finally:
                progress.advance()
            yield pixels, None if sample.label == UNKNOWN else sample.label


def random_pictures(preprocess: Preprocess) -> Iterator[Picture]:
    """Noise around random colours: pictures from all over the range of values."""
    rng = np.random.default_rng(0)
    for _ in range(RANDOM_PICTURES):
        shape = (preprocess.size, preprocess.size, preprocess.channels)
        middle = rng.uniform(0, 255, preprocess.channels)
        yield rng.normal(middle, 50, shape).clip(0, 255).astype(np.uint8), None
