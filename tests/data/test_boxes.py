"""Boxes as five kinds of tools write them become one table, of photos stored in any orientation."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from annotated import (
    CLASSES,
    FORMS,
    HEIGHT,
    PHOTOS,
    WIDTH,
    Photo,
    coco,
    labelme,
    table,
    voc,
    write_coco,
    write_csv,
    write_labelme,
    write_photos,
    write_roboflow,
    write_voc,
    write_yolo,
    yolo,
)
from mobilenets.data.samples import Samples
from mobilenets.data.sources.boxes.read import read_boxes
from mobilenets.data.sources.csv import read_table
from mobilenets.data.sources.read import read_named_splits
from mobilenets.data.sources.survey import Survey
from mobilenets.errors import DataError
from mobilenets.tasks.detect.targets import Box, boxes_of

DOG = Photo([("dog", (5, 4, 20, 30))])
CAT = Photo([("cat", (10, 20, 50, 40))])


def opened(data: Path) -> tuple[Samples, Survey]:
    """As `read` does."""
    found = read_table(data) if data.suffix == ".csv" else read_boxes(data)
    assert found is not None
    return found


def boxes(data: Path) -> dict[str, list[tuple[str, float, float, float, float]]]:
    samples, _ = opened(data)
    return {s.path.name: [b[:5] for b in boxes_of(samples.names[s.label])] for s in samples}


def one(data: Path) -> list[Box]:
    """The boxes of the only photo."""
    samples, _ = opened(data)
    (sample,) = samples
    return list(boxes_of(samples.names[sample.label]))


def lines(data: Path) -> str:
    return "\n".join(opened(data)[1].lines())


def relative(left: float, top: float, right: float, bottom: float) -> list[float]:
    return pytest.approx([left / WIDTH, top / HEIGHT, right / WIDTH, bottom / HEIGHT], abs=1e-6)


# --- one table ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_table_of_photos_in_all_eight_orientations(form: str, tmp_path: Path) -> None:
    data = FORMS[form](tmp_path / "pets")
    found, survey = opened(data)
    assert survey.task == "detect"
    assert boxes(data) == table()
    assert all(sample.path.is_file() for sample in found)


@pytest.mark.parametrize("form", FORMS)
def test_what_was_understood_is_told_in_one_line_with_counts(form: str, tmp_path: Path) -> None:
    first = opened(FORMS[form](tmp_path / "pets"))[1].lines()[0]
    assert "10 photos, 1 without objects; 25 boxes of 3 classes (dog 16, cat 8, 黄花 1)" in first
    assert {"COCO": "COCO (annotations.json)", "CSV": "boxes.csv (corners in pixels)"}.get(form, form) in first


@pytest.mark.parametrize("form", ["COCO", "VOC", "labelme"])
def test_boxes_drawn_on_a_photo_lying_on_its_side_are_turned_with_it_and_counted(form: str, tmp_path: Path) -> None:
    told = lines(FORMS[form](tmp_path / "pets"))
    assert "boxes of 4 photos were drawn on it lying on its side" in told
    assert "3 photos with boxes stored turned (EXIF orientation); whether boxes were drawn on it upright" in told


@pytest.mark.parametrize("form", ["YOLO", "CSV"])
def test_where_no_size_is_said_it_is_told_how_many_photos_may_be_meant_otherwise(form: str, tmp_path: Path) -> None:
    (told,) = [line for line in lines(FORMS[form](tmp_path / "pets")).splitlines() if "EXIF" in line]
    assert told.startswith("warning: ")
    assert "7 photos with boxes stored turned" in told


def test_a_tool_that_knows_of_orientation_is_believed_by_the_size_it_says(tmp_path: Path) -> None:
    photo = {"a.jpg": Photo([("dog", (5, 4, 20, 30))], 6)}
    write_photos(tmp_path / "images", photo)
    (tmp_path / "annotations.json").write_text(json.dumps(coco({"a.jpg": DOG})))
    assert boxes(tmp_path) == table({"a.jpg": DOG})
    assert "EXIF" not in lines(tmp_path)


@pytest.mark.slow
def test_the_examples_of_labelme_are_one_table_too(tmp_path: Path) -> None:
    """Of Debian's package labelme-examples, fetched where apt can."""
    if shutil.which("apt-get") is None:
        pytest.skip("no apt-get")
    fetched = subprocess.run(["apt-get", "download", "labelme-examples"], cwd=tmp_path, capture_output=True)
    (package, *_) = [*tmp_path.glob("*.deb"), None]
    if fetched.returncode or package is None:
        pytest.skip("labelme-examples cannot be fetched")
    subprocess.run(["dpkg-deb", "-x", package, tmp_path / "x"], check=True)
    examples = tmp_path / "x/usr/share/doc/labelme-examples/examples"
    photos = examples / "bbox_detection/data_annotated"
    expected = boxes(photos)
    assert {name: len(own) for name, own in expected.items()} == {
        "2011_000003.jpg": 2, "2011_000006.jpg": 4, "2011_000025.jpg": 3,
    }  # fmt: skip
    assert boxes(examples / "bbox_detection/data_dataset_voc") == expected
    for written in (_as_yolo(tmp_path / "yolo", photos, expected), _as_csv(tmp_path / "csv", photos, expected)):
        again = boxes(written)
        for name, own in expected.items():
            assert [b[0] for b in again[name]] == [b[0] for b in own]
            assert [b[1:] for b in again[name]] == [pytest.approx(b[1:], abs=2e-6) for b in own]
    drawn = boxes(examples / "instance_segmentation/data_annotated")
    masks = boxes(examples / "instance_segmentation/data_dataset_coco")  # boxes of masks, to the pixel
    for name, own in masks.items():
        same = [b for b in drawn[name] if b[0] != "__ignore__"]
        assert [b[0] for b in own] == [b[0] for b in same]
        assert [b[1:] for b in own] == [pytest.approx(b[1:], abs=2.5 / 338) for b in same]


