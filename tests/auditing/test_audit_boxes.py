"""What an audit finds in photos with boxes: faults of boxes, and copies that disagree or leak."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from annotated import PHOTOS, Photo, write_coco, write_csv, write_photos, write_yolo
from mobilenets.auditing.audit import Audit, audit, audit_splits
from mobilenets.auditing.clean import write_clean
from mobilenets.data.sources.boxes.read import read_boxes
from mobilenets.data.sources.read import read_named_splits, read_splits
from mobilenets.preprocess import Preprocess

WIDTH = 50  # of `annotated`'s photos


def found(result: Audit, kind: str) -> dict[str, str]:
    """The names of the files with a fault, and why."""
    return {finding.paths[0].name: finding.why for finding in result.findings[kind]}


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A CSV with every fault of a box once, and photos that have none."""
    photos = {
        "good.jpg": Photo([("dog", (5, 4, 20, 30)), ("cat", (30, 4, 45, 30))]),
        "outside.jpg": Photo([("dog", (5, 4, 20, 30))]),
        "flat.jpg": Photo([("dog", (5, 4, 20, 30))]),
        "twice.jpg": Photo([("dog", (5, 4, 20, 30)), ("cat", (5, 4, 20, 30))]),
        "small.jpg": Photo([("dog", (5, 4, 20, 30)), ("dog", (30, 30, 31, 31))]),
        "nothing.jpg": Photo([]),
    }
    photos |= {f"more{k}.jpg": Photo([("dog", (k, k, 20 + k, 20 + k))]) for k in range(20)}
    table = write_csv(tmp_path, photos)
    with table.open("a") as file:
        file.write("photos/outside.jpg,cat,40,30,60,39\nphotos/flat.jpg,cat,7,7,7,20\nphotos/good.jpg,cat,30,4,45,30\n")
    return table


def test_every_fault_of_a_box_is_found_in_its_photo_and_in_no_other(pets: Path) -> None:
    result = audit(pets, size=64)
    assert found(result, "box_outside") == {"outside.jpg": "cat: reaches beyond the photo"}
    assert found(result, "box_empty") == {"flat.jpg": "cat: no area"}
    assert found(result, "box_doubled") == {"twice.jpg": "cat and dog at one place", "good.jpg": "cat: drawn twice"}
    assert found(result, "box_small") == {"small.jpg": "1 of 2 boxes is under 8 pixels at 64: dog"}
    assert found(result, "no_objects") == {"nothing.jpg": "nothing is drawn on it"}
    assert found(result, "box_few") == {"boxes.csv": "cat: 3 boxes"}
    assert result.classes == ("cat", "dog")


def test_a_box_is_tiny_by_the_size_of_the_input(pets: Path) -> None:
    assert "small.jpg" in found(audit(pets, size=320), "box_small"), "7 pixels of 320"
    assert audit(pets, size=512).findings["box_small"] == []


def test_only_what_can_be_wrong_with_boxes_is_looked_for(pets: Path) -> None:
    kinds = audit(pets).to_dict().keys()
    assert {"box_outside", "leak", "blurred"} <= kinds
    assert not kinds & {"imbalance", "cropped", "odd_aspect", "likely_mislabelled"}


def test_copies_have_to_agree_in_what_they_show_not_in_corners(tmp_path: Path) -> None:
    dog, dogs, cat = ([("dog", (5, 4, 20, 30))], [("dog", (6, 5, 20, 30))], [("cat", (5, 4, 20, 30))])
    write_coco(tmp_path, {name: Photo(own) for name, own in (("a.jpg", dog), ("b.jpg", dogs), ("c.jpg", cat))})
    result = audit(tmp_path)
    assert result.findings["duplicate_across_classes"] == []
    shutil.copy(tmp_path / "images" / "a.jpg", tmp_path / "images" / "b.jpg")
    result = audit(tmp_path)
    assert (len(result.findings["exact_duplicate"]), result.findings["duplicate_across_classes"]) == (1, [])
    assert len(list(csv.DictReader(_cleaned(result, tmp_path).splitlines()))) == 2, "one of two that agree is kept"
    shutil.copy(tmp_path / "images" / "a.jpg", tmp_path / "images" / "c.jpg")
    (finding,) = audit(tmp_path).findings["duplicate_across_classes"]
    assert finding.why == "one photo, labelled cat and dog"


def _cleaned(result: Audit, folder: Path) -> str:
    write_clean(result, folder / "clean.csv")
    text = (folder / "clean.csv").read_text()
    (folder / "clean.csv").unlink()
    return text


def test_a_photo_in_training_and_validation_is_a_leak(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        own = {f"{split}{k}.jpg": Photo([("dog", (k, k, 20, 20))]) for k in range(3)}
        write_yolo(tmp_path / split, own)
        (tmp_path / split / "data.yaml").unlink()
    (tmp_path / "data.yaml").write_text("train: train/images\nval: valid/images\nnames: [cat, dog]\n")
    shutil.copy(tmp_path / "train/images/train1.jpg", tmp_path / "valid/images/valid2.jpg")
    leaks = [{path.name for path in finding.paths} for finding in audit(tmp_path).findings["leak"]]
    assert {"train1.jpg", "valid2.jpg"} in [{*leak} & {"train1.jpg", "valid2.jpg"} for leak in leaks]


def test_the_clean_csv_of_boxes_is_read_as_the_same_boxes(tmp_path: Path) -> None:
    write_coco(tmp_path, PHOTOS)
    result = audit(tmp_path)
    write_clean(result, tmp_path / "clean.csv")
    before, _ = read_boxes(tmp_path) or pytest.fail("no boxes")
    texts, parts = read_named_splits(tmp_path / "clean.csv")
    (after,) = parts.values()
    assert {s.path.name: texts[s.label] for s in after} == {s.path.name: before.names[s.label] for s in before}


def test_the_report_of_a_run_has_the_faults_of_what_it_was_given(pets: Path) -> None:
    splits = read_splits(pets)
    result = audit_splits(pets, splits, preprocess=Preprocess(size=64, fit="squash"))
    assert "small.jpg" in found(result, "box_small")
    assert "outside.jpg" in found(result, "box_outside")


def test_data_for_boxes_that_lies_in_class_folders_is_still_audited_as_classes(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        write_photos(tmp_path / name, {f"{k}.jpg": Photo([]) for k in range(3)})
    result = audit(tmp_path)
    assert result.classes == ("cat", "dog")
    assert not any(kind.startswith("box") for kind in result.findings)
