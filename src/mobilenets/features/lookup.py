"""The rows nearest to a few queries, without reading all of each row: what bounds a cosine says which are too far.

Of a row x and a query q let x₁ and q₁ be the parts along a few directions, |x₂| and |q₂| the lengths of the rest. Then
q·x ≤ q₁·x₁ + |q₂||x₂| (Cauchy and Schwarz): rows with a bound below the k-th best cosine so far are none of the k
nearest. Whatever the directions are the right rows are found; the main ones leave the fewest to be read.
"""

from __future__ import annotations

import math

import numpy as np

from mobilenets.features.neighbours import Features, Indices, Neighbours, nearest

MIN_ROWS = 500  # of fewer the product takes no longer than all this
PAYS_AFTER = 100  # queries, which save about what finding the directions takes
FEW = 4  # queries at a time: of more the product is as fast
_DIRECTIONS = 96  # leave 1 % of 1,900 solar cells and 5 % of trashnet; 32 leave 3 and 39 %
_SAMPLE = 2_000  # rows that the directions are found from
_MAX_LEFT = 0.25  # of the rows: where bounds leave more, the product is as fast
_ROUNDING = 1e-5  # more than it takes from the square of a length, or from a cosine


class Lookup:
    """Rows of length 1 or 0, float32 (M, D), that queries are looked up among.

    A few queries at a time get the same distances to the bit, whether bounds are known already or not.
    """

    def __init__(self, rows: Features) -> None:
        self.rows = rows
        self._asked = 0
        self._bounds: Bounds | None = None

    def nearest(self, queries: Features, k: int) -> Neighbours:
        """As `neighbours.nearest` of these rows, but for the rounding of distances."""
        if len(queries) > FEW:
            return nearest(queries, self.rows, k)
        self._asked += len(queries)
        if self._bounds is None and self._asked > PAYS_AFTER and len(self.rows) >= MIN_ROWS:
            self._bounds = Bounds(self.rows)
        k = min(k, len(self.rows))
        found = Neighbours(np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64))
        for i, query in enumerate(queries):
            some = self._not_too_far(query, k)
            distances = 1 - self._cosines(some, query)
            order = distances.argsort(kind="stable")[:k]
            found.distances[i], found.rows[i] = distances[order], some[order]
        found.distances.clip(0, 2, out=found.distances)  # as of all rows
        return found

    def _not_too_far(self, query: Features, k: int) -> Indices:
        """Rows, ascending, among which the `k` nearest are."""
        if self._bounds is not None:
            some = self._above(self._bounds.of(query), query, k)
            if len(some) <= _MAX_LEFT * len(self.rows):
                return some
        return self._above(self.rows @ query, query, k)

    def _above(self, bounds: Features, query: Features, k: int) -> Indices:
        """Rows with bounds that the `k`-th best of some cosines does not exceed."""
        best = self._cosines(bounds.argpartition(-k)[-k:], query).min()
        some: Indices = (~(bounds < best - _ROUNDING)).nonzero()[0]  # all of them, where there are no numbers
        return some

    def _cosines(self, some: Indices, query: Features) -> Features:
        """Of each row the same wherever it stands, which a product of matrices does not promise."""
        result: Features = np.einsum("ij,j->i", self.rows[some], query)
        return result


class Bounds:
    """What cosines of `rows`, as of `Lookup`, do not exceed."""

    def __init__(self, rows: Features) -> None:
        self._directions = main_directions(rows[:: -(-len(rows) // _SAMPLE)], _DIRECTIONS)
        parts = rows @ self._directions.T
        rest = np.sqrt(np.maximum(1 - np.einsum("ij,ij->i", parts, parts), 0) + _ROUNDING)  # rather too long
        self._parts = np.concatenate([parts, rest[:, None]], axis=1)

    def of(self, query: Features) -> Features:
        """Of the cosines of a query (D,) and each row, float32 (M,), but for `_ROUNDING`."""
        part = np.append(self._directions @ query, np.float32(0))
        part[-1] = math.sqrt(max(0.0, 1 - float(part @ part)) + _ROUNDING)
        result: Features = self._parts @ part
        return result


def main_directions(rows: Features, count: int) -> Features:
    """About the `count` main directions of rows (N, D), orthonormal float32 (count, D), by subspace iteration."""
    directions = np.random.default_rng(0).normal(size=(rows.shape[1], count)).astype(np.float32)
    for _ in range(3):
        directions = np.linalg.qr(rows.T @ (rows @ directions))[0]
    return np.ascontiguousarray(directions.T)
