"""Heat maps laid over pictures, in colours and in words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.explaining.overlay import describe, heat_image, overlay


def spot(row: float, column: float, side: int = 48) -> np.ndarray:
    """A heat map with one round spot, its middle in shares of the side."""
    y, x = np.mgrid[:side, :side] / side
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / 0.005).astype(np.float32)


@pytest.mark.parametrize(
    ("row", "column", "place"),
    [
        (0.1, 0.1, "upper left"), (0.1, 0.5, "upper centre"), (0.1, 0.9, "upper right"),
        (0.5, 0.1, "left"), (0.5, 0.5, "centre"), (0.5, 0.9, "right"),
        (0.9, 0.1, "lower left"), (0.9, 0.5, "lower centre"), (0.9, 0.9, "lower right"),
    ],
)  # fmt: skip
def test_words_say_where_the_heat_is(row: float, column: float, place: str) -> None:
    assert describe(spot(row, column)).endswith(f"around the {place}")


def test_a_faint_background_does_not_move_the_place_to_the_centre() -> None:
    assert describe(spot(0.1, 0.1) + 0.02).endswith("around the upper left")


def test_words_say_how_small_the_part_is() -> None:
    heat = np.zeros((10, 10), np.float32)
    heat[0, :4] = 1.0
    assert describe(heat) == "half of the heat is in 2 % of the photo, around the upper left"
    assert describe(np.ones((10, 10), np.float32)).startswith("half of the heat is in 50 %")


def test_a_map_without_heat_is_no_division_by_zero() -> None:
    assert describe(np.zeros((4, 4), np.float32)) == "no part of the photo speaks for it"


@given(seed=st.integers(0, 10**6), channels=st.sampled_from([1, 3]))
def test_without_heat_the_overlay_is_the_grey_picture(seed: int, channels: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 7, channels), np.uint8)
    drawn = np.asarray(overlay(pixels, np.zeros((9, 7), np.float32))).astype(int)
    assert drawn.shape == (9, 7, 3)
    assert (drawn == drawn[..., :1]).all()
    expected = pixels.mean(2) if channels == 1 else pixels @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    assert np.abs(drawn[..., 0] - expected).max() <= 1


def test_only_heat_has_colour_and_the_picture_stays_visible_below_it() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:, 2:] = 255
    heat = np.zeros((4, 4), np.float32)
    heat[0] = 1.0
    drawn = np.asarray(overlay(pixels, heat)).astype(int)
    assert np.ptp(drawn[0], axis=1).min() > 20
    assert np.ptp(drawn[1:], axis=2).max() == 0
    assert (drawn[0, 3] - drawn[0, 0]).min() > 100


def test_more_heat_is_always_lighter() -> None:
    strip = np.asarray(heat_image(np.linspace(0, 1, 256, dtype=np.float32)[None]).convert("L")).astype(int)[0]
    assert np.diff(strip).min() >= 0
    assert strip[0] < 5
    assert strip[-1] > 240
