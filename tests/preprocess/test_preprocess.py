"""`Preprocess` against torchvision's published two steps, rewritten here from its documentation."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess


def two_steps(
    image: Image.Image, side: int, size: int, resample: Image.Resampling = Image.Resampling.BILINEAR
) -> np.ndarray:
    """torchvision's Resize(side, antialias=True) then CenterCrop(size), on a PIL image."""
    width, height = image.size
    if width <= height:
        width, height = side, int(side * height / width)
    else:
        width, height = int(side * width / height), side
    resized = image.resize((width, height), resample)
    left, top = round((width - size) / 2.0), round((height - size) / 2.0)
    return np.asarray(resized.crop((left, top, left + size, top + size))).astype(int)


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Hard edges and noise: the worst case for a crop that is off by a part of a pixel."""
    rng = np.random.default_rng(seed)
    tiles = np.kron(rng.integers(0, 256, (height // 9 + 1, width // 7 + 1, 3)), np.ones((9, 7, 1)))
    pixels = tiles[:height, :width] + rng.normal(0, 12, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@st.composite
def sizes(draw: st.DrawFn, longest: int) -> tuple[int, int]:
    """Width and height, the long side at most `longest` times the short one."""
    short = draw(st.integers(1, 500))
    long = draw(st.integers(short, min(short * longest, 900)))
    return draw(st.sampled_from([(short, long), (long, short)]))


CROPS = st.sampled_from([(224, 256), (224, 232), (224, 224), (64, 73), (33, 40)])


@settings(max_examples=60)
@given(sizes(longest=8), CROPS)
@example((400, 300), (224, 256))
@example((68, 68), (224, 232))
def test_the_pixels_are_exactly_torchvisions(image_size: tuple[int, int], crop: tuple[int, int]) -> None:
    size, side = crop
    image = photo(*image_size)
    pixels = Preprocess(size=size, crop=size / side).pixels(image)
    np.testing.assert_array_equal(pixels, two_steps(image, side, size))


@settings(max_examples=30)
@given(sizes(longest=8))
def test_bicubic_pixels_are_exactly_torchvisions(image_size: tuple[int, int]) -> None:
    preprocess = Preprocess(size=96, crop=0.95, interpolation="bicubic")
    image = photo(*image_size)
    expected = two_steps(image, preprocess.resize_side, 96, Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(preprocess.pixels(image), expected)


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(9, 14), st.booleans(), CROPS)
def test_a_very_long_image_is_torchvisions_within_two_grey_levels(
    short: int, times: int, upright: bool, crop: tuple[int, int]
) -> None:
    size, side = crop
    image = photo(*((short, times * short) if upright else (times * short, short)))
    difference = Preprocess(size=size, crop=size / side).pixels(image) - two_steps(image, side, size)
    assert np.abs(difference).max() <= 2


def test_the_crop_is_the_centre_of_the_long_side_and_nothing_is_squashed() -> None:
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 255
    crop = Preprocess(size=50, crop=1.0).pixels(Image.fromarray(pixels))
    assert crop[:, 1:-1].min() == 255  # the outermost columns blend with the black beside them


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1), (2, 65_000)])
def test_an_image_narrower_than_the_crop_is_enlarged_without_a_giant_in_between(
    size: tuple[int, int],
) -> None:
    result = Preprocess().pixels(Image.new("RGB", size, (7, 8, 9)))
    np.testing.assert_array_equal(result, np.broadcast_to([7, 8, 9], (224, 224, 3)))


# Reduced decoding: the photo is smooth where a camera's is (its lens and demosaicing blur single pixels).
def camera_jpeg(width: int, height: int, orientation: int = 1) -> bytes:
    sharp = photo(width // 3, height // 3).resize((width, height), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    sharp.save(file, "JPEG", quality=92, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("size", [(1600, 1200), (1601, 1203), (1203, 1607), (1999, 1125), (1035, 1031)])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7, 8])
def test_a_photo_decoded_at_reduced_scale_gives_the_crop_of_the_full_one(
    size: tuple[int, int], orientation: int
) -> None:
    jpeg = camera_jpeg(*size, orientation)
    preprocess = Preprocess(size=112)
    reduced = preprocess.read(jpeg)
    assert max(reduced.image.size) < max(size)
    expected = preprocess.pixels(preprocess.read(jpeg, min_side=0)).astype(int)
    difference = np.abs(preprocess.pixels(reduced) - expected)
    assert difference.mean() <= 1.25  # 3 to 20 if the padding counted as photo
    assert difference.max() <= 10


@pytest.mark.parametrize(
    ("size", "crop", "side"),
    [
        (224, 0.875, 256),  # torchvision's first weights; TF-Slim
        (224, 224 / 232, 232),  # torchvision's second weights
        (256, 0.95, 269),  # timm rounds down
        (224, 1.0, 224),
    ],
)
def test_resize_side_is_the_published_one(size: int, crop: float, side: int) -> None:
    assert Preprocess(size=size, crop=crop).resize_side == side


@given(st.integers(1, 4096), st.data())
def test_any_resize_side_can_be_written_as_a_crop_and_comes_back(size: int, data: st.DataObject) -> None:
    side = data.draw(st.integers(size, 10 * size))
    assert Preprocess(size=size, crop=size / side).resize_side == side


def test_grey_mode_has_one_channel() -> None:
    grey = Preprocess(size=32, mode="L", mean=(0.5,), std=(0.25,))
    pixels = grey.pixels(photo(60, 50))
    assert pixels.shape == (32, 32, 1)
    np.testing.assert_array_equal(pixels[..., 0], two_steps(photo(60, 50).convert("L"), 36, 32))
    assert grey.normalize(pixels[None]).shape == (1, 1, 32, 32)


def test_a_grey_image_has_three_equal_channels_in_rgb_mode() -> None:
    pixels = Preprocess(size=32).pixels(photo(60, 50).convert("L"))
    assert pixels.shape == (32, 32, 3)
    assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK", "I;16"])
def test_an_image_whose_colours_need_a_decision_is_refused_with_the_remedy(mode: str) -> None:
    with pytest.raises(UserError, match=r"Preprocess\.read"):
        Preprocess().pixels(Image.new(mode, (8, 8)))


def test_pixels_are_writable_and_contiguous_so_that_torch_takes_them_without_a_copy() -> None:
    pixels = Preprocess().pixels(photo(300, 200))
    assert (pixels.dtype, pixels.shape) == (np.uint8, (224, 224, 3))
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous


def test_normalize_is_torchvisions_to_tensor_and_normalize() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3), dtype=np.uint8)
    result = Preprocess().normalize(pixels)
    exact = (pixels / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    assert (result.dtype, result.shape, result.flags.c_contiguous) == (np.float32, (3, 3, 5, 4), True)
    np.testing.assert_allclose(result, exact.transpose(0, 3, 1, 2), atol=1e-6)


def test_normalize_leaves_its_input_alone() -> None:
    pixels = np.full((1, 2, 2, 3), 9, np.uint8)
    Preprocess().normalize(pixels)
    assert (pixels == 9).all()


@given(
    st.integers(1, 4096),
    st.floats(0.1, 1),
    st.sampled_from(["bilinear", "bicubic"]),
    st.sampled_from(["RGB", "L"]),
    st.data(),
)
def test_a_preprocess_survives_json(size: int, crop: float, interpolation: str, mode: str, data: st.DataObject) -> None:
    channels = {"RGB": 3, "L": 1}[mode]
    mean = tuple(data.draw(st.lists(st.floats(0, 1), min_size=channels, max_size=channels)))
    std = tuple(data.draw(st.lists(st.floats(0.01, 2), min_size=channels, max_size=channels)))
    original = Preprocess(size, crop, interpolation, mean, std, mode)
    assert Preprocess.from_dict(json.loads(json.dumps(original.to_dict()))) == original


def test_fields_left_out_take_the_default() -> None:
    assert Preprocess.from_dict({"size": 96}) == Preprocess(size=96)


def test_an_unknown_field_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"'sise'.*known are size, crop"):
        Preprocess.from_dict({"sise": 224})


@pytest.mark.parametrize(
    ("field", "value", "accepted"),
    [
        ("size", 0, "from 1 to 4096"),
        ("size", 10**9, "from 1 to 4096"),
        ("size", 224.0, "whole number"),
        ("size", True, "whole number"),
        ("size", "224", "whole number"),
        ("crop", 0, "from 0.1 to 1"),
        ("crop", 1.5, "from 0.1 to 1"),
        ("crop", float("nan"), "from 0.1 to 1"),
        ("crop", "0.9", "from 0.1 to 1"),
        ("interpolation", "nearest", "bilinear, bicubic"),
        ("interpolation", ["bilinear"], "bilinear, bicubic"),
        ("mode", "BGR", "RGB, L"),
        ("mode", "L", "1 finite numbers"),  # the default mean has three
        ("mean", (0.5,), "3 finite numbers"),
        ("mean", 0.5, "3 finite numbers"),
        ("mean", (0.5, 0.5, float("inf")), "3 finite numbers"),
        ("mean", ("a", "b", "c"), "3 finite numbers"),
        ("std", (0.2, 0.2, 0), "above 0"),
        ("std", (0.2, -0.2, 0.2), "above 0"),
    ],
)
def test_a_value_that_cannot_work_is_refused_with_what_can(field: str, value: object, accepted: str) -> None:
    with pytest.raises(UserError, match=accepted) as caught:
        Preprocess.from_dict({field: value})
    assert "\n" not in str(caught.value)
