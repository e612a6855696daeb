"""What a file is, by content: real files of every format, under any name."""

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.preprocess import decode, formats
from mobilenets.preprocess.decode import NotAnImage, read
from mobilenets.preprocess.formats import is_image, kind_of, sniff
from mobilenets.preprocess.notes import NOTES

PILLOWS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "AVIF", "JPEG2000")
RED = (200, 60, 50)
HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(100)


def photo(width: int = 32, height: int = 24) -> Image.Image:
    return Image.new("RGB", (width, height), RED)


def saved(format: str, **options: object) -> bytes:
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    content = io.BytesIO()
    photo().save(content, format, **options)
    return content.getvalue()


@pytest.fixture
def without_heif(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where pillow-heif is not installed."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    _forget()
    yield
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    formats.reads.cache_clear()
    formats._formats.cache_clear()
    formats.suffixes.cache_clear()


@pytest.mark.parametrize("name", ["a.jpg", "A.JPG", "b.Jpeg", "c.png", "d.webp", "e.tif", "f.TIFF", "g.bmp", "h.gif"])
def test_picture_suffixes_are_known_in_any_case(name: str) -> None:
    assert is_image(name)
    assert is_image(Path("folder") / name)


@pytest.mark.parametrize("name", ["a.txt", "jpg", "a.jpg.part", "a.eps", "labels.csv", "._a.jpg", ".jpg", ""])
def test_other_names_are_not_those_of_pictures(name: str) -> None:
    assert not is_image(name)


def test_every_known_suffix_belongs_to_a_format_that_is_read() -> None:
    Image.init()
    of_pillow = formats.suffixes() - formats.SUFFIXES_OF["HEIF"] - {".pnm"}
    assert {Image.registered_extensions()[suffix] for suffix in of_pillow} <= {
        *PILLOWS,
        "MPO",  # read as JPEG
        "DIB",  # read as BMP
    }


@pytest.mark.parametrize("format", [*PILLOWS, "HEIF"])
@pytest.mark.parametrize("name", ["photo", "photo.txt", "photo.jpg", "photo.pdf", "photo.nef.bak"])
def test_a_picture_is_known_and_read_under_any_name(format: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(saved(format))
    assert kind_of(path) == format
    assert np.abs(np.asarray(read(path), int).mean((0, 1)) - RED).max() < 6
    assert decode.header(path) == (format, 32, 24)


@pytest.mark.parametrize("format", ["AVIF", "HEIF"])
def test_pictures_that_lie_on_their_side_are_turned_upright(format: str) -> None:
    exif = Image.Exif()
    exif[0x112] = 6  # turn clockwise by a quarter
    assert read(saved(format, exif=exif.tobytes())).size == (24, 32)


@pytest.mark.parametrize("mode", ["P1", "P2", "P4", "P5", "P6"])
def test_portable_maps_are_told_from_text_that_begins_alike(mode: str) -> None:
    assert sniff(f"{mode}\n# made by hand\n 3 2\n255\n".encode()) == "PPM"
    assert sniff(f"{mode} is the parameter of this method".encode()) == "other"
    assert sniff(b"BMW, Audi and others") == "other"


OTHERS = {
    "video": [b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", b"RIFF\0\0\0\0AVI LIST",
              b"\x1a\x45\xdf\xa3", b"\0\0\0\x08wide\0\0\0\0mdat"],
    "PDF": [b"%PDF-1.7\n"],
    "archive": [b"PK\3\4\x14\0", b"\x1f\x8b\x08", b"Rar!\x1a\7\0", b"7z\xbc\xaf\x27\x1c"],
    "SVG": [b"<svg xmlns='http://www.w3.org/2000/svg'>", b"<?xml version='1.0'?>\n<svg width='3'>"],
    "HEIF": [HEIC, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"],
    "AVIF": [b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiafMA1B"],
    "JPEG XL": [b"\xff\x0a\xfa\x7f", b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl "],
    "Photoshop": [b"8BPS\0\1"],
    "icon": [b"\0\0\1\0\1\0"],
    "PostScript": [b"%!PS-Adobe-3.0 EPSF-3.0"],
    "camera raw": [b"II*\0\x10\0\0\0CR\2\0", b"FUJIFILMCCD-RAW 0201", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"],
    "empty": [b""],
    "other": [b"path,label\n", b"{}", b"<html>", b"<?xml version='1.0'?><annotation>", bytes(64), b"RIFF\0\0\0\0WAVE",
              "注意".encode()],
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_picture_read_here_is_known_too(kind: str) -> None:
    for beginning in OTHERS[kind]:
        assert sniff(beginning[: formats.SNIFFED]) == kind, beginning


def test_camera_raw_files_are_not_taken_for_the_thumbnail_in_them(tmp_path: Path) -> None:
    (tmp_path / "DSC_1.NEF").write_bytes(saved("TIFF"))
    assert kind_of(tmp_path / "DSC_1.NEF") == "camera raw"


def test_a_pipe_is_not_waited_for_and_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert kind_of(tmp_path / "pipe") == "closed"
    assert kind_of(tmp_path) == "closed"
    assert kind_of(tmp_path / "gone") == "closed"


@pytest.mark.usefixtures("without_heif")
def test_heic_without_its_reader_is_refused_with_the_name_of_the_extra(tmp_path: Path) -> None:
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(HEIC)
    assert not is_image(path)
    with pytest.raises(NotAnImage, match=r"IMG_1\.HEIC: .*HEIF.*pip install 'mobilenets\[heic\]'"):
        read(path)


@pytest.mark.parametrize(
    "content", [b"%!PS-Adobe-3.0\n%%BoundingBox: 0 0 9 9\n", b"8BPS\0\1" + bytes(60), b"\0\0\1\0\1\0"]
)
def test_the_list_of_decoders_stays_closed_also_after_others_were_loaded(content: bytes) -> None:
    Image.init()
    with pytest.raises(NotAnImage, match="no photo of a kind read here"):
        read(content)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG", "AVIF", "MPO"])
def test_of_several_pictures_in_a_file_the_first_is_seen_and_it_is_said(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Frames of an animation and pages; not what a phone keeps behind a JPEG."""
    frames = [Image.new("RGB", (40, 30), colour) for colour in ((200, 30, 30), (30, 200, 30), (30, 30, 200))]
    several, alone = tmp_path / "several", tmp_path / "alone"
    frames[0].save(several, kind, save_all=True, append_images=frames[1:])
    frames[0].save(alone, kind)
    NOTES.warn_counts()  # of other tests
    capfd.readouterr()
    assert np.abs(np.subtract(decode.read(alone).getpixel((20, 15)), (200, 30, 30))).max() < 8
    assert capfd.readouterr().err == ""
    seen = decode.read(several).getpixel((20, 15))
    assert np.abs(np.subtract(seen, (200, 30, 30))).max() < 8
    told = capfd.readouterr().err
    assert told.count("\n") == (kind != "MPO")
    assert ("several: holds several pictures; the first is seen" in told) == (kind != "MPO")


def test_a_file_that_is_damaged_behind_its_first_page_is_read(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (40, 30), (200, 30, 30))] * 2
    path = tmp_path / "pages.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    content = path.read_bytes()
    first = int.from_bytes(content[4:8], "little")
    count = int.from_bytes(content[first : first + 2], "little")
    after = first + 2 + 12 * count  # where the second directory is said to be
    path.write_bytes(content[:after] + (len(content) + 1000).to_bytes(4, "little") + content[after + 4 :])
    assert decode.read(path).getpixel((0, 0)) == (200, 30, 30)
