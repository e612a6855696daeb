"""Size and orientation of a photo from its header, and boxes turned as its pixels are."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobilenets.preprocess.decode import UnreadableImage, read
from mobilenets.preprocess.stored import stored, turned

BOX = (4, 6, 20, 12)  # of a photo of 48×32


def photo(kind: str, orientation: int | None, **options: Any) -> io.BytesIO:
    """Black, with a white box."""
    pixels = np.zeros((32, 48), np.uint8)
    left, top, right, bottom = BOX
    pixels[top:bottom, left:right] = 255
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(file, kind, exif=exif, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_and_boxes_are_turned_as_the_pixels_are(kind: str, orientation: int) -> None:
    file = photo(kind, orientation, **({"lossless": True} if kind == "WEBP" else {}))
    found, upright = stored(file), read(file)
    assert (found.size, found.orientation, found.upright) == ((48, 32), orientation, upright.size)
    left, top, right, bottom = turned(BOX[0] / 48, BOX[1] / 32, BOX[2] / 48, BOX[3] / 32, orientation)
    rows, columns = np.nonzero(np.asarray(upright.convert("L")) > 128)
    edges = columns.min() / upright.width, rows.min() / upright.height
    ends = (columns.max() + 1) / upright.width, (rows.max() + 1) / upright.height
    assert (left, top, right, bottom) == pytest.approx((*edges, *ends))


@pytest.mark.parametrize("orientation", [None, 0, 9])
def test_a_photo_that_says_nothing_of_it_is_upright(orientation: int | None) -> None:
    assert stored(photo("JPEG", orientation)).orientation == 1


def test_a_png_that_says_it_behind_its_pixels_is_believed() -> None:
    content = photo("PNG", 6).getvalue()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    moved = content[:start] + content[end:-12] + content[start:end] + content[-12:]
    assert read(moved).size == (32, 48)
    assert stored(io.BytesIO(moved)).orientation == 6


def test_a_png_is_not_decoded() -> None:
    content = photo("PNG", 6).getvalue()
    damaged = content[: content.index(b"IDAT") + 12]
    assert stored(io.BytesIO(damaged)).upright == (32, 48)


def test_what_is_no_photo_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no photo")
    with pytest.raises(UnreadableImage, match=r"a\.jpg"):
        stored(tmp_path / "a.jpg")
