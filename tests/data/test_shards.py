"""Photographs inside tar shards and parquet files are photographs like any other."""

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import webdataset
from PIL import Image

from mobilenets.data.augment import Augment
from mobilenets.data.cache.images import DiskCache
from mobilenets.data.loader import Loader, Skipped
from mobilenets.data.sources.read import read_samples, read_splits
from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.decode import UnreadableImage

PREPROCESS = Preprocess(size=16)
NAMES = ("tulip", "daisy", "玫瑰")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def _photo(i: int) -> bytes:
    content = io.BytesIO()
    pixels = np.random.default_rng(i).integers(0, 256, (24 + i, 30, 3), np.uint8)
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def _folder(folder: Path, count: int = 30) -> Path:
    """The same photographs as files."""
    for i in range(count):
        path = folder / NAMES[i % 3] / f"{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_photo(i))
    return folder


def _shards(folder: Path, count: int = 30, prefix: str = "") -> Path:
    """Three shards, written by the webdataset library."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(3):
        with webdataset.TarWriter(str(folder / f"{prefix}{shard:03d}.tar")) as tar:
            for i in range(shard, count, 3) if not prefix else range(count):
                label: dict[str, Any] = {"cls": NAMES[i % 3]} if i % 2 else {"json": {"label": NAMES[i % 3], "id": i}}
                tar.write({"__key__": f"deep/{i:03d}", "png": _photo(i), **label})
    return folder


def _table(rows: range, names: bool = True) -> pyarrow.Table:
    image = pyarrow.array([{"bytes": _photo(i), "path": f"{i:03d}.png" if names else None} for i in rows])
    labels = pyarrow.array([i % 3 for i in rows])
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": NAMES}}
    noted = json.dumps({"info": {"features": features}})
    return pyarrow.table({"image": image, "label": labels}).replace_schema_metadata({"huggingface": noted})


def _parquet(folder: Path, part: str = "data", rows: range = range(30)) -> Path:
    """Files as the `datasets` library writes them, with row groups of four."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    half = len(rows) // 2
    for k, some in enumerate((rows[:half], rows[half:])):
        path = folder / "data" / f"{part}-0000{k}-of-00002.parquet"
        pyarrow.parquet.write_table(_table(some), path, row_group_size=4)
    return folder


def _pixels(samples: Any, **options: Any) -> dict[str, bytes]:
    """The pixels by the photograph's name."""
    loader = Loader(samples, PREPROCESS, 4, **options)
    shown = [(i, pixels) for batch in loader.epoch(0) for i, pixels in zip(batch.indices, batch.pixels, strict=True)]
    return {loader.samples[int(i)].path.name: pixels.tobytes() for i, pixels in shown}


@pytest.mark.parametrize("make", [_shards, _parquet])
def test_pixels_and_labels_are_those_of_the_files(tmp_path: Path, make: Any) -> None:
    classes, files = read_samples(_folder(tmp_path / "files"))
    inside_classes, inside = read_samples(make(tmp_path / "inside"))
    assert inside_classes == classes == tuple(sorted(NAMES))
    assert {s.path.name: s.label for s in inside} == {s.path.name: s.label for s in files}
    assert _pixels(inside) == _pixels(files)
    assert _pixels(inside, shuffle=True, workers=4) == _pixels(files)


@pytest.mark.parametrize("make", [_shards, _parquet])
def test_epochs_are_the_same_for_any_number_of_threads_and_from_anywhere(tmp_path: Path, make: Any) -> None:
    train = read_splits(make(tmp_path / "data")).train
    options = {"augment": Augment(), "shuffle": True, "seed": 3}
    plain = [b.pixels for b in Loader(train, PREPROCESS, 4, workers=0, **options).epoch(2)]
    other = Loader(train, PREPROCESS, 4, workers=3, cache=DiskCache(), **options)
    for start in (0, 3):
        resumed = [b.pixels for b in other.epoch(2, start)]
        assert all(np.array_equal(a, b) for a, b in zip(plain[start:], resumed, strict=True))


