"""16-bit, integer and floating-point pictures are scaled by the range of their data set, not each by its own."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.errors import UserError
from mobilenets.model_card import ModelCard
from mobilenets.preprocess import Preprocess, decode, depth
from mobilenets.preprocess.notes import NOTES
from small import card_of, network


def tiff(values: np.ndarray, order: str = "<", *, deflate: bool = False, white_is_zero: bool = False) -> bytes:
    """A TIFF written by hand (TIFF 6.0, §2): Pillow writes few of the kinds it reads."""
    height, width = values.shape[:2]
    channels = 1 if values.ndim == 2 else values.shape[2]
    data = values.astype(order + values.dtype.str[1:]).tobytes()
    data = zlib.compress(data) if deflate else data
    short, long = "H", "I"
    photometric = 2 if channels > 1 else 0 if white_is_zero else 1
    tags = [
        (256, long, [width]),
        (257, long, [height]),
        (258, short, [8 * values.itemsize] * channels),
        (259, short, [8 if deflate else 1]),
        (262, short, [photometric]),
        (273, long, [0]),
        (277, short, [channels]),
        (278, long, [height]),
        (279, long, [len(data)]),
        (339, short, [{"u": 1, "i": 2, "f": 3}[values.dtype.kind]] * channels),
    ]
    behind = 8 + 2 + 12 * len(tags) + 4
    extra, at = b"", {}
    for number, code, content in tags:
        if struct.calcsize(code) * len(content) > 4:
            at[number] = behind + len(extra)
            extra += struct.pack(f"{order}{len(content)}{code}", *content)
    directory = struct.pack(order + "H", len(tags))
    for number, code, content in tags:
        content = [behind + len(extra)] if number == 273 else content
        packed = struct.pack(f"{order}{len(content)}{code}", *content)
        value = struct.pack(order + "I", at[number]) if number in at else packed.ljust(4, b"\0")
        directory += struct.pack(order + "HHI", number, 3 if code == short else 4, len(content)) + value
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + directory + bytes(4) + extra + data


def png(values: np.ndarray, colour: int, *extra: tuple[bytes, bytes]) -> bytes:
    """A 16-bit PNG written by hand."""
    rows = b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """What 0..255 the values are, in exact arithmetic."""
    return np.floor(((values.astype(object) - low) / (high - low) * 255 + 0.5).astype(float).clip(0, 255)).astype(int)


def grey(data: bytes, low: float, high: float) -> np.ndarray:
    return np.asarray(Preprocess(range=(low, high), mode="L", mean=(0.5,), std=(0.5,)).read(data).image).astype(int)


INTEGERS = {
    "unsigned 16 bits": (np.array([[0, 600, 1000, 1400, 65535]], np.uint16), 600, 1400),
    "signed 16 bits": (np.array([[-32768, -1000, 0, 1000, 3000]], np.int16), -1000, 3000),
    "signed 32 bits": (np.array([[-(2**31), -1000, 0, 2**30, 2**31 - 1]], np.int32), -1000, 2**30),
    "unsigned 32 bits": (np.array([[0, 2**31, 3 * 2**30, 2**32 - 1]], np.uint32), 2**31, 2**32 - 1),
    "32 bits of narrow range": (np.array([[2**30, 2**30 + 50, 2**30 + 100]], np.int32), 2**30, 2**30 + 100),
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", INTEGERS)
def test_integers_between_the_ends_of_the_range_become_0_to_255_and_are_clipped_beyond(kind: str, order: str) -> None:
    values, low, high = INTEGERS[kind]
    if order == ">" and kind == "unsigned 32 bits":
        pytest.skip("Pillow does not read it")
    np.testing.assert_array_equal(grey(tiff(values, order), low, high), scaled(values, low, high))


def test_floats_are_scaled_and_what_is_no_number_is_black() -> None:
    values = np.array([[-1, -0.5, 0, 0.5, 1, 1.01, np.inf, -np.inf, np.nan]], np.float32)
    np.testing.assert_array_equal(grey(tiff(values), -1, 1), [[0, 64, 128, 191, 255, 255, 255, 0, 0]])


@pytest.mark.parametrize("data", [tiff, lambda v: tiff(v, ">"), lambda v: tiff(v, deflate=True), lambda v: png(v, 2)])
def test_sixteen_bit_colour_is_scaled_with_all_its_bits(data) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (9, 7, 3)).astype(np.uint16)
    image = Preprocess(range=(0, 4095)).read(data(values)).image
    np.testing.assert_array_equal(np.asarray(image), scaled(values, 0, 4095))


def test_transparency_of_deep_colour_is_kept() -> None:
    values = np.array([[[4095, 0, 0, 65535], [4095, 0, 0, 0]]], np.uint16)
    assert np.asarray(Preprocess(range=(0, 4095)).read(png(values, 6)).image).tolist() == [[[255, 0, 0], [255] * 3]]
    named = np.array([[[4095, 0, 0], [4094, 0, 0]]], np.uint16)  # one colour is see-through, to the last bit
    shown = Preprocess(range=(0, 4095)).read(png(named, 2, (b"tRNS", struct.pack(">3H", 4095, 0, 0)))).image
    assert np.asarray(shown).tolist() == [[[255] * 3, [255, 0, 0]]]


def test_a_deep_picture_on_its_side_is_turned_once() -> None:
    values = np.arange(6, dtype=np.uint16).reshape(2, 3) * 100
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: a quarter clockwise makes it upright
    for kind in ("PNG", "TIFF"):
        file = io.BytesIO()
        Image.fromarray(values).save(file, kind, exif=exif)
        np.testing.assert_array_equal(grey(file.getvalue(), 0, 500), scaled(np.rot90(values, -1), 0, 500))


def test_where_zero_is_white_the_picture_is_no_negative() -> None:
    values = np.array([[0, 2000, 4095]], np.uint16)
    np.testing.assert_array_equal(grey(tiff(values, white_is_zero=True), 0, 4095), 255 - scaled(values, 0, 4095))


@pytest.mark.parametrize(("dtype", "channels"), [("f8", 1), ("f2", 1), ("f4", 3)])
def test_values_that_pillow_does_not_read_are_refused_with_what_is_read(dtype: str, channels: int) -> None:
    with pytest.raises(decode.NotAnImage, match="32-bit floating point of one channel"):
        decode.read(tiff(np.zeros((4, 4, channels), dtype).squeeze()))


def test_eight_bit_pictures_stay_as_they_are_whatever_the_range() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    np.testing.assert_array_equal(grey(file.getvalue(), 1000, 2000), values)


def test_a_pillow_image_is_scaled_like_its_file() -> None:
    values = np.array([[0, 600, 1400]], np.uint16)
    assert np.asarray(Preprocess(range=(0, 1400)).read(Image.fromarray(values)).image)[0, :, 0].tolist() == [
        0,
        109,
        255,
    ]


# --- without a range: a model of before, or published weights --------------------------------------------


def guessed(values: np.ndarray) -> np.ndarray:
    return np.asarray(decode.read(tiff(values), mode="L")).astype(int)


@pytest.mark.parametrize(("white", "over"), [(1, 1.01), (255, 300), (65535, 70000)])
def test_without_a_range_one_overshooting_pixel_changes_no_other(white: float, over: float) -> None:
    values = np.random.default_rng(1).uniform(0.2, 0.95, (64, 64)).astype(np.float32) * np.float32(white)
    plain = guessed(values)
    np.testing.assert_array_equal(plain, scaled(values, 0, white))
    values[5, 5] = over
    changed = guessed(values)
    assert changed[5, 5] == 255
    changed[5, 5] = plain[5, 5]
    np.testing.assert_array_equal(changed, plain)


def test_without_a_range_signed_floats_have_their_middle_at_grey() -> None:
    values = np.linspace(-1, 1, 4096, dtype=np.float32).reshape(64, 64)
    np.testing.assert_array_equal(guessed(values), scaled(values, -1, 1))


def test_without_a_range_a_deep_picture_is_guessed_and_that_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    NOTES.warn_counts()
    capfd.readouterr()
    for _ in range(3):
        Preprocess().read(tiff(np.array([[0, 65535]], np.uint16)))
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert depth.GUESSED in told
    Preprocess(range=(0, 1)).read(tiff(np.array([[0, 1]], np.uint16)))
    assert capfd.readouterr().err == ""


# --- the range as part of the preprocess ------------------------------------------------------------------


def test_the_card_keeps_the_range() -> None:
    card = card_of(network(), range=(600, 1400.5))
    again = ModelCard.from_json(card.to_json())
    assert again.preprocess.range == (600.0, 1400.5)
    without = Preprocess.from_dict({k: v for k, v in Preprocess().to_dict().items() if k != "range"})
    assert without.range is None  # a card of an earlier version


@pytest.mark.parametrize("value", [(1, 1), (2, 1), (0,), (0, 1, 2), (0, float("nan")), (0, float("inf")), "0,1", 5])
def test_what_is_no_range_is_refused(value: object) -> None:
    with pytest.raises(UserError, match="range"):
        Preprocess(**{"range": value})


def test_pixels_kept_on_disk_belong_to_their_range(tmp_path: Path) -> None:
    from mobilenets.data.augment import Augment
    from mobilenets.data.cache.images import DiskCache
    from mobilenets.data.loader import Loader
    from mobilenets.data.sample import Sample

    path = tmp_path / "deep.tif"
    path.write_bytes(tiff(np.full((40, 40), 1000, np.uint16)))
    still = Augment(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), hflip=0)
    for augment in (None, still):
        for high, wanted in ((2000, 128), (4000, 64)):
            cache = DiskCache(tmp_path / "cache")
            loader = Loader(
                [Sample(path, 0)], Preprocess(size=32, range=(0, high)), 1, augment=augment, cache=cache, workers=0
            )
            for _ in range(2):
                (batch,) = loader.epoch(0)
                assert batch.pixels[0, 16, 16, 0] == wanted
