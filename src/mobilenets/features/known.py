"""How known a photograph is: which fraction of known ones is as unlike the training photographs as it is, or more.

A conformal p-value (Vovk et al. 2005): of photographs like those that were held out, at most the fraction α has a
value of α or less, whatever the network, the data and the distance are. So `accept` 0.95 takes 95 % of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenets.features.neighbours import Features, Indices

ACCEPT = 0.95  # of the known photographs, where nothing else is asked for
MAX_DISTANCES = 4096  # kept of held-out photographs: the fraction is known to a four-thousandth then


@dataclass(frozen=True)
class Known:
    """`distances` float32 (M,), ascending, of held-out photographs; `values` float32 (M + 1,), descending: the value of
    a photograph not farther than each, and last of one that is farther than all.

    Examples
    --------
    >>> known = Known.of(np.array([0.1, 0.2, 0.3], np.float32))
    >>> known.of_distances(np.array([0.05, 0.2, 0.9])).tolist()
    [1.0, 0.75, 0.25]
    >>> known.farthest(0.95) is None, round(known.farthest(0.75), 2)  # too few photographs tell one in twenty
    (True, 0.3)
    """

    distances: Features
    values: Features

    @classmethod
    def of(cls, distances: NDArray[np.floating], groups: Indices | None = None) -> Known:
        """From the distances (M,) of held-out photographs; all of one group together count as one photograph."""
        groups = np.arange(len(distances)) if groups is None else groups
        _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        order = np.argsort(distances, kind="stable")
        weights = (1 / sizes[number])[order] if len(order) else np.zeros(0)
        farther = np.append(np.cumsum(weights[::-1])[::-1], 0)  # the weight of each and of all behind it
        values = ((1 + farther) / (1 + len(sizes))).astype(np.float32).clip(0, 1)
        kept = order
        if len(order):
            kept = np.unique(np.linspace(0, len(order) - 1, MAX_DISTANCES).round().astype(np.int64))
        return cls(distances[order][kept].astype(np.float32), values[np.append(kept, len(order))])

    def of_distances(self, distances: NDArray[np.floating]) -> Features:
        """The value, above 0 and up to 1, of photographs at these distances (N,) from their nearest neighbours."""
        result: Features = self.values[self.distances.searchsorted(distances)]
        return result

    def farthest(self, accept: float) -> float | None:
        """The distance beyond which a photograph is no longer taken for known; None: none is refused."""
        refused = np.flatnonzero([not is_accepted(float(value), accept) for value in self.values])
        if len(refused) == 0:
            return None
        return float(self.distances[refused[0] - 1]) if refused[0] else 0.0


def is_accepted(known: float, accept: float) -> bool:
    """Whether a photograph counts as known where the fraction `accept` of the known ones is to."""
    return known > 1 - accept + 1e-6  # a twentieth is no more than 1 - 0.95, however both are rounded
