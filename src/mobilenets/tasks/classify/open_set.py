"""How well a model tells photographs of its own kind from others: figures of `evaluate --unknown`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobilenets.tasks.classify.metrics import auroc

FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]


class Answered(NamedTuple):
    """Photographs: their `distances` (N,) from those of the training, whether each is `accepted` as known, and the
    `probabilities` (N,) of their best classes, which is what one would go by otherwise.
    """

    distances: FloatArray
    accepted: BoolArray
    probabilities: FloatArray


def score_open_set(known: Answered, other: Answered, right: BoolArray) -> dict[str, Any]:
    """Figures of photographs of known classes, of which `right` (N,) says whether the class is right, and of others.

    Returns
    -------
    dict
        `n` others, of which the fraction `accepted` is taken for known; `known_accepted`: of the known ones, and
        `accuracy_accepted` among those (None of none). `auroc`: of one of each, how often the other is farther;
        `auroc_probability`: how often it is less probable.

    Examples
    --------
    >>> near = Answered(np.array([0.1, 0.2]), np.array([True, True]), np.array([0.9, 0.85]))
    >>> far = Answered(np.array([0.6]), np.array([False]), np.array([0.8]))
    >>> figures = score_open_set(near, far, np.array([True, False]))
    >>> [figures[name] for name in ("auroc", "accepted", "accuracy_accepted", "auroc_probability")]
    [1.0, 0.0, 0.5, 1.0]
    """
    is_other = np.repeat([0, 1], [len(known.accepted), len(other.accepted)])
    return {
        "n": len(other.accepted),
        "auroc": auroc(np.concatenate([known.distances, other.distances]), is_other),
        "accepted": float(other.accepted.mean()),
        "known_accepted": float(known.accepted.mean()),
        "accuracy_accepted": float(right[known.accepted].mean()) if known.accepted.any() else None,
        "auroc_probability": auroc(-np.concatenate([known.probabilities, other.probabilities]), is_other),
    }
