"""Every way of storing colours looks as it does in Pillow and in browsers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.preprocess import decode
from mobilenets.preprocess.notes import NOTES

RED = (200, 10, 30)
INKS = (10, 200, 180, 40)  # cyan, magenta, yellow, black; 255: all of it
PRINTED = (207, 46, 63)  # (1 - ink) × (1 - black) of each


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def colour(data: bytes) -> tuple[int, ...]:
    image = decode.read(data)
    assert image.mode == "RGB"
    return tuple(np.asarray(image)[0, 0].tolist())


def near(found: tuple[int, ...], wanted: tuple[int, ...], most: int = 3) -> bool:
    return int(np.abs(np.subtract(found, wanted)).max()) <= most


def adobe_jpeg(inks: tuple[int, ...]) -> bytes:
    """A CMYK JPEG as Pillow writes it: inks inverted, Adobe's marker with transform 0."""
    return encoded(Image.new("CMYK", (16, 16), inks), "JPEG", quality=100)


def test_a_cmyk_jpeg_with_adobes_marker_holds_its_inks_inverted() -> None:
    assert near(colour(adobe_jpeg(INKS)), PRINTED)


def test_a_cmyk_jpeg_without_a_marker_looks_the_same_as_in_pillow_and_browsers() -> None:
    # Chromium ("Source is 'Inverted CMYK'"), Firefox and Pillow invert whether or not there is a marker.
    jpeg = adobe_jpeg(INKS)
    start = jpeg.index(b"\xff\xee")
    bare = jpeg[:start] + jpeg[start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big") :]
    assert b"Adobe" not in bare
    assert near(colour(bare), PRINTED)


def test_a_ycck_jpeg_shows_the_inks_that_went_in() -> None:
    # Adobe's YCCK: inks as if they were R, G, B (JFIF's equations), black stored as in CMYK; transform 2 says so.
    cyan, magenta, yellow, black = INKS
    y = 0.299 * cyan + 0.587 * magenta + 0.114 * yellow
    cb, cr = 128 + (yellow - y) * 0.564, 128 + (cyan - y) * 0.713
    jpeg = bytearray(adobe_jpeg((255 - round(y), 255 - round(cb), 255 - round(cr), black)))
    marker = jpeg.index(b"Adobe")
    assert jpeg[marker + 11] == 0
    jpeg[marker + 11] = 2
    assert near(colour(bytes(jpeg)), PRINTED, 4)


def test_a_reduced_cmyk_jpeg_has_the_same_colour() -> None:
    jpeg = encoded(Image.new("CMYK", (400, 400), INKS), "JPEG", quality=100)
    image = decode.read(jpeg, min_side=20)
    assert image.size == (50, 50)
    assert near(image.getpixel((25, 25)), PRINTED)


def test_a_cmyk_tiff_holds_its_inks_plainly() -> None:
    assert near(colour(encoded(Image.new("CMYK", (4, 4), INKS), "TIFF")), PRINTED)


def test_a_lab_tiff_has_its_colour_in_srgb() -> None:
    # sRGB red (255, 0, 0) is L* 54.29, a* 80.81, b* 69.89 at D50 (Lindbloom); TIFF stores L* in 255ths of 100.
    lab = Image.frombytes("LAB", (4, 4), bytes([round(54.29 * 2.55), 81, 70]) * 16)
    assert near(colour(encoded(lab, "TIFF")), (255, 0, 0), 6)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_one_bit_pictures_are_black_and_white(kind: str) -> None:
    bits = Image.fromarray(np.array([[True, False]]))
    np.testing.assert_array_equal(np.asarray(decode.read(encoded(bits, kind), mode="L")), [[255, 0]])


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_alpha_lets_the_background_through(kind: str) -> None:
    if kind not in Image.registered_extensions().values():
        pytest.skip(f"this Pillow does not write {kind}")
    image = Image.new("RGBA", (32, 32), (*RED, 0))
    image.paste((*RED, 255), (16, 0, 32, 32))
    try:
        shown = decode.read(encoded(image, kind, quality=100))
    except decode.NotAnImage:
        pytest.skip(f"{kind} is not read here")
    assert near(shown.getpixel((4, 16)), (255, 255, 255), 4)
    assert near(shown.getpixel((28, 16)), RED, 8)


def test_premultiplied_grey_is_read() -> None:
    image = Image.new("LA", (2, 2), (100, 255))
    assert decode.flatten(image.convert("La")).getpixel((0, 0)) == (100, 100, 100)


INVISIBLE = {
    "RGBA PNG": lambda: encoded(Image.new("RGBA", (4, 4), (*RED, 0)), "PNG"),
    "RGBA TIFF": lambda: encoded(Image.new("RGBA", (4, 4), (*RED, 0)), "TIFF"),
    "RGBA WebP": lambda: encoded(Image.new("RGBA", (4, 4), (*RED, 0)), "WEBP", lossless=True, exact=True),
    "palette": lambda: encoded(Image.new("RGB", (4, 4), RED).convert("P"), "PNG", transparency=bytes(256)),
}


@pytest.mark.parametrize("kind", INVISIBLE)
def test_a_picture_that_is_transparent_everywhere_shows_its_colours_and_says_so(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hidden.png"
    path.write_bytes(INVISIBLE[kind]())
    NOTES.warn_counts()  # of other tests
    capfd.readouterr()
    image = decode.read(path)
    assert near(image.getpixel((0, 0)), RED, 30 if kind == "palette" else 0)
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "hidden.png: every pixel is transparent" in told.err


def test_many_such_pictures_are_told_once_and_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    NOTES.warn_counts()
    capfd.readouterr()
    for name in ("a", "b", "c", "a"):
        path = tmp_path / f"{name}.png"
        path.write_bytes(INVISIBLE["RGBA PNG"]())
        decode.read(path)
    assert capfd.readouterr().err.count("\n") == 1
    NOTES.warn_counts()
    assert capfd.readouterr().err.startswith("3 photos: every pixel is transparent")
    NOTES.warn_counts()
    assert capfd.readouterr().err == ""
