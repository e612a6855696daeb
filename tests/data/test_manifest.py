"""`data.csv` of a run: what it says of every photograph, and how they are found again."""

import csv
import hashlib
import io
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.data.manifest import COLUMNS, FILE, Manifest, base_of, list_images, manifest_of, run_of
from mobilenets.data.match import Matched, match
from mobilenets.data.sources.read import read_splits
from mobilenets.errors import UserError


def save(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(path, format="PNG")
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes of six photographs."""
    for k, name in enumerate(("红", "b")):
        for i in range(6):
            save(tmp_path / "photos" / name / f"{i}.png", 10 * k + i)
    return tmp_path / "photos"


def listed(data: Path, val: Path | None = None) -> Manifest:
    return list_images(read_splits(data, val=val), data, val)


def matched(manifest: Manifest, data: Path, val: Path | None = None, seed: int = 1) -> Matched:
    """With another seed than the run's: how the data would be split now must not matter."""
    found = read_splits(data, val=val) if val else read_splits(data, seed=seed)
    return match(manifest, found, data, val)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- the file -------------------------------------------------------------------------------------------


def test_every_photograph_has_a_row_with_its_place_class_split_size_and_hash(data: Path, tmp_path: Path) -> None:
    splits = read_splits(data)
    listed(data).write(tmp_path / FILE)
    rows = rows_of(tmp_path / FILE)
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 12
    for row in rows:
        content = Path(row["folder"], row["path"]).read_bytes()
        assert Path(row["folder"]).is_absolute()
        assert row["label"] == Path(row["path"]).parent.name
        assert (int(row["bytes"]), row["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    for name, samples in (("train", splits.train), ("val", splits.val)):
        own = [Path(row["folder"], row["path"]) for row in rows if row["split"] == name]
        assert own == [sample.path for sample in samples]


def test_what_is_written_is_read(data: Path, tmp_path: Path) -> None:
    for odd in ("a,b.png", 'say "cheese".png', "two\nlines.png", "car\rriage.png", " white .png"):
        save(data / "b" / odd, len(odd))
    save(Path(os.fsdecode(os.fsencode(data / "b") + b"/caf\xe9.png")), 99)
    manifest = listed(data)
    manifest.write(tmp_path / FILE)
    again = Manifest.read(tmp_path / FILE)
    assert len(again) == 18
    for name in ("paths", "labels", "splits", "folders"):
        assert getattr(again, name) == getattr(manifest, name)
    assert (again.sizes == manifest.sizes).all()
    assert (again.digests == manifest.digests).all()
    assert again.classes == ("b", "红")
    assert not matched(again, data).describe()


def test_a_photograph_that_cannot_be_read_has_no_hash(data: Path) -> None:
    (data / "b" / "0.png").unlink()
    (data / "b" / "0.png").symlink_to("nowhere")
    manifest = listed(data)
    assert [manifest.paths[i] for i in np.flatnonzero(~manifest.hashed)] == ["b/0.png"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) - 100],
        lambda text: text.replace("train", "drain"),
        lambda text: text.replace(",val,", ",val,x"),
        lambda text: text + "\0\xff",
    ],
)
def test_a_damaged_file_is_named_with_its_line(data: Path, tmp_path: Path, damage) -> None:
    listed(data).write(tmp_path / FILE)
    text = (tmp_path / FILE).read_text("utf-8")
    (tmp_path / FILE).write_text(damage(text), "utf-8")
    with pytest.raises(UserError, match=r"data\.csv, line \d+: "):
        manifest_of(tmp_path)


def test_a_list_of_anybodys_in_a_folder_that_is_no_run_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("path,label\na.jpg,rose\n")
    assert manifest_of(tmp_path) is None
    (tmp_path / "config.yaml").touch()
    with pytest.raises(UserError, match=r"data\.csv"):
        manifest_of(tmp_path)


def test_a_model_knows_the_run_that_it_lies_in(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "exports" / "onnx").mkdir(parents=True)
    listed(data).write(run / FILE)
    for model in (run, run / "model.onnx", run / "exports" / "onnx", run / "exports" / "onnx" / "model.onnx"):
        if model.suffix:
            model.touch()
        assert run_of(model) == run
    assert run_of(tmp_path / "model.onnx") is None


def test_members_of_shards_have_rows_too(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "0.tar", "w") as tar:
        for i in range(8):
            content = save(tmp_path / "x.png", i).read_bytes()
            for name, body in ((f"{i}.png", content), (f"{i}.cls", b"ab"[i % 2 : i % 2 + 1])):
                info = tarfile.TarInfo(name)
                info.size = len(body)
                tar.addfile(info, io.BytesIO(body))
    manifest = listed(tmp_path / "shards")
    assert sorted(manifest.paths) == [f"0.tar/{i}.png" for i in range(8)]
    content = save(tmp_path / "x.png", 3).read_bytes()
    digest = manifest.digests[manifest.paths.index("0.tar/3.png")]
    assert digest.tobytes() == hashlib.sha256(content).digest()
    moved = (tmp_path / "shards").rename(tmp_path / "elsewhere")
    found = matched(manifest, moved)
    assert found.is_exact
    assert len(found.splits.train) == len(manifest.of("train"))


