"""What `decode.read` promises, on real files of every kind."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from annotated import UNDO
from mobilenets.errors import UserError
from mobilenets.preprocess import decode
from mobilenets.preprocess.decode import UnreadableImage, read

RED = (200, 10, 30)
BLUE = (0, 0, 255)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A smooth pattern with some noise, different in every corner."""
    rng = np.random.default_rng(width * height)
    coarse = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.float32)
    pixels = (smooth + rng.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG written by hand, for headers that no encoder would write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def colour(image: Image.Image) -> tuple[int, ...]:
    return tuple(np.asarray(image).reshape(-1, len(image.getbands()))[0].tolist())


def difference(a: Image.Image, b: Image.Image) -> int:
    assert a.size == b.size
    assert a.mode == b.mode
    return int(np.abs(np.asarray(a).astype(int) - np.asarray(b)).max())


# --- orientation ---------------------------------------------------------------------------------------


def upright_and_stored(orientation: int) -> tuple[Image.Image, Image.Image]:
    """A picture, and how a camera held as `orientation` says would store it."""
    upright = noise(48, 32)
    undo = UNDO.get(orientation)
    return upright, upright if undo is None else upright.transpose(undo)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stored_in_any_of_the_eight_orientations_is_turned_upright(kind: str, orientation: int) -> None:
    upright, stored = upright_and_stored(orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    assert difference(read(encoded(stored, kind, exif=exif, **options)), upright) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_phone_photo_lying_on_its_side_is_turned_upright(orientation: int) -> None:
    upright, stored = upright_and_stored(orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = read(encoded(stored, "JPEG", quality=100, subsampling=0, exif=exif))
    assert difference(photo, upright) <= 4


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_leaves_the_picture_as_stored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert difference(read(encoded(noise(9, 7), "PNG", exif=exif)), noise(9, 7)) == 0


def test_damaged_exif_does_not_cost_the_picture() -> None:
    jpeg = encoded(noise(40, 30), "JPEG", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff garbage")
    assert read(jpeg).size == (40, 30)


# --- modes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF"])
def test_every_format_gives_the_colour_that_was_saved(kind: str) -> None:
    image = read(encoded(Image.new("RGB", (16, 12), RED), kind))
    assert (image.mode, image.size) == ("RGB", (16, 12))
    assert np.abs(np.subtract(colour(image), RED)).max() <= 3


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "I;16"), ("TIFF", "I;16"), ("TIFF", "I;16B"), ("PPM", "I")])
def test_sixteen_bit_grey_is_scaled_to_eight_not_clipped(kind: str, mode: str) -> None:
    deep = np.linspace(0, 65535, 256).astype(">u2" if mode == "I;16B" else np.uint16).reshape(16, 16)
    image = read(encoded(Image.fromarray(deep), kind), mode="L")
    np.testing.assert_array_equal(np.asarray(image).ravel(), np.arange(256))


def test_a_dark_sixteen_bit_picture_stays_dark() -> None:
    assert colour(read(encoded(Image.fromarray(np.full((4, 4), 2570, np.uint16)), "PNG"))) == (10, 10, 10)


def test_thirty_two_bit_grey_is_scaled_by_its_own_white() -> None:
    deep = np.array([[0, 2**30, 2**31 - 1]], np.int32)
    np.testing.assert_array_equal(np.asarray(read(encoded(Image.fromarray(deep), "TIFF"), mode="L")), [[0, 128, 255]])


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0, 1e6])
def test_floating_point_grey_is_scaled_to_its_white(white: float) -> None:
    values = np.array([[0, 0.25, 1, np.nan, np.inf, -0.01]], np.float32) * np.float32(white)
    image = read(encoded(Image.fromarray(values), "TIFF"), mode="L")
    np.testing.assert_array_equal(np.asarray(image), [[0, 64, 255, 0, 255, 0]])


def test_one_bit_is_black_and_white() -> None:
    bits = np.array([[True, False]])
    np.testing.assert_array_equal(np.asarray(read(encoded(Image.fromarray(bits), "PNG"), mode="L")), [[255, 0]])


def test_sixteen_bit_colour_keeps_its_high_byte() -> None:
    row = b"\0" + struct.pack(">3H", 60000, 1000, 65535)
    assert colour(read(png(1, 1, 16, 2, row))) == (234, 3, 255)


def hidden(mode: str, value: tuple[int, ...] | int, visible: tuple[int, ...] | int) -> Image.Image:
    """4×4 pixels of a value that is see-through, the last one of another that is not."""
    image = Image.new(mode, (4, 4), value)
    image.putpixel((3, 3), visible)
    return image


def palette_picture() -> Image.Image:
    image = hidden("P", 1, 0)
    image.putpalette([0, 0, 0, *RED])
    return image


