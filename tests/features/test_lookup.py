"""A few photos at a time are looked up by bounds of their cosines: what is found is what comparing with all finds."""

import numpy as np
import pytest

from mobilenets.features.lookup import FEW, MIN_ROWS, PAYS_AFTER, Lookup
from mobilenets.features.neighbours import nearest, unit

WIDTH, ROUNDING = 192, 1e-6
Rows = np.ndarray


def spread(rng: np.random.Generator, count: int) -> Rows:
    """In all directions alike, where bounds tell nothing."""
    return rng.normal(size=(count, WIDTH))


def clustered(rng: np.random.Generator, count: int) -> Rows:
    """Around a few directions, as photos of a few kinds."""
    centres = np.abs(np.random.default_rng(7).normal(size=(9, WIDTH)))
    return centres[rng.integers(9, size=count)] + rng.normal(0, 0.15, (count, WIDTH))


def flat(rng: np.random.Generator, count: int) -> Rows:
    """Of fewer dimensions than there are directions, so that almost nothing is left beside them."""
    return rng.normal(size=(count, 5)) @ np.random.default_rng(7).normal(size=(5, WIDTH))


def repeated(rng: np.random.Generator, count: int) -> Rows:
    """Each some dozens of times, and rows of zeros."""
    rows = np.concatenate([clustered(np.random.default_rng(7), 20), np.zeros((1, WIDTH))])
    return rows[rng.integers(len(rows), size=count)]


def experienced(rows: Rows) -> Lookup:
    """One that was asked often enough to know bounds."""
    lookup = Lookup(rows)
    for row in rows[: PAYS_AFTER + 1]:
        lookup.nearest(row[None], 1)
    return lookup


@pytest.mark.parametrize("kind", [spread, clustered, flat, repeated])
@pytest.mark.parametrize("k", [1, 3, 12, 2 * MIN_ROWS])
def test_it_finds_what_comparing_with_all_rows_finds(kind, k: int) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    rows = unit(kind(rng, MIN_ROWS + 77).astype(np.float32))
    queries = unit(np.concatenate([kind(rng, 60), rows[:5], -rows[:2], spread(rng, 5)]).astype(np.float32))
    lookup = experienced(rows)
    exact = 1 - queries.astype(np.float64) @ rows.T.astype(np.float64)
    for query, distances in zip(queries, exact, strict=True):
        found = lookup.nearest(query[None], k)
        plain = nearest(query[None], rows, k)
        assert found.rows.shape == plain.rows.shape
        assert np.allclose(found.distances, plain.distances, rtol=0, atol=ROUNDING)
        kth = np.sort(distances)[: found.rows.shape[1]]
        assert np.allclose(distances[found.rows[0]], kth.clip(0, 2), rtol=0, atol=ROUNDING)
        assert set(np.flatnonzero(distances < kth[-1] - ROUNDING)) <= set(found.rows[0])
        assert len(set(found.rows[0].tolist())) == found.rows.shape[1]


def test_of_equals_the_first_come_first() -> None:
    rows = np.tile(unit(clustered(np.random.default_rng(0), MIN_ROWS).astype(np.float32)), (3, 1))
    for lookup in (Lookup(rows), experienced(rows)):
        for i in (0, 1, 250, MIN_ROWS - 1):
            assert lookup.nearest(rows[i : i + 1], 2).rows[0].tolist() == [i, i + MIN_ROWS]


def test_an_answer_is_the_same_to_the_bit_before_and_after_bounds_are_known_and_beside_others() -> None:
    rng = np.random.default_rng(0)
    rows, queries = (unit(clustered(rng, n).astype(np.float32)) for n in (MIN_ROWS, 40))
    new, old = Lookup(rows), experienced(rows)
    for start in range(0, len(queries), FEW):
        part = queries[start : start + FEW]
        before, after = new.nearest(part, 3), old.nearest(part, 3)
        alone = [old.nearest(query[None], 3) for query in part]
        for one in (after, *(type(before)(*map(np.concatenate, zip(*alone, strict=True))),)):
            assert np.array_equal(before.rows, one.rows)
            assert np.array_equal(before.distances, one.distances)


def test_few_rows_and_many_queries_are_compared_as_they_are() -> None:
    rng = np.random.default_rng(0)
    rows = unit(clustered(rng, 30).astype(np.float32))
    found, plain = Lookup(rows).nearest(rows, 3), nearest(rows, rows, 3)
    assert np.array_equal(found.rows, plain.rows)
    assert np.array_equal(found.distances, plain.distances)
    assert Lookup(rows).nearest(rows[:1], 50).rows.shape == (1, 30)


def test_numbers_that_are_none_end_in_none() -> None:
    rows = unit(clustered(np.random.default_rng(0), MIN_ROWS).astype(np.float32))
    found = experienced(rows).nearest(np.full((1, WIDTH), np.nan, np.float32), 3)
    assert np.isnan(found.distances).all()
