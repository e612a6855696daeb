"""Which photographs of a large data set are kept: those that cover each class, as the core-sets of k-centre do."""

from __future__ import annotations

import numpy as np

from mobilenets.features.neighbours import Features, Indices


def choose_covering(features: Features, labels: Indices, per_class: int) -> Indices:
    """Rows int64, ascending, with at most `per_class` of every label.

    Of each class first the one nearest to its mean, then always the one farthest from all that were chosen (Gonzalez
    1985): no photograph of the class is then farther from a chosen one than twice what is possible. The same rows
    for the same features, in every run.

    Parameters
    ----------
    features
        Of length 1, float32 (N, D).
    labels
        int64 (N,).
    per_class
        1 or more.

    Examples
    --------
    >>> rows = np.array([[1, 0], [1, 0.01], [0, 1], [-1, 0]], np.float32)
    >>> choose_covering(rows, np.zeros(4, np.int64), 3).tolist()
    [1, 2, 3]
    """
    chosen = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        chosen.append(own if len(own) <= per_class else own[_spread(features[own], per_class)])
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


def _spread(rows: Features, count: int) -> Indices:
    """`count` of the rows, each the farthest from those before it."""
    chosen = np.empty(count, np.int64)
    chosen[0] = (rows @ rows.mean(0)).argmax()
    nearness = rows @ rows[chosen[0]]  # of every row to the nearest chosen one
    for i in range(1, count):
        chosen[i] = nearness.argmin()
        np.maximum(nearness, rows @ rows[chosen[i]], out=nearness)
        nearness[chosen[: i + 1]] = np.inf  # among copies none is chosen twice
    return chosen
