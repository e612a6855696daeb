"""Between which two values a tensor is rounded to 256 steps: those that lose least on the calibration photographs.

Between its extremes a tensor with a few outliers has coarse steps everywhere else. The two ends are drawn in, each by
itself, to where the mean squared error of the rounded and clipped values is least.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from math import inf

import numpy as np
from numpy.typing import NDArray

from mobilenets.runtime.base import Pixels

Range = tuple[float, float]
Tensor = NDArray[np.float32]

# What an activation cannot tell apart: x · relu6(x + 3) / 6 is 0 below -3, relu6(x + 3) / 6 also 1 above 3.
HARD_SWISH: Range = (-3.0, inf)
HARD_SIGMOID: Range = (-3.0, 3.0)

STEPS = 255
SAMPLES = 500  # values of a tensor that are kept of each photograph
BINS = 8 * STEPS
DRAWN_IN = np.linspace(0.3, 1, 15)  # fractions of an extreme


class Ranges:
    """Gathers what the tensors of a network become, photograph by photograph; their order does not matter.

    `effective_ranges`: between which values the reader of a tensor tells them apart, where it does not everywhere.
    """

    def __init__(self, effective_ranges: Mapping[str, Range]) -> None:
        self._effective_ranges = effective_ranges
        self._extremes: dict[str, Range] = {}
        self._samples: dict[str, list[Tensor]] = {}

    def add(self, image: Pixels, tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Take in the values, of any shape, that the tensors had on `image`."""
        rng = np.random.default_rng(zlib.crc32(image.tobytes()))
        for name, tensor in tensors:
            low, high = self._extremes.get(name, (0.0, 0.0))  # zero, which pads, has to stay zero
            self._extremes[name] = min(low, float(tensor.min())), max(high, float(tensor.max()))
            values = tensor.ravel()
            some = values if len(values) <= SAMPLES else values[rng.integers(0, len(values), SAMPLES)]
            self._samples.setdefault(name, []).append(some)

    def best(self) -> dict[str, Range]:
        """The range of every tensor: low ≤ 0 ≤ high."""
        return {name: self._best(name) for name in self._extremes}

    def _best(self, name: str) -> Range:
        low, high = self._extremes[name]
        begin, end = self._effective_ranges.get(name, (-inf, inf))
        return min_error_range(np.concatenate(self._samples[name]), max(low, begin), min(high, end))


def min_error_range(values: Tensor, low: float, high: float) -> Range:
    """The range within `low` ≤ 0 ≤ `high` that loses least; what lies beyond those two is no loss."""
    if low == high:
        return low, high
    counts, edges = np.histogram(values.clip(low, high), BINS, (low, high))
    x = ((edges[:-1] + edges[1:]) / 2)[counts > 0]
    weights = counts[counts > 0]
    lows, highs = low * (DRAWN_IN if low < 0 else DRAWN_IN[-1:]), high * (DRAWN_IN if high > 0 else DRAWN_IN[-1:])
    a, b = (ends[..., None] for ends in np.meshgrid(lows, highs, indexing="ij"))  # (lows, highs, 1)
    step = (b - a) / STEPS
    zero = np.round(-a / step)
    rounded = (np.round(x / step).clip(-zero, STEPS - zero)) * step  # (lows, highs, values)
    loss = (np.square(rounded - x) * weights).sum(-1)
    i, j = np.unravel_index(loss.argmin(), loss.shape)
    return float(lows[i]), float(highs[j])