HIDDEN: dict[str, Callable[[], bytes]] = {
    "RGBA PNG": lambda: encoded(hidden("RGBA", (*RED, 0), (*RED, 255)), "PNG"),
    "RGBA WebP": lambda: encoded(hidden("RGBA", (*RED, 0), (*RED, 255)), "WEBP", lossless=True, exact=True),
    "RGBA TIFF": lambda: encoded(hidden("RGBA", (*RED, 0), (*RED, 255)), "TIFF"),
    "grey with alpha": lambda: encoded(hidden("LA", (9, 0), (9, 255)), "PNG"),
    "16-bit grey with alpha": lambda: png(2, 1, 16, 4, b"\0" + struct.pack(">4H", 3000, 0, 3000, 65535)),
    "palette with one clear colour": lambda: encoded(palette_picture(), "PNG", transparency=1),
    "palette with alpha per colour": lambda: encoded(palette_picture(), "PNG", transparency=b"\xff\0"),
    "GIF": lambda: encoded(palette_picture(), "GIF", transparency=1),
    "RGB with one clear colour": lambda: encoded(hidden("RGB", RED, BLUE), "PNG", transparency=RED),
    "grey with one clear value": lambda: encoded(hidden("L", 7, 8), "PNG", transparency=7),
    "16-bit grey with one clear value": lambda: png(
        2, 1, 16, 0, b"\0" + struct.pack(">2H", 3000, 3001), (b"tRNS", struct.pack(">H", 3000))
    ),
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_what_is_transparent_shows_the_background_and_never_the_hidden_colour(kind: str) -> None:
    assert colour(read(HIDDEN[kind](), background=BLUE)) == BLUE
    assert colour(read(HIDDEN[kind]())) == (255, 255, 255)


def test_half_transparent_mixes_evenly_with_the_background() -> None:
    data = encoded(Image.new("RGBA", (4, 4), (200, 0, 0, 128)), "PNG")
    assert colour(read(data, background=(0, 100, 0))) == (100, 50, 0)


def test_transparency_in_grey_output_shows_the_background_as_grey() -> None:
    assert colour(read(HIDDEN["RGBA PNG"](), mode="L", background=(90, 90, 90))) == (90,)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_read(kind: str) -> None:
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(first, kind, save_all=True, append_images=[second], **options)
    assert colour(read(data)) == RED


def test_any_other_mode_than_rgb_and_l_is_refused() -> None:
    with pytest.raises(ValueError, match="'CMYK'"):
        read(encoded(noise(4, 4), "PNG"), **{"mode": "CMYK"})


# --- reduced decoding ----------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 300))
def test_a_reduced_photo_keeps_twice_the_pixels_the_resize_needs(w: int, h: int, min_side: int) -> None:
    reduced = read(encoded(Image.new("L", (w, h)), "JPEG"), min_side=min_side)
    assert min(reduced.size) >= min(2 * min_side, w, h)
    assert min(reduced.size) <= max(4 * min_side + 1, -(-min(w, h) // 8))


@pytest.mark.parametrize("size", [(511, 700), (1023, 512), (300, 200)])
def test_a_photo_less_than_four_times_the_need_is_untouched(size: tuple[int, int]) -> None:
    jpeg = encoded(noise(*size), "JPEG")
    full = Image.open(io.BytesIO(jpeg))
    image = read(jpeg, min_side=256)
    assert difference(image, full.convert("RGB")) == 0
    assert image.info == {}


def test_a_format_that_cannot_reduce_is_decoded_in_full() -> None:
    assert read(encoded(noise(1200, 900), "PNG"), min_side=32).size == (1200, 900)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_photo_says_which_part_of_its_last_row_and_column_is_photo(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    jpeg = encoded(Image.new("L", (1001, 803)), "JPEG", exif=exif)
    box = decode.decoded(jpeg, min_side=100).box
    assert box is not None
    left, top, right, bottom = box
    width, height = ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg))).size
    assert (4 * (right - left), 4 * (bottom - top)) == (width, height)
    # The padding lies where the camera's last row and column went.
    assert (left > 0, top > 0) == (orientation in {2, 3, 6, 7}, orientation in {3, 4, 7, 8})


# --- sources -------------------------------------------------------------------------------------------


def test_a_path_a_string_bytes_and_an_open_file_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "röse 薔薇.PNG"
    noise(20, 10).save(path)
    with path.open("rb") as file:
        results = [read(path), read(str(path)), read(path.read_bytes()), read(file)]
        assert not file.closed
    assert {difference(image, noise(20, 10)) for image in results} == {0}


def test_a_stream_that_cannot_seek_is_read_in_whole() -> None:
    reading, writing = os.pipe()
    data = encoded(noise(20, 10), "PNG")
    with os.fdopen(writing, "wb") as end:
        end.write(data)
    with os.fdopen(reading, "rb") as file:
        assert read(file).size == (20, 10)


def test_the_picture_outlives_its_file(tmp_path: Path) -> None:
    for kind in ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF"):
        path = tmp_path / f"photo.{kind}"
        noise(20, 10).save(path, kind)
        image = read(path)
        path.unlink()
        assert image.resize((5, 5)).size == (5, 5)


def test_many_threads_read_at_once_with_equal_results() -> None:
    jpeg = encoded(noise(640, 480), "JPEG")
    expected = read(jpeg, min_side=64)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: read(jpeg, min_side=64), range(32)))
    assert {difference(image, expected) for image in results} == {0}