@pytest.mark.parametrize(
    ("data", "base"), [("a/b.csv", "a"), ("a/{000..003}.tar", "a"), ("a/*/x.tar", "a"), ("b.csv", "."), ("*.tar", ".")]
)
def test_paths_are_relative_to_the_folder_of_the_data(data: str, base: str) -> None:
    assert base_of(Path(data)) == Path(base)


# --- found again ----------------------------------------------------------------------------------------


def test_the_split_of_the_run_is_kept_in_its_order_whatever_would_be_drawn_now(data: Path) -> None:
    splits = read_splits(data)
    found = matched(listed(data), data)
    assert (found.splits.train, found.splits.val) == (splits.train, splits.val)
    assert read_splits(data, seed=1).val != splits.val
    assert found.is_exact
    assert found.describe() == []


def test_what_came_went_or_changed_is_named_and_left_out(data: Path) -> None:
    manifest = listed(data)
    save(data / "b" / "new.png", 77)
    (data / "b" / "0.png").unlink()
    save(data / "b" / "1.png", 78)
    shutil.move(data / "b" / "2.png", data / "红" / "2b.png")
    found = matched(manifest, data)
    assert (found.came, found.gone, found.changed) == (("b/new.png",), ("b/0.png",), ("b/1.png",))
    assert found.relabelled == ("b/2.png",)
    assert not found.is_exact
    assert [line.split(":")[0] for line in found.describe()] == [
        "1 photo came since and is left out",
        "1 photo is gone",
        "1 photo is changed and left out",
        "1 photo is labelled otherwise now and left out",
    ]
    kept = {s.path.name for s in (*found.splits.train, *found.splits.val) if s.path.parent.name == "b"}
    assert kept == {"3.png", "4.png", "5.png"}


def test_a_photograph_under_another_name_is_known_by_its_content(data: Path) -> None:
    manifest = listed(data)
    order = [sample.path.parent.name for sample in read_splits(data).train]
    for path in sorted(data.rglob("*.png")):
        path.rename(path.with_name(f"renamed {path.name}"))
    found = matched(manifest, data)
    assert found.moved == 12
    assert found.is_exact
    assert [sample.path.parent.name for sample in found.splits.train] == order


def test_names_that_changed_places_are_told_by_content(data: Path) -> None:
    manifest = listed(data)
    one, other = data / "b" / "0.png", data / "b" / "1.png"
    one.rename(data / "x")
    other.rename(one)
    (data / "x").rename(other)
    found = matched(manifest, data)
    assert (found.moved, found.changed, found.came) == (2, (), ())


def test_a_folder_of_its_own_for_validation_may_have_the_same_names(data: Path, tmp_path: Path) -> None:
    for k, name in enumerate(("红", "b")):
        for i in range(6):
            save(tmp_path / "held" / name / f"{i}.png", 100 + 10 * k + i)
    manifest = listed(data, tmp_path / "held")
    assert len(set(manifest.folders)) == 2
    found = matched(manifest, data, tmp_path / "held")
    assert found.is_exact
    assert {sample.path.parents[1].name for sample in found.splits.val} == {"held"}


def test_a_photograph_listed_twice_is_found_twice(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    rows = [f"photos/{name}/{i}.png,{name}" for name in ("红", "b") for i in range(6)]
    table.write_text("\n".join(["path,label", *rows, rows[0], rows[-1]]) + "\n", "utf-8")
    manifest = listed(table)
    found = matched(manifest, table)
    assert len(manifest) == 14
    assert found.is_exact
    assert found.came == ()


def test_a_copy_is_recognised_under_any_name_by_its_content(data: Path, tmp_path: Path) -> None:
    manifest = listed(data)
    split = dict(zip(manifest.paths, manifest.splits, strict=True))
    save(tmp_path / "more" / "红" / "5.png", 60)
    for i in range(6):
        save(tmp_path / "more" / "b" / f"{i}.png", 50 + i)
    for i in range(1, 6):
        shutil.copy(data / "红" / f"{i}.png", tmp_path / "more" / "红" / f"{5 - i}.png")
    splits = read_splits(tmp_path / "more")
    for samples in (splits.train, splits.val):
        for sample, known in zip(samples, manifest.recognise(samples), strict=True):
            i = 5 - int(sample.path.stem)
            expected = split[f"红/{i}.png"] if sample.path.parent.name == "红" and i else None
            assert known == expected


def test_what_was_trained_on_in_any_copy_counts_as_trained_on(data: Path) -> None:
    manifest = listed(data)
    row = int(manifest.of("train")[0])
    again = manifest + manifest.take([row]).relabelled("val")
    assert again.split_of_content[manifest.digests[row].tobytes()] == "train"
