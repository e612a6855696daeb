"""Nearest rows by cosine: one matrix product, which needs no index library below some hundred thousand rows."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Indices = NDArray[np.int64]

_BLOCK = 256  # queries at a time: their similarities to 20,000 rows take 20 MB


class Neighbours(NamedTuple):
    """Of every query its nearest rows, the nearest first.

    `distances` float32 (N, k): 1 minus the cosine, 0 for the same direction, 2 for the opposite one. `rows` int64
    (N, k).
    """

    distances: Features
    rows: Indices


def unit(features: NDArray[np.floating]) -> Features:
    """Rows divided by their lengths, float32; a row of zeros stays one."""
    rows = np.asarray(features, np.float32)
    result: Features = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return result


def roots(features: NDArray[np.floating]) -> Features:
    """Square roots of the features with their signs, rows of length 1, float32: what neighbours are found among.

    A few large features then count for less and many small ones for more: the cosine of two rows is the Bhattacharyya
    coefficient of what they are made of. On solar cells and trashnet it told unknown photographs from known ones
    better than the cosine of the features themselves (`benchmarks/unknown.py`).
    """
    if features.dtype == np.float16:
        rows = _half_roots()[features.view(np.uint16)]
    else:
        rows = signed_roots(np.asarray(features, np.float32))
    rows /= np.maximum(np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None], 1e-12)
    return rows


def signed_roots(values: Features) -> Features:
    """Square roots of numbers, with their signs."""
    roots: Features = np.abs(values)
    np.sqrt(roots, out=roots)
    np.copysign(roots, values, out=roots)
    return roots


def widened(features: NDArray[np.float16]) -> Features:
    """float16 as float32, looked up: numpy's own conversion takes ten times as long."""
    return _halves()[features.view(np.uint16)]


@cache
def _halves() -> Features:
    """Every number that 16 bits can be."""
    with np.errstate(invalid="ignore"):  # of those that are no numbers
        return np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)


@cache
def _half_roots() -> Features:
    """Their roots."""
    with np.errstate(invalid="ignore"):
        return signed_roots(_halves())


def nearest(
    queries: Features,
    rows: Features,
    k: int,
    query_groups: Indices | None = None,
    row_groups: Indices | None = None,
) -> Neighbours:
    """The `k` (or all, where there are fewer) nearest of `rows` for every query; of equals the first.

    Parameters
    ----------
    queries, rows
        Of length 1, float32 (N, D) and (M, D).
    k
        How many; at most M are given.
    query_groups, row_groups
        Numbers int64 (N,) and (M,): a row is no neighbour of a query with the same number. Where none is left the
        distance is infinite.

    Returns
    -------
    Neighbours
        Distances and rows.
    """
    k = min(k, len(rows))
    distances, found = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), _BLOCK):
        part = slice(start, start + _BLOCK)
        near = 1 - (rows @ queries[part].T).T  # in this order a few queries take half the time
        if query_groups is not None and row_groups is not None:
            near[query_groups[part, None] == row_groups[None]] = np.inf
        each = np.arange(len(near))[:, None]
        if k == 1:
            found[part] = near.argmin(1)[:, None]
        elif k < len(rows):
            some = near.argpartition(k - 1, axis=1)[:, :k]
            some.sort(axis=1)
            found[part] = some[each, near[each, some].argsort(axis=1, kind="stable")]
        else:
            found[part] = near.argsort(axis=1, kind="stable")
        distances[part] = near[each, found[part]]
    np.maximum(distances, 0, out=distances)  # rounding may leave the cosine of a row with itself above 1
    np.minimum(distances, 2, out=distances, where=np.isfinite(distances))
    return Neighbours(distances, found)