# --- what cannot be read -------------------------------------------------------------------------------


def refused(source: str | Path | bytes, **options: int) -> str:
    """The message of the one error that reading `source` gives: always a single printable line."""
    with pytest.raises(UnreadableImage) as caught:
        read(source, **options)
    message = str(caught.value)
    assert isinstance(caught.value, UserError)
    assert message.isprintable(), message
    return message


DAMAGED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "empty"),
    "text": (lambda: b"not a photo at all\n" * 20, "no photo"),
    "zeros": (lambda: bytes(5000), "no photo"),
    "web page": (lambda: b"<!DOCTYPE html><html>404 not found</html>", "no photo"),
    "postscript": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no photo"),
    "half a JPEG": (lambda: encoded(noise(300, 200), "JPEG")[:-3000], "truncated"),
    "half a PNG": (lambda: encoded(noise(300, 200), "PNG")[:-3000], "truncated"),
    "half a GIF": (lambda: encoded(noise(300, 200), "GIF")[:-3000], "truncated"),
    "half a BMP": (lambda: encoded(noise(300, 200), "BMP")[:-3000], "truncated"),
    "half a WebP": (lambda: encoded(noise(300, 200), "WEBP")[:-1000], "cannot be read"),
    "half a TIFF": (lambda: encoded(noise(300, 200), "TIFF")[:-3000], "truncated"),
    "a JPEG's first bytes": (lambda: encoded(noise(300, 200), "JPEG")[:40], "."),
    "a PNG with a flipped bit": (
        lambda: encoded(noise(300, 200), "PNG").replace(b"IHDR", b"IHDS"),
        "no photo",
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_refused_in_one_line_with_its_name_and_the_reason(kind: str, tmp_path: Path) -> None:
    make, reason = DAMAGED[kind]
    path = tmp_path / "my photo.jpg"
    path.write_bytes(make())
    message = refused(path)
    assert message.startswith(f"{path}: ")
    assert reason in message
    assert "; " in message, "no remedy"


@settings(max_examples=150)
@given(st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP"]), st.data())
def test_a_file_damaged_anywhere_is_read_or_refused_but_never_fatal(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(encoded(noise(24, 16), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    for broken in (bytes(damaged), bytes(damaged[:cut])):
        with suppress(UnreadableImage):
            assert read(broken, min_side=4, max_pixels=10_000).mode == "RGB"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path / 'rose.jpg'}: no such file" in refused(tmp_path / "rose.jpg")


def test_a_folder_is_named(tmp_path: Path) -> None:
    assert "is a folder" in refused(tmp_path)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "not a regular file" in refused(tmp_path / "pipe.jpg")


def test_a_broken_link_is_named(tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to("nowhere.jpg")
    assert "link.jpg: no such file" in refused(tmp_path / "link.jpg")


def test_a_name_with_a_line_break_still_gives_one_line(tmp_path: Path) -> None:
    assert "two\\nlines.jpg" in refused(tmp_path / "two\nlines.jpg")


def test_a_bomb_is_refused_from_its_header_before_any_memory_is_spent() -> None:
    message = refused(png(12_000, 12_000, 8, 2, bytes(100)))
    assert "12000×12000" in message
    assert "120 million" in message
    assert "--max-pixels" in message


def test_a_bomb_beyond_pillows_own_limit_is_refused_alike() -> None:
    assert "60000×60000 pixels" in refused(png(60_000, 60_000, 8, 2, bytes(100)))


def test_the_limit_is_the_largest_size_accepted() -> None:
    assert read(encoded(noise(30, 20), "PNG"), max_pixels=600).size == (30, 20)
    assert "30×21" in refused(encoded(noise(30, 21), "PNG"), max_pixels=600)


def test_reading_leaves_pillows_process_wide_settings_alone() -> None:
    from PIL import ImageFile

    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, threading.active_count())
    refused(png(12_000, 12_000, 8, 2, bytes(100)))
    refused(encoded(noise(300, 200), "JPEG")[:-3000])
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, threading.active_count()) == before


def test_a_command_that_reads_damaged_files_prints_nothing_of_its_own(tmp_path: Path) -> None:
    noise(40, 30).save(tmp_path / "exif.jpg", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff garbage")
    palette_picture().save(tmp_path / "palette.png", transparency=b"\xff\0")
    (tmp_path / "bomb.png").write_bytes(png(10_000, 10_000, 8, 2, bytes(100)))
    script = f"""
import pathlib
from mobilenets.cli.process import own_process
from mobilenets.preprocess import decode
with own_process():
    for path in pathlib.Path({str(tmp_path)!r}).iterdir():
        try:
            decode.read(path)
        except decode.UnreadableImage:
            pass
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "")


def test_images_and_preprocess_need_neither_torch_nor_scipy() -> None:
    script = "import mobilenets.preprocess.decode, sys; print({'torch', 'scipy'} & {*sys.modules})"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_a_programs_own_warnings_still_show() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        read(encoded(noise(4, 4), "PNG"))
        warnings.warn("mine", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["mine"]
