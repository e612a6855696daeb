"""How sure a figure is: it is computed again from photos drawn anew, with replacement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 200  # an interval's ends are good to about a tenth of its width

Floats = NDArray[np.floating[Any]]


def draw_weights(count: int) -> NDArray[np.float64]:
    """How often each of `count` photos is drawn, float64 (DRAWS, count), the same every time; rows sum to `count`."""
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), DRAWS)
    return drawn.astype(np.float64)


def interval95(drawn: Sequence[float] | Floats) -> list[float]:
    """Between which two values 95 % of the `drawn` figures lie.

    Examples
    --------
    >>> interval95(np.arange(101) / 100)
    [0.025, 0.975]
    """
    low, high = np.quantile(drawn, (0.025, 0.975))
    return [float(low), float(high)]


def mean_of_known(values: Any) -> float:
    """The mean of those `values` that are numbers; 0 where none is.

    Examples
    --------
    >>> mean_of_known([0.5, np.nan, 1.0]), mean_of_known([])
    (0.75, 0.0)
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else 0.0
