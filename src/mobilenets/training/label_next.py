"""Which photos are worth a label: typical ones while there are few labels, then those that the network is unsure of.

Opposite rules for few and for many labels (Hacohen et al. 2022, 2202.02794): what a network is unsure of tells it
little before it knows what is usual.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from mobilenets.features.neighbours import Features, Indices, nearest

TYPICAL_LABELS = 20  # a class: until there are so many labels, typical photos come first
_NEIGHBOURS = 20  # whose mean distance says how typical a photo is
_CANDIDATES = 3  # times as many as are wanted: of each kind among the least sure the least sure one


def typical(rows: Features, labelled: Features, count: int, seed: int = 0) -> Indices:
    """`count` of `rows` float32 (N, D), best first: the most typical of each of the largest clusters without a label.

    `labelled`: features (M, D) of the photos that have a label.
    """
    everything = np.concatenate([rows, labelled])
    clusters = min(len(labelled) + count, len(everything))
    cluster = _clusters(everything, clusters, seed)
    sizes = np.bincount(cluster, minlength=clusters)
    sizes[np.unique(cluster[len(rows) :])] = 0
    chosen = []
    for k in np.argsort(-sizes, kind="stable")[:count]:
        if sizes[k]:
            own = np.flatnonzero(cluster == k)
            chosen.append(own[nearest(rows[own], rows[own], _NEIGHBOURS).distances.mean(1).argmin()])
    return np.array(chosen, np.int64)


def unsure(rows: Features, probabilities: NDArray[np.floating], count: int, seed: int = 0) -> Indices:
    """`count` of `rows` float32 (N, D), best first: of the least sure ones (smallest margin) those that are unlike.

    `probabilities`: (N, K) of the network that has learned from the labels so far.
    """
    two = np.sort(probabilities, axis=1)[:, -2:]
    candidates = np.argsort(two[:, 1] - two[:, 0], kind="stable")[: _CANDIDATES * count]
    if len(candidates) <= count:
        return candidates
    cluster = _clusters(rows[candidates], count, seed)
    _, first = np.unique(cluster, return_index=True)
    result: Indices = candidates[np.sort(first)]
    return result


def _clusters(rows: Features, count: int, seed: int) -> Indices:
    """Of each of `rows` the number of its cluster; where some are the same there may be fewer than `count`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # says so
        found: Indices = KMeans(count, n_init=1, random_state=seed).fit_predict(rows)
    return found
