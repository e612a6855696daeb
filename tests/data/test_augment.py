"""Each augmentation does what it says, within its bounds, from the generator alone."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mobilenets.data.augment import Augment, trivial_augment
from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.crops import random_box
from mobilenets.training.mix import mix

PREPROCESS = Preprocess(size=24, crop=1.0)
STILL = {"crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0), "hflip": 0.0}
IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8))


def _view(seed: int = 0, **options: object) -> np.ndarray:
    return Augment(**{**STILL, **options})(IMAGE, PREPROCESS, np.random.default_rng(seed)).pixels


def test_with_everything_off_the_picture_is_the_picture() -> None:
    np.testing.assert_array_equal(_view(), np.asarray(IMAGE))


def test_flips_are_exact() -> None:
    np.testing.assert_array_equal(_view(hflip=1.0), np.asarray(IMAGE)[:, ::-1])
    np.testing.assert_array_equal(_view(vflip=1.0), np.asarray(IMAGE)[::-1])


def test_turns_are_by_quarters_and_all_occur() -> None:
    quarters = {np.rot90(np.asarray(IMAGE), k).tobytes() for k in range(4)}
    assert {_view(seed, rot90=True).tobytes() for seed in range(40)} == quarters


@pytest.mark.parametrize("options", [{"jitter": 0.5}, {"trivial": True}, {"erase": 1.0}, {"crop_scale": (0.3, 0.5)}])
def test_each_option_changes_pixels_and_keeps_shape_and_seed(options: dict) -> None:
    views = [_view(seed, **options) for seed in range(8)]
    assert any(not np.array_equal(view, np.asarray(IMAGE)) for view in views)
    assert {(view.shape, str(view.dtype)) for view in views} == {((24, 24, 3), "uint8")}
    np.testing.assert_array_equal(views[3], _view(3, **options))


def test_erasing_fills_with_the_mean_colour() -> None:
    changed = (_view(erase=1.0) != np.asarray(IMAGE)).any(2)
    mean = np.round(np.multiply(PREPROCESS.mean, 255)).astype(np.uint8)
    assert 0.01 < changed.mean() < 0.4
    assert (_view(erase=1.0)[changed] == mean).all()


def test_grey_pictures_can_be_augmented() -> None:
    grey = Preprocess(size=24, crop=1.0, mode="L", mean=(0.5,), std=(0.5,))
    augment = Augment(rot90=True, jitter=0.4, trivial=True, erase=1.0)
    for seed in range(30):
        assert augment(IMAGE.convert("L"), grey, np.random.default_rng(seed)).pixels.shape == (24, 24, 1)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_operation_of_trivial_augment_keeps_size_and_mode(mode: str) -> None:
    for seed in range(150):
        out = trivial_augment(IMAGE.convert(mode), np.random.default_rng(seed))
        assert (out.size, out.mode) == (IMAGE.size, mode)


@given(
    width=st.integers(1, 500),
    height=st.integers(1, 500),
    low=st.floats(0.05, 1),
    ratio=st.floats(0.2, 1),
    seed=st.integers(0, 99),
)
def test_a_random_crop_lies_inside_the_picture(width: int, height: int, low: float, ratio: float, seed: int) -> None:
    box = random_box(width, height, (low, 1.0), (ratio, 1 / ratio), np.random.default_rng(seed))
    left, top, right, bottom = box
    assert -1e-9 <= left < right <= width + 1e-9
    assert -1e-9 <= top < bottom <= height + 1e-9
    assert ratio * 0.999 <= (right - left) / (bottom - top) <= 1.001 / ratio


@given(width=st.integers(1, 900), height=st.integers(1, 900), low=st.floats(0.001, 1), seed=st.integers(0, 99))
def test_pictures_of_any_shape_can_be_cropped(width: int, height: int, low: float, seed: int) -> None:
    image = Image.new("RGB", (width, height), (10, 20, 30))
    view = Augment(crop_scale=(low, 1.0))(image, PREPROCESS, np.random.default_rng(seed)).pixels
    assert (view == (10, 20, 30)).all()


EVERYTHING = {"crop_scale": (0.4, 1.0), "hflip": 0.5, "vflip": 0.5, "rot90": True, "zoom_out": 2.5}


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("options", [{"hflip": 1.0}, {"vflip": 1.0}, {"rot90": True}, EVERYTHING])
def test_the_frame_says_where_a_point_of_the_photo_went(fit: str, options: dict) -> None:
    if fit == "crop":
        options = {**options, "zoom_out": 1.0}
    preprocess, augment, seen = Preprocess(size=64, crop=1.0, fit=fit), Augment(**{**STILL, **options}), 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, y = rng.uniform(0.1, 0.9, 2)
        ys, xs = np.mgrid[:90, :120]
        spot = np.exp(-((xs + 0.5 - 120 * x) ** 2 + (ys + 0.5 - 90 * y) ** 2) / 50)
        image = Image.fromarray((255 * spot).astype(np.uint8)).convert("RGB")
        view = augment(image, preprocess, rng)
        a, b, c, d, e, f = view.frame
        at = np.array([a * x + b * y + c, d * x + e * y + f])
        if ((at < 0.15) | (at > 0.85)).any():
            continue  # cut off, or nearly so
        seen += 1
        light = view.pixels[:, :, 0].astype(float)
        light[light == 114] = 0  # the padding
        weight = np.where(light > 0.6 * light.max(), light, 0)
        rows, columns = np.mgrid[:64, :64] + 0.5
        found = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum() / 64
        np.testing.assert_allclose(at, found, atol=0.02)
    assert seen >= 5


def test_a_crop_shows_one_of_the_points_that_it_must_not_lose() -> None:
    augment, image = Augment(crop_scale=(0.1, 0.3), hflip=0.0), Image.new("RGB", (200, 100))
    points = np.array([[0.2, 0.3], [0.8, 0.6]], np.float32)
    lost = {False: 0, True: 0}
    for seed in range(100):
        for is_given in (False, True):
            a, _, c, _, e, f = augment(
                image, PREPROCESS, np.random.default_rng(seed), points if is_given else None
            ).frame
            there = points * (a, e) + (c, f)
            lost[is_given] += not ((there >= 0) & (there <= 1)).all(1).any()
    assert lost[False] > 30
    assert lost[True] <= 5  # after ten attempts without luck


def test_zooming_out_shows_the_whole_photo_smaller_in_grey() -> None:
    white = Image.new("RGB", (60, 30), (255, 255, 255))
    preprocess = Preprocess(size=48, crop=1.0, fit="squash")
    views = [Augment(**STILL, zoom_out=2.0)(white, preprocess, np.random.default_rng(seed)) for seed in range(20)]
    fractions = np.array([(view.pixels == 255).all(2).mean() for view in views])
    assert (fractions == 1).sum() >= 5
    assert 0.24 < fractions.min() < 0.5
    for view, fraction in zip(views, fractions, strict=True):
        assert view.frame[0] * view.frame[4] == pytest.approx(fraction, abs=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"zoom_out": 0.5},
        {"hflip": 1.5},
        {"erase": -1},
        {"jitter": 2},
        {"crop_scale": (0.0, 1.0)},
        {"crop_ratio": (2.0, 1.0)},
        {"crop_ratio": (1.0, math.inf)},
        {"hflip": math.nan},
    ],
)
def test_impossible_values_are_refused_by_name(wrong: dict) -> None:
    with pytest.raises(UserError, match=f"augment.{next(iter(wrong))}"):
        Augment(**wrong)


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 3, 8, 8).contiguous()
    return images, torch.eye(6)


def test_mixing_turned_off_changes_nothing() -> None:
    images, targets = _batch()
    mixed, soft = mix(images, targets, np.random.default_rng(0), 0.0, 0.0)
    assert mixed is images
    assert soft is targets


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
@pytest.mark.parametrize("seed", range(6))
def test_labels_are_mixed_as_pixels_are(mixup: float, cutmix: float, seed: int) -> None:
    # Image i has value i everywhere: its mean over pixels is the mean of the labels it is made of.
    images, targets = _batch()
    mixed, soft = mix(images, targets, np.random.default_rng(seed), mixup, cutmix)
    torch.testing.assert_close(soft.sum(1), torch.ones(6))
    torch.testing.assert_close(mixed.mean((1, 2, 3)), soft @ torch.arange(6.0))


def test_cutmix_pastes_and_mixup_blends() -> None:
    images, targets = _batch()
    pasted, _ = mix(images, targets, np.random.default_rng(1), 0.0, 1.0)
    assert set(pasted.unique().tolist()) <= set(range(6))
    blended, _ = mix(images, targets, np.random.default_rng(1), 1.0, 0.0)
    assert all(len(image.unique()) == 1 for image in blended)