def _as_yolo(folder: Path, photos: Path, table: dict[str, list[tuple[str, float, float, float, float]]]) -> Path:
    names = sorted({box[0] for own in table.values() for box in own})
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    (folder / "data.yaml").write_text(f"train: images\nnames: {names}\n")
    for name, own in table.items():
        shutil.copy(photos / name, folder / "images" / name)
        lines = [f"{names.index(c)} {(a + x) / 2} {(b + y) / 2} {x - a} {y - b}" for c, a, b, x, y in own]
        (folder / "labels" / name).with_suffix(".txt").write_text("\n".join(lines))
    return folder


def _as_csv(folder: Path, photos: Path, table: dict[str, list[tuple[str, float, float, float, float]]]) -> Path:
    folder.mkdir()
    rows = ["path,label,xmin,ymin,xmax,ymax"]
    for name, own in table.items():
        width, height = Image.open(photos / name).size
        rows += [f"{photos / name},{c},{a * width},{b * height},{x * width},{y * height}" for c, a, b, x, y in own]
    (folder / "boxes.csv").write_text("\n".join(rows))
    return folder / "boxes.csv"


# --- forms as they are met ------------------------------------------------------------------------------


def test_coco_with_parts_in_files_and_folders_of_their_own(tmp_path: Path) -> None:
    for name, photo in (("train", {"a.jpg": DOG, "b.jpg": CAT}), ("val", {"a.jpg": CAT})):
        write_photos(tmp_path / f"{name}2017", photo)
        (tmp_path / "annotations").mkdir(exist_ok=True)
        (tmp_path / "annotations" / f"instances_{name}2017.json").write_text(json.dumps(coco(photo)))
        (tmp_path / "annotations" / f"captions_{name}2017.json").write_text(
            json.dumps({"images": [], "annotations": [{"id": 1, "image_id": 7, "caption": "a dog", "bbox": 0}]})
        )
    samples, survey = opened(tmp_path)
    assert {s.path.relative_to(tmp_path).as_posix() for s in samples.of_splits("train")} == {
        "train2017/a.jpg", "train2017/b.jpg",
    }  # fmt: skip
    (val,) = samples.of_splits("val")
    assert (val.path.parent.name, boxes_of(samples.names[val.label])[0].name) == ("val2017", "cat")
    assert "annotations/instances_train2017.json, annotations/instances_val2017.json" in survey.lines()[0]


