"""The same picture twice: exactly, or nearly so.

Pictures that look alike by nature (solar cells: one frame, the same bus bars) fool a plain perceptual hash. Here the
data set itself says what is common: bits are set against its medians, and thumbnails are compared after the part that
many pictures share is taken out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenets.auditing.kinds import LIMITS
from mobilenets.auditing.measure import THUMB, Appearance
from mobilenets.auditing.quality import blank_limit

BITS = 64
_MAX_COMMON = 64  # directions of thumbnails that count as what the data set has in common…
_IMAGES_PER_DIRECTION = 20  # …where there are pictures enough to tell them from a picture's own
_ROWS = 2048  # of the matrix of all pairs, at a time: 80 MB at 10,000 pictures


@dataclass(frozen=True)
class Pair:
    """Two pictures (indices, first < second) that show the same, and how alike they are (1: identical)."""

    first: int
    second: int
    score: float
    exact: bool


def find_pairs(images: Sequence[Appearance], features: NDArray[np.float32] | None = None) -> list[Pair]:
    """Every pair of duplicates; identical ones are linked to the first of their kind.

    With `features` (n, D) of a network a near duplicate must also be alike in them.
    """
    first_of: dict[bytes, int] = {}
    pairs = []
    for i, image in enumerate(images):
        first = first_of.setdefault(image.digest, i)
        if first != i:
            pairs.append(Pair(first, i, 1.0, True))
    blank = blank_limit(images)
    ones = [i for i in first_of.values() if images[i].spread >= blank]
    if len(ones) < 2:
        return pairs
    thumbs = _normal(np.stack([images[i].thumb for i in ones]).reshape(len(ones), -1).astype(np.float32))
    own: NDArray[np.float32] | None = None  # half a second, for nothing where no two hashes are alike
    rows = None if features is None else _unit(features[ones])
    for a, b in _candidates(hash_bits(thumbs)):
        own = _own_structure(thumbs) if own is None else own
        alike = (own[a] * own[b]).sum(1)
        keep = alike >= LIMITS.same_structure
        if rows is not None:
            keep &= (rows[a] * rows[b]).sum(1) >= LIMITS.same_features
        scores = np.minimum(alike[keep], 0.9999)  # 1 means the very same pixels
        pairs += [
            Pair(min(ones[i], ones[j]), max(ones[i], ones[j]), float(score), False)
            for i, j, score in zip(a[keep], b[keep], scores, strict=True)
        ]
    return sorted(pairs, key=lambda p: (p.first, p.second))


def hash_bits(thumbs: NDArray[np.float32]) -> NDArray[np.bool_]:
    """A perceptual hash (n, 64) of normalised thumbnails (n, 32·32): the lowest coefficients of a cosine transform.

    As pHash (Zauner 2010), but each bit says whether a coefficient is above its median over the data set, so that
    it is set for half of the pictures, however alike they are.
    """
    n = np.arange(THUMB)
    lowest = sorted(((i, j) for i in range(12) for j in range(12) if i + j), key=lambda at: (sum(at), at))[:BITS]
    waves = np.cos(np.pi * np.outer(n[:12], 2 * n + 1) / (2 * THUMB)).astype(np.float32)
    both = np.stack([np.outer(waves[i], waves[j]).ravel() for i, j in lowest])
    coefficients = _unit(thumbs @ both.T)
    result: NDArray[np.bool_] = coefficients > np.median(coefficients, axis=0)
    return result


def _candidates(bits: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Index pairs whose hashes differ in at most `LIMITS.hash_bits`, none missed.

    All pairs, as a matrix product of ±1 in blocks: quadratic, but without a loop over pairs. An index would have to
    look into most of its buckets at this distance.
    """
    signs = np.where(bits, 1, -1).astype(np.float32)
    min_product = BITS - 2 * LIMITS.hash_bits
    for start in range(0, len(signs), _ROWS):
        i, j = np.nonzero(signs[start : start + _ROWS] @ signs[start:].T >= min_product)
        i, j = i[i < j] + start, j[i < j] + start
        for part in range(0, len(i), 100_000):  # what follows holds two thumbnails for every pair
            yield i[part : part + 100_000], j[part : part + 100_000]


def _own_structure(thumbs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors of what each thumbnail has beside the mean and the main directions of them all."""
    common = min(_MAX_COMMON, len(thumbs) // _IMAGES_PER_DIRECTION)
    rest = thumbs - thumbs.mean(0) if common else thumbs
    if common:
        _, directions = np.linalg.eigh(rest.T @ rest)  # ascending
        main = directions[:, -common:]
        rest = rest - (rest @ main) @ main.T
    return _unit(rest)


def _normal(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without brightness and contrast."""
    return _unit(rows - rows.mean(1, keepdims=True))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6)
    return result


def groups_of(n: int, links: Iterable[tuple[int, int]], tags: Sequence[Hashable | None] = ()) -> list[list[int]]:
    """Indices 0…n-1 in groups (two or more, sorted) that links, or equal tags other than None, join."""
    root = list(range(n))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    first_with: dict[Hashable, int] = {}
    joined = [(first_with.setdefault(tag, i), i) for i, tag in enumerate(tags) if tag is not None]
    for i, j in (*links, *joined):
        a, b = find(i), find(j)
        root[max(a, b)] = min(a, b)
    members = defaultdict(list)
    for i in range(n):
        members[find(i)].append(i)
    return [group for group in members.values() if len(group) > 1]
