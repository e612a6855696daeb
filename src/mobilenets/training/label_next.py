"""Which photos are worth a label: typical ones while there are few labels, then those that the network is unsure of.

Opposite rules for few and for many labels (Hacohen et al. 2022, 2202.02794): what a network is unsure of tells it
little before it knows what is usual.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from mobilenets.features.neighbours import Features, Indices, nearest

TYPICAL_LABELS = 20  # a class: until there are so many labels, typical photos come first
_NEIGHBOURS = 20  # whose mean distance says how typical a photo is
# Least sure photos for each cluster, of which the least sure one stays; clusters for each photo that is wanted: among
# these the classes that they are taken for have turns.
_CANDIDATES, _CLUSTERS = 3, 3
_MAX_CLUSTERS = 500  # or as many as are wanted: more take long to find


def typical(rows: Features, labelled: Features, count: int, seed: int = 0) -> Indices:
    """`count` of `rows` float32 (N, D), best first: the most typical of each of the largest clusters without a label.

    `labelled`: features (M, D) of the photos that have a label.
    """
    everything = np.concatenate([rows, labelled])
    clusters = min(len(labelled) + count, len(everything))
    cluster = KMeans(clusters, n_init=1, random_state=seed).fit_predict(everything)
    sizes = np.bincount(cluster, minlength=clusters)
    sizes[np.unique(cluster[len(rows) :])] = 0
    chosen = []
    for k in np.argsort(-sizes, kind="stable")[:count]:
        if sizes[k]:
            own = np.flatnonzero(cluster == k)
            chosen.append(own[nearest(rows[own], rows[own], _NEIGHBOURS).distances.mean(1).argmin()])
    return np.array(chosen, np.int64)


def unsure(rows: Features, probabilities: NDArray[np.floating], count: int, seed: int = 0) -> Indices:
    """`count` of `rows` float32 (N, D), best first: least sure ones (smallest margin), unlike, in turns of the classes.

    `probabilities`: (N, K) of the network that has learned from the labels so far. Without the turns nearly all may be
    taken for one class, and the next labels move the boundary to one side.
    """
    two = np.sort(probabilities, axis=1)[:, -2:]
    clusters = max(count, min(_CLUSTERS * count, _MAX_CLUSTERS))
    candidates = np.argsort(two[:, 1] - two[:, 0], kind="stable")[: _CANDIDATES * clusters]
    if len(candidates) > clusters:
        cluster = KMeans(clusters, n_init=1, random_state=seed).fit_predict(rows[candidates])
        _, first = np.unique(cluster, return_index=True)
        candidates = candidates[np.sort(first)]
    taken_for = probabilities[candidates].argmax(1)
    turn = np.empty(len(candidates), np.int64)
    for k in np.unique(taken_for):
        turn[taken_for == k] = np.arange((taken_for == k).sum())
    result: Indices = candidates[np.argsort(turn, kind="stable")[:count]]
    return result