def test_roboflows_coco_with_a_file_in_each_part_and_copies_of_one_photo_kept_together(tmp_path: Path) -> None:
    names = ("a_jpg.rf.0123.jpg", "a_jpg.rf.4567.jpg", "b_jpg.rf.89.jpg")
    for split, photos in (("train", dict.fromkeys(names, DOG)), ("valid", {"c_jpg.rf.1.jpg": CAT})):
        write_photos(tmp_path / split, photos)
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(coco(photos)))
    samples, survey = opened(tmp_path)
    assert [s.group for s in samples.of_splits("train")] == ["a_jpg", "a_jpg", None]
    assert len(samples.of_splits("val")) == 1
    assert "2 photos made of others by Roboflow" in "\n".join(survey.lines())


def test_roboflows_csv_is_read_in_its_parts_as_its_coco_is(tmp_path: Path) -> None:
    """All orientations, copies of one photo, and the same names in two parts."""
    parts = {
        "train": {name: photo for name, photo in PHOTOS.items() if photo.boxes},
        "valid": {"a_jpg.rf.0123.jpg": CAT, "a_jpg.rf.4567.jpg": DOG},
        "test": {"one.png": DOG},
    }
    for folder, photos in parts.items():
        write_roboflow(tmp_path / "csv" / folder, photos)
        write_photos(tmp_path / "coco" / folder, photos)
        (tmp_path / "coco" / folder / "_annotations.coco.json").write_text(json.dumps(coco(photos)))
    found, survey = opened(tmp_path / "csv")
    expected, _ = opened(tmp_path / "coco")
    for split, photos in zip(("train", "val", "test"), parts.values(), strict=True):
        own, same = found.of_splits(split), expected.of_splits(split)
        assert sorted(s.path.name for s in own) == sorted(photos)
        assert sorted((s.path.name, found.names[s.label], s.group) for s in own) == sorted(
            (s.path.name, expected.names[s.label], s.group) for s in same
        )
    assert {name: own for name, own in boxes(tmp_path / "csv" / "train").items() if name in PHOTOS} == {
        name: own for name, own in table().items() if own
    }
    told = "\n".join(survey.lines())
    assert "read as Roboflow's CSV (test/_annotations.csv, train/_annotations.csv, valid/_annotations.csv)" in told
    assert "boxes of 4 photos were drawn on it lying on its side" in told
    assert "2 photos made of others by Roboflow" in told


def test_roboflows_csv_without_parts_and_photos_that_it_does_not_name(tmp_path: Path) -> None:
    write_roboflow(tmp_path, {"a.jpg": DOG, "empty.jpg": Photo([])})
    samples, survey = opened(tmp_path)
    assert ([s.path.name for s in samples], samples.split_names()) == (["a.jpg"], {""})
    assert "1 photo" in next(line for line in survey.lines() if "empty.jpg" in line)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("a.jpg", "gone.jpg", "line 2: gone.jpg: no such file"),
        (",ymax", ",height2", "lacks a column of xmin, ymin, xmax, ymax"),
        (",5,4,", ",x,4,", "line 2: xmin is 'x'"),
        ("class,", "", "columns"),
    ],
)
def test_roboflows_csv_with_a_fault_is_refused_by_its_line(old: str, new: str, what: str, tmp_path: Path) -> None:
    write_roboflow(tmp_path / "train", {"a.jpg": DOG})
    file = tmp_path / "train" / "_annotations.csv"
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=what) as refused:
        opened(tmp_path)
    assert str(file) in str(refused.value)


def test_cocos_crowds_do_not_count_and_a_polygon_stands_for_a_box_that_is_not_there(tmp_path: Path) -> None:
    write_coco(tmp_path, {"a.jpg": Photo([("dog", (5, 4, 20, 30)), ("dog", (0, 0, 10, 10))])})
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["annotations"][0]["iscrowd"] = 1
    content["annotations"][0]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": [0, 2000]}
    del content["annotations"][1]["bbox"]
    content["annotations"][1]["segmentation"] = [[1, 2, 10, 2, 5, 20], [30, 3, 40, 3, 40, 30]]
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    second, first = one(tmp_path)[::-1]
    assert (first.ignore, second.ignore) == (False, True)
    assert list(first[1:5]) == relative(1, 2, 40, 30)
    assert "1 more that do not count (difficult, crowd)" in lines(tmp_path)
    assert "no box of 'cat', '黄花', which the annotations list as a class" in lines(tmp_path)