@pytest.mark.parametrize("make", [_shards, _parquet])
def test_the_split_is_stratified_and_seeded(tmp_path: Path, make: Any) -> None:
    data = make(tmp_path / "data")
    splits = read_splits(data, seed=1)
    assert np.bincount(splits.val.labels).tolist() == [2, 2, 2]
    assert read_splits(data, seed=1) == splits != read_splits(data, seed=2)
    assert not {s.path for s in splits.train} & {s.path for s in splits.val}


def test_shards_may_be_named_by_braces_stars_or_one_by_one(tmp_path: Path) -> None:
    folder = _shards(tmp_path / "shards")
    for data, count in (("{000..002}.tar", 30), ("{000,002}.tar", 20), ("*.tar", 30), ("", 30)):
        assert len(read_splits(folder / data).train) + len(read_splits(folder / data).val) == count
    with pytest.raises(UserError, match=r"003\.tar: no such file, but .*\{000\.\.003\}"):
        read_splits(folder / "{000..003}.tar")


def test_parts_follow_the_names_of_the_shards(tmp_path: Path) -> None:
    tars = _shards(_shards(tmp_path / "tars", 6, "train-"), 3, "val-")
    splits = read_splits(tars)
    assert (len(splits.train), len(splits.val)) == (18, 9)
    parquet = _parquet(_parquet(tmp_path / "parquet", "train", range(18)), "validation", range(18, 24))
    splits = read_splits(parquet)
    assert (len(splits.train), len(splits.val)) == (18, 6)
    assert splits.val[0].path == parquet / "data" / "validation-00000-of-00002.parquet" / "0" / "018.png"


def test_validation_may_be_other_shards(tmp_path: Path) -> None:
    splits = read_splits(_shards(tmp_path / "a"), val=_shards(tmp_path / "b", 9) / "{000..002}.tar")
    assert (len(splits.train), len(splits.val)) == (30, 9)


def test_a_shard_is_read_through_once(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = _shards(tmp_path / "data")
    first = read_samples(data)
    assert len(list((home / "shards").iterdir())) == 3
    monkeypatch.setattr(tarfile, "open", None)  # whoever reads a shard through now, fails
    assert read_samples(data) == first


def test_a_shard_that_was_changed_is_read_through_again(tmp_path: Path) -> None:
    data = _shards(tmp_path / "data")
    _, before = read_samples(data)
    _shards(data, 60)
    assert len(read_samples(data)[1]) == 60
    with pytest.raises(UnreadableImage, match=r"000\.tar: was changed while in use"):
        _pixels(before)


def test_a_shard_that_vanishes_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, samples = read_samples(_shards(tmp_path / "data"))
    (tmp_path / "data" / "001.tar").unlink()
    capsys.readouterr()
    assert len(_pixels(samples, skipped=Skipped())) == 20
    (told,) = capsys.readouterr().err.splitlines()
    assert "001.tar: No such file" in told


def _tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]  # any mode
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_bad_shards_are_answered_by_name(tmp_path: Path) -> None:
    def told(path: Path) -> str:
        with pytest.raises(UserError) as error:
            read_samples(path)
        return str(error.value)

    photo = {"a.png": _photo(1)}
    assert "a.png has no class" in told(_tar(tmp_path / "1.tar", photo))
    assert "gunzip" in told(_tar(tmp_path / "2.tar", photo, "w:gz"))
    assert "not UTF-8" in told(_tar(tmp_path / "3.tar", {**photo, "a.cls": b"\xff\xfe"}))
    assert "a.json" in told(_tar(tmp_path / "4.tar", {**photo, "a.json": b"{"}))
    assert "no images" in told(_tar(tmp_path / "5.tar", {"a.txt": b"x", "a.cls": b"x"}))
    (tmp_path / "6.tar").write_bytes(b"no tar" * 1000)
    assert "6.tar: not a readable tar" in told(tmp_path / "6.tar")
    whole = _tar(tmp_path / "7.tar", {"a.cls": b"x", "a.png": _photo(9)})
    os.truncate(whole, 1700)
    assert "7.tar" in told(whole)


