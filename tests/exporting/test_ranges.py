"""Ranges of activations: what is lost by rounding is least, zero stays zero, photographs come in any order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.exporting.int8.ranges import HARD_SIGMOID, HARD_SWISH, STEPS, Ranges, min_error_range

RNG = np.random.default_rng(0)


def rounded(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """To 256 steps from about `low` to about `high`, of which one is 0."""
    step = (high - low) / STEPS
    zero = round(-low / step)
    return (np.clip(np.round(values / step) + zero, 0, STEPS) - zero) * step


def loss(values: np.ndarray, low: float, high: float) -> float:
    return float(np.square(rounded(values, low, high) - values).mean())


def photographs(count: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, 4, 4, 3), np.uint8)


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 3), st.floats(-1, 1))
def test_no_more_is_lost_than_between_the_extremes(seed: int, tail: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    values = (np.abs(rng.normal(0, 1, 3000)) ** tail * rng.choice([-1, 1], 3000) + shift).astype(np.float32)
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    a, b = min_error_range(values, low, high)
    assert low <= a <= 0 <= b <= high
    assert loss(values, a, b) <= 1.05 * loss(values, low, high)  # 1.05: the values are counted in bins


def test_one_outlier_among_a_million_values_is_given_up() -> None:
    values = RNG.uniform(0, 1, 1_000_000).astype(np.float32)
    values[0] = 3.0
    assert min_error_range(values, 0.0, 3.0)[1] <= 1.5
    assert loss(values, *min_error_range(values, 0.0, 3.0)) < loss(values, 0.0, 3.0) / 2


def test_evenly_spread_values_keep_their_extremes() -> None:
    values = RNG.uniform(-2, 5, 100_000).astype(np.float32)
    assert min_error_range(values, float(values.min()), float(values.max())) == (values.min(), values.max())


def test_a_tensor_of_zeros_has_the_range_of_zero() -> None:
    ranges = Ranges({})
    ranges.add(photographs(1)[0], [("dead", np.zeros((1, 8, 2, 2), np.float32))])
    assert ranges.best() == {"dead": (0.0, 0.0)}


@pytest.mark.parametrize("reach", [HARD_SWISH, HARD_SIGMOID])
def test_what_the_activation_cannot_tell_apart_gets_no_steps(reach: tuple[float, float]) -> None:
    values = RNG.uniform(-40, 6, 5000).astype(np.float32)
    ranges = Ranges({"before": reach})
    ranges.add(photographs(1)[0], [("before", values), ("other", values)])
    (low, high), other = ranges.best()["before"], ranges.best()["other"]
    assert low == reach[0]
    assert high == pytest.approx(min(reach[1], 6), rel=0.01)
    assert other[0] < -39


def test_the_order_of_the_photographs_does_not_matter() -> None:
    pictures = photographs(20)
    values = [RNG.normal(0, 1 + i, 900).astype(np.float32) for i in range(20)]
    forth, back = Ranges({}), Ranges({})
    for i in range(20):
        forth.add(pictures[i], [("x", values[i])])
        back.add(pictures[-1 - i], [("x", values[-1 - i])])
    assert forth.best() == back.best()
