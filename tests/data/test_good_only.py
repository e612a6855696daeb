"""Data with one class to learn from: good ones, and what is a defect beside them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.data.samples import Splits
from mobilenets.data.sources.read import read_named_splits, read_splits
from mobilenets.errors import UserError


def put(folder: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 9 * i, np.uint8)).save(path)
    return folder


def numbered(folder: str, count: int) -> list[str]:
    return [f"{folder}/{i}.png" for i in range(count)]


def texts(splits: Splits, split: str) -> list[str]:
    samples = {"train": splits.train, "val": splits.val, "test": splits.test}[split]
    return sorted({splits.classes[k] for k in samples.labels.tolist()})


def test_a_single_class_is_understood_as_good_ones_and_that_is_said(tmp_path: Path) -> None:
    splits = read_splits(put(tmp_path, *numbered("part", 10)))
    assert splits.survey.task == "anomaly"
    assert (len(splits.train), len(splits.val), splits.objective.classes) == (8, 2, ("part",))
    (line,) = splits.survey.lines()
    assert "10 photos of one class, 'part': understood as good ones only" in line


def test_defects_validate_by_their_kinds(tmp_path: Path) -> None:
    good = put(tmp_path / "good", *numbered("part", 10))
    bad = put(tmp_path / "bad", "crack/0.png", "crack/1.png", "2.png")
    splits = read_splits(good, defects=bad)
    assert (len(splits.train), len(splits.val)) == (8, 5)
    assert texts(splits, "train") == ["part"]
    assert texts(splits, "val") == ["defect", "defect: crack", "part"]
    assert splits.objective.classes == ("part",)


def test_defects_are_other_photos_than_the_good_ones(tmp_path: Path) -> None:
    good = put(tmp_path / "good", *numbered("part", 10))
    with pytest.raises(UserError, match=r"defects: .*good is the training data itself"):
        read_splits(good, defects=good)


def test_with_defects_good_ones_need_no_folder_of_their_own(tmp_path: Path) -> None:
    good = put(tmp_path / "good", *[f"{i}.png" for i in range(5)])
    splits = read_splits(good, defects=put(tmp_path / "bad", "0.png"))
    assert splits.objective.classes == ("good",)
    with pytest.raises(UserError, match="no folders of classes"):
        read_splits(good)  # whether all of them are good nobody has said


def test_defects_may_lie_beside_the_good_ones(tmp_path: Path) -> None:
    put(tmp_path, *numbered("part", 5), *numbered("scratched", 3))
    splits = read_splits(tmp_path, defects=tmp_path / "scratched")
    assert (splits.objective.classes, texts(splits, "val")) == (("part",), ["defect", "part"])


def test_of_parts_only_the_training_part_is_all_good(tmp_path: Path) -> None:
    put(tmp_path, *numbered("train/good", 6), *numbered("test/good", 2), *numbered("test/crack", 3))
    splits = read_splits(tmp_path)
    assert (splits.survey.task, len(splits.test)) == ("anomaly", 5)
    assert texts(splits, "test") == ["defect: crack", "good"]


def test_a_folder_that_validates_may_hold_defects(tmp_path: Path) -> None:
    good = put(tmp_path / "data", *numbered("good", 5))
    val = put(tmp_path / "val", *numbered("good", 2), *numbered("bent", 2))
    splits = read_splits(good, val=val)
    assert (len(splits.train), texts(splits, "val")) == (5, ["defect: bent", "good"])


def test_what_cannot_be_learned_from_is_told(tmp_path: Path) -> None:
    good, empty = put(tmp_path / "data", *numbered("part", 4)), tmp_path / "empty"
    empty.mkdir()
    two = put(tmp_path / "two", "a/0.png", "a/1.png", "b/0.png", "b/1.png")
    bad = put(tmp_path / "bad", "part/0.png")
    for data, defects, told in (
        (put(tmp_path / "one", "part/0.png"), None, "one photo of 'part'; good ones only need 2 or more"),
        (good, empty, "--defects .*empty: holds no photos"),
        (good, tmp_path / "nowhere", "--defects .*nowhere: no such folder"),
        (good, bad, "its folder 'part' is called as the good ones are"),
        (two, bad, "--defects: is for good ones only"),
    ):
        with pytest.raises(UserError, match=told):
            read_splits(data, defects=defects)


def test_an_audit_reads_parts_of_which_only_the_test_part_shows_defects(tmp_path: Path) -> None:
    put(tmp_path, *numbered("train/good", 4), *numbered("test/good", 2), *numbered("test/crack", 3))
    classes, splits = read_named_splits(tmp_path)
    assert {name: len(part) for name, part in splits.items()} == {"train": 4, "test": 5}
    assert {classes[k] for k in splits["test"].labels.tolist()} == {"good", "defect: crack"}
