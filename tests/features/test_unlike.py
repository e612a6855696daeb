"""How unlike a photo is: the spread of means, and the levels of what known photos have."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from mobilenets.features.images import ImageFeatures
from mobilenets.features.neighbours import signed_roots
from mobilenets.features.unlike import Reference, Spread, known_measures, levels_of

WIDTH = 24


def correlated(n: int, seed: int) -> np.ndarray:
    """Means of n photos, in few directions, some below 0."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 1, (n, 4)) @ np.random.default_rng(9).normal(0, 1, (4, WIDTH)) + rng.normal(0, 0.1, (n, WIDTH))
    return rows.astype(np.float32)


def photos(n: int, seed: int, groups: np.ndarray | None = None) -> ImageFeatures:
    vectors = np.random.default_rng(seed).random((n, 8)) + 1
    return ImageFeatures.of(vectors, np.zeros(n, np.int64), [str(i) for i in range(n)], groups, correlated(n, seed))


@pytest.mark.parametrize("count", [10, 100])  # fewer than channels, and more
def test_the_distance_is_mahalanobis_with_the_covariance_of_ledoit_and_wolf(count: int) -> None:
    learned, asked = correlated(count, 0), correlated(50, 1)
    reference = LedoitWolf().fit(signed_roots(learned).astype(np.float64))
    expected = np.sqrt(reference.mahalanobis(signed_roots(asked).astype(np.float64)))
    np.testing.assert_allclose(Spread.of(learned).distances(asked), expected, rtol=1e-3)


def test_a_single_photo_has_a_spread_of_numbers() -> None:
    assert np.isfinite(Spread.of(correlated(1, 0)).distances(correlated(5, 1))).all()


def test_the_nearest_by_angle_is_compared_by_length_too() -> None:
    train = photos(20, 0)
    longer = ImageFeatures.of(4 * train.vectors, train.labels, train.paths, means=train.means)
    measures = known_measures(train, longer, Reference.of(train, Spread.of(train.means)), own=False)
    lengths = np.sqrt(np.abs(train.vectors).sum(1))  # of the roots; those of four times as much are twice as long
    np.testing.assert_allclose(measures[:5, 0], lengths[:5], rtol=0.1)


def test_training_photos_are_held_out_with_their_group_of_the_spread_that_they_are_measured_by() -> None:
    pairs = photos(60, 0, np.arange(60) // 2)
    spread = Spread.of(pairs.means)
    own = known_measures(pairs, photos(5, 1), Reference.of(pairs, spread), own=True)[5:, 1]
    assert own.mean() > 1.05 * spread.distances(pairs.embeddings.means).mean()
    alone = photos(3, 0, np.zeros(3, np.int64))
    assert np.isinf(known_measures(alone, photos(5, 1), Reference.of(alone, spread), own=True)[5:]).all()


def test_few_known_photos_are_above_each_level() -> None:
    measures = np.random.default_rng(0).random((1000, 2)).astype(np.float32)
    levels = levels_of(measures)
    assert (measures > levels).mean(0) == pytest.approx([0.05, 0.01], abs=0.002)
    assert levels_of(measures[:0]).tolist() == [1, 1]
    assert (levels_of(0 * measures) > 0).all()
