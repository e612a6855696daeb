"""How far from square the photographs of a data set are, and how much of them a centre crop hides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mobilenets.data.samples import Samples
from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess, decode

MAX_MEASURED = 500  # photographs, from all over the list; of each only the header is read

# Long side by short side beyond which photographs count as wide or tall: 3:2. Cameras of that format store 4288×2848
# and 4928×3264, which is a little more and not meant.
MAX_ASPECT = 1.5 * 1.02


@dataclass(frozen=True)
class Shapes:
    """`width`, `height`: of the middle photograph by its long side over its short one, as stored.

    `elongated`: whether the middle half of the photographs, and so at least three quarters of them, are wider than 3:2
    or taller than 2:3. `hidden`: which fraction (0..1) of the middle photograph's area the centre crop does not show.
    """

    width: int
    height: int
    elongated: bool
    hidden: float

    def describe(self) -> str:
        """What a centre crop does, in words."""
        return f"a centre crop hides {100 * self.hidden:.0f} % of the middle photo ({self.width}×{self.height})"


def shapes(sizes: Sequence[tuple[int, int]], preprocess: Preprocess) -> Shapes | None:
    """What `preprocess` with fit "crop" would hide of photographs of these (width, height); None if there are none."""
    if not sizes:
        return None
    aspects = np.array([max(size) / min(size) for size in sizes])
    order = np.argsort(aspects, kind="stable")
    width, height = sizes[order[len(order) // 2]]
    left, top, right, bottom = replace(preprocess, fit="crop").seen(width, height)
    hidden = 1 - (right - left) * (bottom - top) / (width * height)
    return Shapes(width, height, bool(aspects[order[len(order) // 4]] > MAX_ASPECT), hidden)


def stored_sizes(samples: Samples) -> list[tuple[int, int]]:
    """Width and height, as stored, of the photographs whose header can be read; of many only some, from all over."""
    found = []
    for sample in samples.spread(MAX_MEASURED):
        try:
            found.append(decode.header(sample.open())[1:])
        except UserError:  # told where it is to be decoded
            continue
    return found
