"""Labels that a classifier contradicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Doubt:
    """A label that a classifier which never saw the picture contradicts; `suggested` is a class number.

    `score`: 1 minus the probability of the given class.
    """

    index: int
    suggested: int
    score: float


# features (N, D), labels (N,), groups (N,) that must stay on one side of a fold -> doubts.
# Raises UserError where the data cannot be judged.
Doubter = Callable[[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]], Sequence[Doubt]]