def test_paths_of_another_machine_are_found_by_their_ends_and_never_outside(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_photos(tmp_path / "outside", {"secret.jpg": DOG})
    write_photos(data / "train" / "images", {"a.jpg": DOG})
    write_photos(data / "test" / "images", {"a.jpg": DOG})
    for written in ("C:\\pets\\train\\images\\a.jpg", "/home/me/train/images/a.jpg", "../../train/images/a.jpg"):
        content = coco({"a.jpg": DOG})
        content["images"][0]["file_name"] = written  # type: ignore[index]
        (data / "annotations.json").write_text(json.dumps(content))
        ((sample,), _) = opened(data)
        assert sample.path == data / "train/images/a.jpg"
    for written in ("../outside/secret.jpg", str(tmp_path / "outside" / "secret.jpg")):
        content["images"][0]["file_name"] = written  # type: ignore[index]
        (data / "annotations.json").write_text(json.dumps(content))
        with pytest.raises(DataError, match="1 of 1 photo that it names is not there"):
            opened(data)
    content["images"][0]["file_name"] = "a.jpg"  # type: ignore[index]
    (data / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"'a.jpg' may be test/images/a.jpg or train/images/a.jpg"):
        opened(data)


def test_pascals_parts_difficult_objects_and_photos_nobody_annotated(tmp_path: Path) -> None:
    write_voc(tmp_path / "VOCdevkit" / "VOC2012", {"a.jpg": DOG, "b.jpg": CAT, "c.jpg": DOG, "d.jpg": DOG})
    base = tmp_path / "VOCdevkit" / "VOC2012"
    (base / "Annotations" / "c.xml").unlink()
    xml = base / "Annotations" / "b.xml"
    xml.write_text(xml.read_text().replace("<difficult>0", "<difficult>1"))
    (base / "ImageSets" / "Main").mkdir(parents=True)
    (base / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    (base / "ImageSets" / "Main" / "val.txt").write_text("b 1\n")
    samples, survey = opened(tmp_path)
    (a,), (b,), (d,) = samples.of_splits("train"), samples.of_splits("val"), samples.of_splits("")
    assert (a.path.name, b.path.name, d.path.name) == ("a.jpg", "b.jpg", "d.jpg")
    assert "in none of the lists of ImageSets/Main" in "\n".join(survey.lines())
    assert boxes_of(samples.names[b.label])[0].ignore
    assert "1 photo that the annotations do not name left out, as JPEGImages/c.jpg" in "\n".join(survey.lines())


def test_corners_that_count_from_zero_show_by_a_zero_or_a_fraction(tmp_path: Path) -> None:
    write_voc(tmp_path / "zero", zero=True)
    assert boxes(tmp_path / "zero") == table()
    assert "Pascal VOC (corners count from 0)" in lines(tmp_path / "zero")
    write_voc(tmp_path / "fraction", {"a.jpg": DOG}, zero=True)
    xml = tmp_path / "fraction" / "Annotations" / "a.xml"
    xml.write_text(xml.read_text().replace(">20<", ">20.5<"))
    assert list(one(tmp_path / "fraction")[0][1:5]) == relative(5, 4, 20.5, 30)


def test_xml_beside_the_photos_in_folders_of_parts(tmp_path: Path) -> None:
    for split, photo in (("train", DOG), ("valid", CAT)):
        write_photos(tmp_path / split, {f"{split}.jpg": photo})
        (tmp_path / split / f"{split}.xml").write_text(voc("renamed.jpg", photo))
    samples, _ = opened(tmp_path)
    assert [s.path.name for s in samples.of_splits("train", "val")] == ["train.jpg", "valid.jpg"]


def test_shapes_of_labelme_circles_masks_parts_of_one_object_and_what_has_no_area(tmp_path: Path) -> None:
    write_photos(tmp_path, {"a.jpg": DOG})
    content = labelme("a.jpg", Photo([]))
    content["shapes"] = [
        {"label": "ball", "points": [[20, 20], [23, 24]], "shape_type": "circle"},
        {"label": "sofa", "points": [[0, 0], [5, 5]], "shape_type": "mask", "group_id": 1},
        {"label": "sofa", "points": [[20, 0], [25, 5]], "shape_type": "rectangle", "group_id": 1},
        {"label": "line", "points": [[0, 0], [5, 5]], "shape_type": "line"},
        {"label": "__ignore__", "points": [[1, 1], [2, 2]], "shape_type": "rectangle"},
    ]
    (tmp_path / "a.json").write_text(json.dumps(content))
    ignored, ball, sofa = one(tmp_path)
    assert ignored.ignore
    assert (ball.name, list(ball[1:5])) == ("ball", relative(15, 15, 25, 25))
    assert (sofa.name, list(sofa[1:5])) == ("sofa", relative(0, 0, 25, 5))
    assert "1 shape of the kind line left out: no area" in lines(tmp_path)


YAMLS = {
    "a list in a line": "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cat', \"big dog\"]\n",
    "a list over lines": "names: [cat,\n  big dog]  # two\ntrain: [train/images]\nval: /data/x/valid/images\n",
    "items": "train:\n- train/images\nval:\n  - valid/images\nnames:\n- cat\n- 'big dog'\n",
    "a map": "# made by hand\nnames: {0: cat, 1: 'big dog'}\ntrain: train\nval: valid\nroboflow:\n  x: 1\n",
    "a map over lines": "path: .\ntrain: train\nval: valid\nnames:\n  0: cat\n  1: big dog\ndownload: |\n  import os\n",
    "a list of photos": "train: train.txt\nval: valid/images\nnames: [cat, big dog]\n",
    "windows": "train: .\\train\\images\r\nval: .\\valid\\images\r\nnames: [cat, big dog]\r\n",
}


@pytest.mark.parametrize("form", YAMLS)
def test_every_way_to_write_a_data_yaml_that_is_in_use(form: str, tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write_photos(tmp_path / split / "images", {f"{split}.jpg": DOG})
        (tmp_path / split / "labels").mkdir()
        (tmp_path / split / "labels" / f"{split}.txt").write_text("1 0.5 0.5 0.2 0.2\n\n")
    (tmp_path / "train.txt").write_text("./train/images/train.jpg\n")
    (tmp_path / "data.yaml").write_text(YAMLS[form], newline="")
    samples, _ = opened(tmp_path)
    assert [s.path.name for s in samples.of_splits("train")] == ["train.jpg"]
    assert [s.path.name for s in samples.of_splits("val")] == ["valid.jpg"]
    assert samples.names == ('[["big dog",0.4,0.4,0.6,0.6]]',)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("train: images\nnames: cat\n", "line 2: names is 'cat'; write a list"),
        ("train: images\nnames: &a [cat]\n", "line 2: '&a .cat.' is not read here"),
        ("train: images\nnames: [cat, {a: b}]\n", "line 2: .* is not read here"),
        ("train: images\nnames: [cat\n", "line 2: .* is not read here"),
        ("train: images\nnames:\n  0: cat\n  2: dog\n", "line 2: names are not numbered from 0 to 1"),
        ("train: images\nnames:\n  0: cat\n  0: dog\n", "line 4: number 0 for the second time"),
        ("train: images\nnames: [cat, cat]\n", "line 2: 'cat' is among the names twice"),
        ("train: images\nnc: 3\nnames: [cat, dog]\n", "line 2: nc is '3', but there are 2 names"),
        ("train: images\nnames: []\n", "line 2: names is empty"),
        ("train: images\ntrain: images\nnames: [cat]\n", "line 2: train for the second time"),
        ("train: {0: images}\nnames: [cat]\n", "line 1: train is a map"),
        ("train: elsewhere\nnames: [cat, dog]\n", "train is 'elsewhere', which is not in"),
        ("train: ../../etc\nnames: [cat, dog]\n", "train is '../../etc', which is not in"),
        ("train: labels\nnames: [cat, dog]\n", "train is 'labels', which holds no photos"),
    ],
)
def test_a_data_yaml_of_another_form_is_refused_by_line(text: str, problem: str, tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a.jpg": DOG})
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=problem):
        opened(tmp_path)


def test_darknets_folder_as_cvat_exports_it_is_read(tmp_path: Path) -> None:
    write_photos(tmp_path / "obj_train_data", {"a.jpg": DOG})
    (tmp_path / "obj_train_data" / "a.txt").write_text(yolo(DOG))
    (tmp_path / "obj.data").write_text("classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = x/\n")
    (tmp_path / "train.txt").write_text("data/obj_train_data/a.jpg\n")
    with pytest.raises(DataError, match=r"obj.data: names is 'data/obj.names'; put that file beside it"):
        opened(tmp_path)
    (tmp_path / "obj.names").write_text("\n".join(CLASSES))
    assert boxes(tmp_path) == table({"a.jpg": DOG})
    assert "read as YOLO (obj.data): 1 photo" in lines(tmp_path)


def test_yolo_without_a_data_yaml_and_with_points_behind_the_box(tmp_path: Path) -> None:
    write_photos(tmp_path / "a", {"a.jpg": DOG})
    (tmp_path / "a" / "classes.txt").write_text("\n".join(CLASSES))
    (tmp_path / "a" / "a.txt").write_text(yolo(DOG))
    assert boxes(tmp_path / "a") == table({"a.jpg": DOG})
    write_yolo(tmp_path / "b", {"a.jpg": DOG})
    with (tmp_path / "b" / "data.yaml").open("a") as file:
        file.write("kpt_shape: [1, 3]\n")
    (tmp_path / "b" / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2 0.5 0.5 2\n")
    assert one(tmp_path / "b") == [Box("cat", 0.4, 0.4, 0.6, 0.6)]


def test_photos_without_a_label_file_are_counted_apart_from_those_with_an_empty_one(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a.jpg": DOG, "b.jpg": CAT, "c.jpg": CAT})
    (tmp_path / "labels" / "a.txt").rename(tmp_path / "labels" / "a.TXT")
    (tmp_path / "labels" / "b.txt").write_text("")
    _, survey = opened(tmp_path)
    lines = survey.lines()
    assert f"{tmp_path}: 1 photo without a label file, as images/a.jpg: taken for without objects" in lines
    assert any("3 photos, 2 without objects; 1 box" in line for line in lines)


def test_label_files_in_a_folder_of_another_name_are_not_there(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a.jpg": DOG, "b.jpg": CAT})
    (tmp_path / "labels").rename(tmp_path / "text")
    with pytest.raises(
        DataError, match=r"none of 2 photos has a label file; put that of images/X\.jpg at labels/X\.txt"
    ):
        read_boxes(tmp_path)


def test_points_of_a_pose_are_not_taken_for_a_polygon(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a.jpg": DOG})
    (tmp_path / "labels" / "a.txt").write_text("1 0.5 0.5 0.2 0.2 0.4 0.4 2 0.6 0.6 2\n")
    with pytest.raises(DataError, match=r"line 1: 2 is no fraction of a side; .*, or give kpt_shape in data\.yaml"):
        read_boxes(tmp_path)


def test_a_photo_inside_labelmes_file_may_go_before_the_shapes(tmp_path: Path) -> None:
    write_labelme(tmp_path, {"a.jpg": DOG})
    content = labelme("a.jpg", DOG)
    (tmp_path / "a.json").write_text(json.dumps({**content, "imageData": "A" * 200_000}, sort_keys=True))
    assert boxes(tmp_path) == table({"a.jpg": DOG})


def test_the_file_that_describes_the_data_may_be_given_itself(tmp_path: Path) -> None:
    write_yolo(tmp_path / "yolo", {"a.jpg": DOG})
    write_coco(tmp_path / "coco", {"a.jpg": DOG})
    (tmp_path / "coco" / "annotations").mkdir()
    (tmp_path / "coco" / "annotations.json").rename(tmp_path / "coco" / "annotations" / "one.json")
    for file in (tmp_path / "yolo" / "data.yaml", tmp_path / "coco" / "annotations" / "one.json"):
        splits_of, (texts, parts) = read_boxes(file.parents[file.suffix == ".json"]), read_named_splits(file)
        assert splits_of is not None
        (samples,) = parts.values()
        assert [texts[s.label] for s in samples] == list(splits_of[0].names)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match=r"other.json: is no JSON of COCO"):
        read_named_splits(tmp_path / "other.json")


def test_labels_whose_classes_nothing_names_are_not_taken_for_class_folders(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a.jpg": DOG})
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"looks like YOLO's, but nothing names its classes; write data.yaml"):
        read_named_splits(tmp_path)


def test_a_csv_with_relative_corners_sizes_parts_groups_and_what_does_not_count(tmp_path: Path) -> None:
    write_photos(tmp_path, {"a.jpg": DOG, "b.jpg": DOG, "c.jpg": Photo([], 6)})
    (tmp_path / "boxes.csv").write_text(
        "filename,class,xmin,ymin,xmax,ymax,split,group,difficult\n"
        "a.jpg,dog,0.1,0.2,0.5,1,train,x,0\na.jpg,cat,0,0,1,1,train,x,1\nb.jpg,,,,,,val,,\nc.jpg,,,,,,test,,\n"
    )
    samples, survey = opened(tmp_path / "boxes.csv")
    assert samples.names == ('[["cat",0,0,1,1,"ignore"],["dog",0.1,0.2,0.5,1]]', "[]")
    assert [(s.path.name, s.group) for s in samples.of_splits("train", "val", "test")] == [
        ("a.jpg", "x"), ("b.jpg", None), ("c.jpg", None),
    ]  # fmt: skip
    assert "corners relative to the photo" in survey.lines()[0]
    (tmp_path / "sized.csv").write_text("filename,width,height,class,xmin,ymin,xmax,ymax\nc.jpg,40,50,dog,0,0,40,25\n")
    turned = one(tmp_path / "sized.csv")
    assert list(turned[0][1:5]) == [0.5, 0, 1, 1], "drawn on the photo lying on its side"


def test_class_folders_beside_files_of_other_kinds_are_no_boxes(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        write_photos(tmp_path / name, {"a.jpg": DOG})
    (tmp_path / "annotations.json").write_text(json.dumps({"cat": 1}))
    (tmp_path / "settings.yaml").write_text("names: x\n")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "layout.xml").write_text("<layout/>")
    assert read_boxes(tmp_path) is None


def test_two_forms_in_one_folder_are_told(tmp_path: Path) -> None:
    write_coco(tmp_path, {"a.jpg": DOG})
    (tmp_path / "images" / "a.xml").write_text(voc("a.jpg", CAT))
    assert [box.name for box in one(tmp_path)] == ["dog"]
    assert "annotations of Pascal VOC are there too, and are not read" in lines(tmp_path)


# --- what is wrong with boxes ---------------------------------------------------------------------------


def test_boxes_without_area_outside_and_drawn_twice_are_left_out_and_counted(tmp_path: Path) -> None:
    drawn = [(5, 4, 20, 30), (5, 4, 20, 30), (7, 7, 7, 20), (60, 4, 70, 9), (-9, 4, 20, 50)]
    rows = [f"photos/a.jpg,dog,{','.join(map(str, corners))}" for corners in drawn]
    table_ = write_csv(tmp_path, {"a.jpg": DOG})
    table_.write_text("\n".join(["path,label,xmin,ymin,xmax,ymax", *rows]))
    assert sorted(list(box[1:5]) for box in one(table_)) == [[0, 0.1, 0.4, 1], [0.1, 0.1, 0.4, 0.75]]
    _, survey = opened(table_)
    assert "left out: 1 box without area, 1 box outside the photo, 1 box drawn twice" in survey.lines()[0]
    assert "which they reach beyond: 1 box" in "\n".join(survey.lines())
    assert [(fault.kind, fault.path.name) for fault in survey.faults] == [
        ("box_doubled", "a.jpg"), ("box_empty", "a.jpg"), ("box_outside", "a.jpg"), ("box_outside", "a.jpg"),
    ]  # fmt: skip


def test_relative_boxes_among_those_in_pixels_are_told(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "pets", {"a.jpg": DOG, "b.jpg": CAT})
    data.write_text(f"{data.read_text()}photos/b.jpg,dog,0.1,0.2,0.5,0.9\n")
    _, survey = opened(data)
    (line,) = [line for line in survey.lines() if line.startswith("warning: ")]
    where = "1 box lies within 1.5 pixels of the upper left corner ('dog' of photos/b.jpg)"
    assert line.startswith(f"warning: {data.parent}: {where}")
    assert "write all in pixels" in line


def test_large_boxes_of_which_few_reach_beyond_their_photo_are_no_corners(tmp_path: Path) -> None:
    photos = {f"{k}.jpg": Photo([("dog", (1, 1, 49, 39))]) for k in range(8)}
    content = coco(photos)
    content["annotations"][0]["bbox"] = [10, 5, 44, 38]
    write_photos(tmp_path / "pets", photos)
    (tmp_path / "pets" / "annotations.json").write_text(json.dumps(content))
    _, survey = opened(tmp_path / "pets")
    assert any("cut off at the photo's edge, which they reach beyond: 1 box" in line for line in survey.lines())


def test_a_photo_of_which_every_box_is_left_out_has_no_objects(tmp_path: Path) -> None:
    table_ = write_csv(tmp_path, {"a.jpg": DOG})
    table_.write_text("path,label,xmin,ymin,xmax,ymax\nphotos/a.jpg,Tree,0,0,0,0\n")  # as DeepForest writes it
    assert one(table_) == []
    assert "1 photo, 1 without objects; 0 boxes of 0 classes; left out: 1 box without area" in lines(table_)


def test_boxes_of_a_smaller_copy_are_scaled_and_those_of_another_photo_left_out(tmp_path: Path) -> None:
    write_labelme(tmp_path, {"a.jpg": DOG, "b.jpg": CAT})
    Image.new("RGB", (2 * WIDTH, 2 * HEIGHT)).save(tmp_path / "a.jpg")
    Image.new("RGB", (HEIGHT, HEIGHT)).save(tmp_path / "b.jpg")
    assert boxes(tmp_path) == table({"a.jpg": DOG})
    told = lines(tmp_path)
    assert "1 photo of another size than its annotation says; boxes are scaled" in told
    assert "b.json: 50×40, but b.jpg has 40×40: boxes of another photo; 1 photo left out" in told


def test_classes_that_differ_in_capitals_only_are_told_once(tmp_path: Path) -> None:
    table_ = write_csv(tmp_path, {"a.jpg": DOG})
    rows = ["path,label,xmin,ymin,xmax,ymax", "photos/a.jpg,dog,0,0,9,9", "photos/a.jpg,Dog,1,1,9,9"]
    table_.write_text("\n".join(rows))
    assert lines(table_).count("the classes 'Dog' and 'dog' differ only in case") == 1


def test_a_photo_that_cannot_be_read_is_for_the_reading_to_tell(tmp_path: Path) -> None:
    write_coco(tmp_path, {"a.jpg": DOG, "b.jpg": DOG})
    (tmp_path / "images" / "b.jpg").write_text("no photo")
    # With a picture's suffix it is taken for one; it is told with all others that do not decode.
    assert sorted(boxes(tmp_path)) == ["a.jpg", "b.jpg"]
    data = write_csv(tmp_path / "csv", {"a.jpg": DOG, "b.jpg": DOG})
    (tmp_path / "csv" / "photos" / "b.jpg").write_text("no photo")
    assert "left out: 1 photo that cannot be read" in lines(data), "its size is needed"


def test_numpy_is_enough_to_read_boxes(tmp_path: Path) -> None:
    write_coco(tmp_path, {"a.jpg": DOG})
    code = (
        "import sys; from pathlib import Path; from mobilenets.data.sources.boxes.read import read_boxes;"
        f"assert read_boxes(Path({str(tmp_path)!r})); print(sorted({{'torch', 'yaml'}} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
