"""Photos cut into tiles: files in the cache, made once, with the pixels and the boxes of what they show."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotated import UNDO
from mobilenets.data import tiles
from mobilenets.data.manifest import list_images
from mobilenets.data.samples import Samples, SamplesBuilder, Splits
from mobilenets.data.sources.survey import Survey
from mobilenets.data.tiles import cut
from mobilenets.system.cache_dir import cached_files
from mobilenets.tasks.detect.targets import Box, boxes_of, text_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def photo(path: Path, orientation: int = 1) -> np.ndarray:
    """Black, 300×200 when upright, with a white box; its upright pixels."""
    pixels = np.zeros((200, 300, 3), np.uint8)
    pixels[20:60, 110:150] = 255
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = orientation
    if orientation in UNDO:
        image = image.transpose(UNDO[orientation])
    image.save(path, exif=exif, **({"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}))
    return pixels


WHITE = text_of([Box("white", 110 / 300, 20 / 200, 150 / 300, 60 / 200)])


def samples(folder: Path, *names: str, group: str | None = None) -> Samples:
    found = SamplesBuilder(str(folder), are_classes=False)
    for name in names:
        found.add(name, WHITE, "train", group)
    return found.samples()


@pytest.mark.parametrize(("name", "orientation"), [("a.png", 1), ("a.jpg", 1), ("b.jpg", 6), ("c.jpg", 8)])
def test_a_tile_has_the_pixels_and_the_boxes_of_its_part_of_the_upright_photo(
    tmp_path: Path, name: str, orientation: int
) -> None:
    photo(tmp_path / name, orientation)
    found = cut(samples(tmp_path, name), 128, Survey())
    assert len(found) == 6, "three across, two down"
    for sample in found:
        assert sample.path.suffix == Path(name).suffix
        pixels = np.asarray(Image.open(sample.path).convert("L"))
        assert pixels.shape == (128, 128)
        drawn = np.zeros((128, 128), np.bool_)
        for box in boxes_of(found.names[sample.label]):
            left, top, right, bottom = (round(128 * value) for value in box[1:5])
            drawn[top:bottom, left:right] = True
        assert ((pixels > 128) == drawn).mean() > 0.99


def test_tiles_are_of_their_photos_group_and_part_and_small_photos_stay(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    Image.new("RGB", (100, 128)).save(tmp_path / "small.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    survey = Survey()
    found = cut(samples(tmp_path, "a.png", "small.png", "broken.png"), 128, survey)
    assert {sample.group for sample in found[:6]} == {str(tmp_path / "a.png")}
    assert [sample.path for sample in found[6:]] == [tmp_path / "small.png", tmp_path / "broken.png"]
    assert found.split_names() == {"train"}
    assert survey.notes == [
        "--tile 128: 1 photo cut into 6 tiles that overlap by 25 %, 4 of them without objects; 2 photos "
        "small enough, or not readable"
    ]
    assert {sample.group for sample in cut(samples(tmp_path, "a.png", group="site 1"), 128, Survey())} == {"site 1"}


def test_tiles_are_cut_once_until_the_photo_or_the_size_is_another(tmp_path: Path, cache: Path) -> None:
    photo(tmp_path / "a.png")
    first = cut(samples(tmp_path, "a.png"), 128, Survey())
    times = {path: path.stat().st_mtime_ns for path, _ in cached_files()}
    assert sorted(times) == sorted(sample.path for sample in first)
    first[0].path.unlink()
    assert cut(samples(tmp_path, "a.png"), 128, Survey()) == first
    assert first[0].path.is_file(), "what is missing is made again"
    cut(samples(tmp_path, "a.png"), 160, Survey())
    photo(tmp_path / "a.png", 3)
    again = cut(samples(tmp_path, "a.png"), 128, Survey())
    assert not {sample.path for sample in again} & {sample.path for sample in first}


@pytest.mark.parametrize("revision", [tiles.REVISION, tiles.REVISION + 1])
def test_a_photo_is_known_by_any_of_its_tiles_however_a_later_version_cuts_them(
    tmp_path: Path, revision: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png", "new.png"):
        photo(tmp_path / name)
    for name, size in (("b.png", (301, 200)), ("new.png", (302, 200))):  # other contents
        Image.open(tmp_path / name).resize(size).save(tmp_path / name)
    shutil.copy(tmp_path / "a.png", tmp_path / "copy.png")
    train, val = (cut(samples(tmp_path, name), 128, Survey()) for name in ("a.png", "b.png"))
    val = val.relabelled([0] * len(val.names), train.names)
    manifest = list_images(Splits(train.names, train, val, val[:0]), tmp_path)
    monkeypatch.setattr(tiles, "REVISION", revision)
    monkeypatch.setitem(tiles._PNG, "compress_level", revision)
    photos = samples(tmp_path, "copy.png", "b.png", "new.png")
    assert manifest.recognise(photos) == ["train", "val", None]
    for side in (128, 160):
        again = cut(photos, side, Survey())
        assert manifest.recognise(again) == ["train"] * 6 + ["val"] * 6 + [None] * 6


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, cache: Path) -> None:
    cache.write_text("a file")
    photo(tmp_path / "a.png")
    with pytest.raises(Exception, match=r"--tile: .* cannot be written"):
        cut(samples(tmp_path, "a.png"), 128, Survey())


def test_that_tiles_of_deep_photos_have_eight_bits_is_said(tmp_path: Path) -> None:
    Image.fromarray(np.arange(40_000, dtype=np.uint16).reshape(200, 200)).save(tmp_path / "a.png")
    survey = Survey()
    found = cut(samples(tmp_path, "a.png"), 128, survey)
    assert Image.open(found[0].path).mode in ("L", "RGB")
    assert "1 photo of more than 8 bits a channel; tiles have 8" in survey.notes[1]
