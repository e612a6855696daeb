"""What `fit` means: which part of a photograph is seen, in evaluation, in training's crops, and on the way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mobilenets.data.augment import Augment
from mobilenets.data.loader import CROP_MARGIN
from mobilenets.data.shapes import shapes
from mobilenets.errors import UserError
from mobilenets.model_card import ModelCard
from mobilenets.preprocess import FITS, PADDING, Preprocess
from mobilenets.preprocess.crops import random_view
from mobilenets.training.input import fitted
from mobilenets.training.settings import Settings
from small import card_of, network

SIDES = st.integers(1, 700)


def marked(width: int, height: int) -> Image.Image:
    """Black, but for its outermost tenth at both ends of the long side: red where it begins, green where it ends."""
    image = Image.new("RGB", (width, height))
    tenth = max(width, height) // 10
    if width >= height:
        image.paste((255, 0, 0), (0, 0, tenth, height))
        image.paste((0, 255, 0), (width - tenth, 0, width, height))
    else:
        image.paste((255, 0, 0), (0, 0, width, tenth))
        image.paste((0, 255, 0), (0, height - tenth, width, height))
    return image


def ends(pixels: np.ndarray) -> tuple[bool, bool]:
    """Whether the red and the green end can be seen."""
    red, green = pixels[..., 0].astype(int), pixels[..., 1].astype(int)
    return bool(((red > 200) & (green < 50)).any()), bool(((green > 200) & (red < 50)).any())


@pytest.mark.parametrize("size", [(480, 96), (96, 480), (900, 60), (300, 200)])
def test_padding_and_squashing_show_both_ends_of_a_photograph_and_cropping_does_not(size: tuple[int, int]) -> None:
    image = marked(*size)
    seen = {fit: ends(Preprocess(size=64, crop=1.0, fit=fit).pixels(image)) for fit in FITS}
    assert seen == {"crop": (False, False), "pad": (True, True), "squash": (True, True)}


def test_a_padded_photograph_keeps_its_proportions_in_the_middle_of_grey() -> None:
    pixels = Preprocess(size=100, crop=1.0, fit="pad").pixels(Image.new("RGB", (400, 100), (10, 200, 30)))
    assert (pixels[:38] == PADDING).all()
    assert (pixels[63:] == PADDING).all()
    photo = pixels[38:63]
    np.testing.assert_array_equal(photo, np.broadcast_to([10, 200, 30], photo.shape))


@given(SIDES, SIDES, st.sampled_from(FITS), st.sampled_from([1.0, 0.875, 0.5]), st.sampled_from([32, 33, 224]))
def test_what_is_seen_lies_in_the_photograph_and_is_all_of_it_where_nothing_is_cropped(
    width: int, height: int, fit: str, crop: float, size: int
) -> None:
    preprocess = Preprocess(size=size, crop=crop, fit=fit)
    left, top, right, bottom = preprocess.seen(width, height)
    assert 0 <= left < right <= width + 1e-6
    assert 0 <= top < bottom <= height + 1e-6
    if fit != "crop" and crop == 1:
        assert (left, top, right, bottom) == pytest.approx((0, 0, width, height))
    w = preprocess.window(width, height)
    assert np.zeros((size, size))[w.rows, w.columns].shape == (w.bottom - w.top, w.right - w.left)


def test_grey_networks_are_padded_too() -> None:
    preprocess = Preprocess(size=32, crop=1.0, mode="L", mean=(0.5,), std=(0.5,), fit="pad")
    pixels = preprocess.pixels(Image.new("L", (80, 20), 250))
    assert (pixels.shape, pixels[0, 0, 0], pixels[16, 0, 0]) == ((32, 32, 1), PADDING, 250)


# --- training ------------------------------------------------------------------------------------------


@given(SIDES, SIDES, st.integers(0, 1000))
def test_a_random_crop_of_a_padded_photograph_lies_in_it_or_covers_it_on_each_axis(
    width: int, height: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    left, top, right, bottom = random_view("pad", width, height, (0.35, 1.0), (3 / 4, 4 / 3), rng)
    side = max(width, height)
    for start, end, length in ((left, right, width), (top, bottom, height)):
        inside, around = start > -1e-6 and end < length + 1e-6, start < 1e-6 and end > length - 1e-6
        assert inside or around
        assert start >= -(side - length) / 2 - 1e-6
        assert end <= length + (side - length) / 2 + 1e-6
    assert 0.34 * side**2 < (right - left) * (bottom - top) < 1.01 * side**2  # at the scales of evaluation


@given(SIDES, SIDES, st.integers(0, 1000))
def test_a_random_crop_of_a_squashed_photograph_has_its_proportions_within_the_ratio(
    width: int, height: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    left, top, right, bottom = random_view("squash", width, height, (0.35, 1.0), (3 / 4, 4 / 3), rng)
    assert -1e-9 <= left < right <= width * (1 + 1e-9)
    assert -1e-9 <= top < bottom <= height * (1 + 1e-9)
    assert 0.749 < (right - left) / width / ((bottom - top) / height) < 1.334


@pytest.mark.parametrize("fit", ["pad", "squash"])
@pytest.mark.parametrize("size", [(480, 96), (96, 480)])
def test_training_shows_the_ends_of_wide_photographs_about_as_large_as_evaluation(
    fit: str, size: tuple[int, int]
) -> None:
    preprocess, image = Preprocess(size=64, crop=1.0, fit=fit), marked(*size)
    augment = Augment(hflip=0)
    views = [augment(image, preprocess, np.random.default_rng(seed)).pixels for seed in range(60)]
    shown = np.array([ends(view) for view in views])
    assert shown.any(1).mean() > 0.7  # an end or both
    assert shown.all(1).any()
    if fit == "pad":
        assert all((view == PADDING).all(2).any() for view in views)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(2000, 300), (300, 2000), (900, 900), (50, 40)])
def test_pixels_averaged_before_training_leave_its_crops_enough(fit: str, size: tuple[int, int]) -> None:
    preprocess = Preprocess(size=32, crop=1.0, fit=fit)
    across, down = preprocess.reducible(*size, round(CROP_MARGIN * preprocess.size))
    kept = size[0] / across, size[1] / down
    needed = {"crop": min(kept), "pad": max(kept), "squash": min(kept)}[fit]
    assert needed >= min(CROP_MARGIN * preprocess.size, needed)
    assert kept[0] * kept[1] <= size[0] * size[1]
    if fit != "crop" and min(size) > 100:
        assert max(kept) < 4 * CROP_MARGIN * preprocess.size  # memory does not grow with the photograph


# --- the way back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (200, 200)])
def test_what_belongs_to_the_input_is_shown_on_the_photograph_alone_in_its_proportions(size: tuple[int, int]) -> None:
    image = marked(*size)
    for fit in ("pad", "squash"):
        preprocess = Preprocess(size=60, crop=1.0, fit=fit)
        pixels = preprocess.pixels(image)
        photo = preprocess.photo_part(pixels, *size)
        assert photo.shape[1] / photo.shape[0] == pytest.approx(size[0] / size[1], rel=0.05)
        assert not (photo == PADDING).all(2).any()
        assert ends(photo) == (True, True)
        heat = preprocess.photo_part(pixels[..., 0].astype(np.float32), *size)
        assert (heat.shape, heat.dtype) == (photo.shape[:2], np.float32)


# --- cards, settings, proposals -------------------------------------------------------------------------


def test_an_old_card_crops_and_a_new_one_keeps_its_fit() -> None:
    card = card_of(network(), fit="pad")
    assert ModelCard.from_json(card.to_json()).preprocess.fit == "pad"
    old = {key: value for key, value in card.preprocess.to_dict().items() if key != "fit"}
    assert Preprocess.from_dict(old).fit == "crop"


def test_another_fit_is_refused() -> None:
    with pytest.raises(UserError, match="fit 'stretch': must be one of crop, pad, squash"):
        Preprocess(fit="stretch")
    with pytest.raises(UserError, match="fit: 'letterbox' is not one of crop, pad, squash, auto"):
        Settings(data="photos", fit="letterbox")


@pytest.mark.parametrize(
    ("sizes", "elongated"),
    [
        ([(480, 96)] * 8, True),
        ([(96, 480)] * 8, True),
        ([(480, 96)] * 4 + [(96, 480)] * 4, True),  # half of them wide, half tall
        ([(640, 480)] * 8, False),
        ([(6000, 4000), (4928, 3264)] * 4, False),  # cameras' 3:2
        ([(1920, 1080)] * 8, True),
        ([(480, 96)] * 4 + [(100, 100)] * 4, False),  # the middle half is not
    ],
)
def test_photographs_count_as_elongated_by_their_middle_half(sizes: list[tuple[int, int]], elongated: bool) -> None:
    found = shapes(sizes, Preprocess())
    assert found is not None
    assert found.elongated == elongated


def test_what_a_crop_hides_is_a_share_of_the_middle_photographs_area() -> None:
    found = shapes([(100, 100), (400, 100), (1000, 10)], Preprocess(size=100, crop=1.0))
    assert found is not None
    assert (found.width, found.height, found.hidden) == (400, 100, pytest.approx(0.75))
    assert shapes([], Preprocess()) is None


@pytest.fixture
def wide(tmp_path):  # type: ignore[no-untyped-def]
    """Training photographs of 50×10."""
    from mobilenets.data.sources.read import read_splits

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.new("RGB", (50, 10), (i, 0, 0)).save(tmp_path / name / f"{i}.png")
    return read_splits(tmp_path, seed=0).train


@pytest.mark.parametrize(
    ("asked", "fit", "crop", "said"),
    [
        ({}, "crop", 0.875, "--fit pad shows all of it"),
        ({"fit": "crop"}, "crop", 0.875, ""),
        ({"fit": "pad"}, "pad", 1.0, ""),
        ({"fit": "squash"}, "squash", 1.0, ""),
        ({"fit": "pad", "crop": 0.9}, "pad", 0.9, ""),
        ({"fit": "auto"}, "pad", 1.0, "auto takes pad"),
    ],
)
def test_a_run_says_what_a_crop_hides_and_sees_all_where_that_is_asked_for(
    wide, asked: dict[str, object], fit: str, crop: float, said: str, capsys: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    preprocess = fitted(Settings(data="", **asked), Preprocess(), wide)
    assert (preprocess.fit, preprocess.crop) == (fit, crop)
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == bool(said)
    if said:
        assert "a centre crop hides 85 % of the middle photo (50×10)" in error


def test_weights_of_a_padded_run_go_on_padding(wide) -> None:  # type: ignore[no-untyped-def]
    own = Preprocess(crop=0.95, fit="pad")
    assert fitted(Settings(data=""), own, wide) == own