def test_members_are_judged_by_content_and_counted_as_files_are(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for i in range(8):
            for name, content in (
                (f"{i}.{'dat' if i % 2 else 'png'}", _photo(i)),
                (f"{i}.cls", NAMES[i % 2].encode()),
                (f"{i}.seg.png", _photo(100 + i)),
                (f"{i}.txt", b"a caption"),
                (f"{i}.mp4", b"\0\0\0\x18ftypisom" + bytes(50)),
            ):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    for _ in range(2):  # the second time from the index that is kept
        splits = read_splits(tmp_path / "x.tar")
        assert {s.path.suffix for s in [*splits.train, *splits.val]} == {".dat", ".png"}
        assert [line.split(" (")[0] for line in splits.survey.lines()] == [
            f"{tmp_path / 'x.tar'}: 8 photos beside the first of their sample are left out",
            "8 files that are no photos",
            "8 videos",
        ]


def test_names_in_a_tar_reach_nothing_outside(tmp_path: Path) -> None:
    path = _tar(
        tmp_path / "x.tar", {"../../etc/a.png": _photo(1), "../../etc/a.cls": b"a", "b.png": b"", "b.cls": b"b"}
    )
    _, samples = read_samples(path)
    assert samples[0].file == path
    loader = Loader(samples, PREPROCESS, 1, skipped=Skipped())
    assert [batch.indices.tolist() for batch in loader.epoch(0)] == [[0]]


def test_bad_parquet_is_answered_by_name(tmp_path: Path) -> None:
    def told(**columns: Any) -> str:
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
        with pytest.raises(UserError) as error:
            read_samples(tmp_path / "x.parquet")
        return str(error.value)

    assert "no column of images; it has label, text" in told(label=[1, 2], text=["a", "b"])
    assert "no column `label`; it has image" in told(image=[_photo(0), _photo(1)])
    assert "row 1 has no label" in told(image=[_photo(0), _photo(1)], label=["a", None])
    (tmp_path / "y.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(UserError, match=r"y\.parquet: not a readable parquet file"):
        read_samples(tmp_path / "y.parquet")


def test_columns_of_plain_bytes_and_labels_of_text_are_taken(tmp_path: Path) -> None:
    table = pyarrow.table({"photo": [_photo(i) for i in range(4)], "label": ["a", "b", "a", "b"]})
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    classes, samples = read_samples(tmp_path / "x.parquet")
    assert classes == ("a", "b")
    assert _pixels(samples).keys() == {"0", "1", "2", "3"}


def test_an_empty_row_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pyarrow.table({"image": [_photo(0), None, _photo(2)], "label": ["a", "b", "a"]})
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    _, samples = read_samples(tmp_path / "x.parquet")
    assert _pixels(samples, skipped=Skipped()).keys() == {"0", "2"}
    assert "x.parquet: row 1 of group 0 holds no image" in capsys.readouterr().err


@pytest.mark.parametrize("make", [_shards, _parquet])
def test_a_run_on_containers_names_every_photograph(cli: Any, tmp_path: Path, make: Any) -> None:
    data = make(tmp_path / "data")
    quick = ["--model=mobilenet_v3_small", "--weights=none", "--width=0.35", "--size=32", "--epochs=1"]
    result = cli("train", data, *quick, "--recipe=finetune", "--out", tmp_path / "run", "--cache=disk")
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / "run" / "predictions.csv").read_text("utf-8").splitlines()[1:]
    assert len({line.split(",")[0] for line in lines}) == 6
    assert all(line.split(",")[0].endswith(".png") for line in lines)
    result = cli("evaluate", tmp_path / "run", data, "--json", "--engine=onnxruntime")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert (figures["n"], figures["trained_on"]["n"]) == (6, 24)  # known by the contents of the members
