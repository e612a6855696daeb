"""A hundred annotation files that are damaged or contradict themselves: a line for each that names it, and exit 2."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from annotated import FORMS, HEIGHT, WIDTH, Photo, coco, write_coco, write_csv, write_labelme, write_voc, write_yolo
from mobilenets.cli.main import main
from mobilenets.data.sources.boxes.read import read_boxes
from mobilenets.data.sources.csv import read_table
from mobilenets.errors import DataError

PHOTOS = {
    "a.jpg": Photo([("dog", (5, 4, 20, 30)), ("cat", (1, 2, 30, 40))]),
    "b.jpg": Photo([("cat", (10, 20, 50, 40))]),
}
Damage = Callable[[Path], object]


def _changed(change: Callable[[Any], object]) -> Damage:
    """COCO with a change of its content."""

    def damage(folder: Path) -> None:
        write_coco(folder, PHOTOS)
        content = coco(PHOTOS)
        change(content)
        (folder / "annotations.json").write_text(json.dumps(content))

    return damage


def _set(what: str, k: int, **values: object) -> Damage:
    return _changed(lambda content: content[what][k].update(values))


def _without(what: str, key: str) -> Damage:
    return _changed(lambda content: content[what][0].pop(key))


def _coco_text(text: Callable[[str], str]) -> Damage:
    def damage(folder: Path) -> None:
        write_coco(folder, PHOTOS)
        (folder / "annotations.json").write_text(text(json.dumps(coco(PHOTOS))))

    return damage


def _relative(content: Any) -> None:
    """All boxes as fractions of the photo, one a little over its edge."""
    for row in content["annotations"]:
        row["bbox"] = [n / side for n, side in zip(row["bbox"], (WIDTH, HEIGHT, WIDTH - 1, HEIGHT - 1), strict=True)]


def _corners(content: Any) -> None:
    """All boxes as left, top, right, bottom."""
    for row in content["annotations"]:
        left, top, width, height = row["bbox"]
        row["bbox"] = [left, top, left + width, top + height]


COCO: dict[str, Damage] = {
    "relative boxes": _changed(_relative),
    "corners for left, top, width and height": _changed(_corners),
    "cut short": _coco_text(lambda text: text[:-9]),
    "cut in half": _coco_text(lambda text: text[: len(text) // 2]),
    "two documents": _coco_text(lambda text: text + text),
    "a list": _coco_text(lambda text: f"[{text}]"),
    "nested deeply": _coco_text(lambda text: text[:-1] + ', "x": ' + "[" * 200_000 + "]" * 200_000 + "}"),
    "NaN": _coco_text(lambda text: text.replace("[5, 4,", "[NaN, 4,")),
    "Infinity": _coco_text(lambda text: text.replace("[5, 4,", "[-Infinity, 4,")),
    "overflow": _coco_text(lambda text: text.replace("[5, 4,", "[1e999, 4,")),
    "a number of 400 digits": _coco_text(lambda text: text.replace("[5, 4,", f"[1{'0' * 400}, 4,")),
    "a number of 9,000 digits": _coco_text(lambda text: text.replace("[5, 4,", f"[1{'0' * 9_000}, 4,")),
    "Latin-1": lambda folder: (
        write_coco(folder, PHOTOS),
        (folder / "annotations.json").write_bytes(json.dumps(coco(PHOTOS)).replace("dog", "d\xf6g").encode("latin-1")),
    ),
    "no images": _changed(lambda content: content.pop("images")),
    "no categories": _changed(lambda content: content.pop("categories")),
    "no annotations": _changed(lambda content: content.pop("annotations")),
    "images a map": _changed(lambda content: content.update(images={"1": content["images"][0]})),
    "categories null": _changed(lambda content: content.update(categories=None)),
    "annotations a word": _changed(lambda content: content.update(annotations="none")),
    "an image a word": _changed(lambda content: content["images"].append("c.jpg")),
    "an annotation null": _changed(lambda content: content["annotations"].append(None)),
    "images of no number": _changed(lambda content: content.update(images=[])),
    "an image's id twice": _set("images", 1, id=7),
    "a category's id twice": _set("categories", 1, id=1),
    "an annotation's id twice": _set("annotations", 1, id=100),
    "an image without id": _without("images", "id"),
    "a category without id": _without("categories", "id"),
    "an id that is a list": _set("images", 0, id=[7]),
    "an id that is true": _set("images", 0, id=True),
    "an id that is a fraction": _set("images", 0, id=7.5),
    "an image without name": _without("images", "file_name"),
    "a name that is a number": _set("images", 0, file_name=7),
    "a name that is blank": _set("images", 0, file_name="  "),
    "a name of dots": _set("images", 0, file_name="../.."),
    "a name with a null byte": _set("images", 0, file_name="a\0.jpg"),
    "a name that leads out": _set("images", 0, file_name="../../../etc/passwd"),
    "a photo that is not there": _set("images", 0, file_name="c.jpg"),
    "one photo of two ids": _set("images", 1, file_name="a.jpg"),
    "a category without name": _without("categories", "name"),
    "a category of a blank name": _set("categories", 1, name=" "),
    "a category with a line break": _set("categories", 1, name="do\ng"),
    "a category that is no text": _set("categories", 1, name="do\ud800g"),
    "a category that is not listed": _set("annotations", 0, category_id=99),
    "a category that is a map": _set("annotations", 0, category_id={}),
    "no category": _without("annotations", "category_id"),
    "an image that is not listed": _set("annotations", 0, image_id=99),
    "no image": _without("annotations", "image_id"),
    "no box": _without("annotations", "bbox"),
    "a box of three": _set("annotations", 0, bbox=[1, 2, 3]),
    "a box of five": _set("annotations", 0, bbox=[1, 2, 3, 4, 5]),
    "a box of words": _set("annotations", 0, bbox=["a", 2, 3, 4]),
    "a box of truths": _set("annotations", 0, bbox=[True, 2, 3, 4]),
    "a box of nulls": _set("annotations", 0, bbox=[None, 2, 3, 4]),
    "a box that is a map": _set("annotations", 0, bbox={"x": 1}),
    "no box and an empty polygon": _set("annotations", 0, bbox=[], segmentation=[[]]),
    "a crowd of two": _set("annotations", 0, iscrowd=2),
    "a crowd of words": _set("annotations", 0, iscrowd="yes"),
    "a mask of another size": _set("annotations", 0, segmentation={"size": [HEIGHT, 49], "counts": "x"}),
    "a mask whose size is a word": _set("annotations", 0, segmentation={"size": "all", "counts": "x"}),
    "a width of no size": _set("images", 0, width=0),
    "a width that is negative": _set("images", 0, width=-50),
    "a width that is a word": _set("images", 0, width="wide"),
    "a width alone": _set("images", 0, height=None),
}


def _xml(old: str, new: str) -> Damage:
    def damage(folder: Path) -> None:
        write_voc(folder, PHOTOS)
        path = folder / "Annotations" / "a.xml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return damage


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><annotation>'
    "<filename>&b;</filename></annotation>"
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation><filename>&a;</filename></annotation>'

VOC: dict[str, Damage] = {
    "cut short": _xml("</annotation>", ""),
    "empty": _xml("<annotation>", "<"),
    "another root": lambda folder: (
        write_voc(folder, PHOTOS),
        (folder / "Annotations" / "b.xml").write_text("<html><body/></html>"),
    ),
    "entities that grow": lambda folder: (
        write_voc(folder, PHOTOS), (folder / "Annotations" / "b.xml").write_text(BOMB),
    ),
    "an entity from outside": lambda folder: (
        write_voc(folder, PHOTOS), (folder / "Annotations" / "b.xml").write_text(OUTSIDE),
    ),
    "an entity nobody declared": _xml("<folder>x", "<folder>&x;"),
    "an encoding nobody knows": _xml("<annotation>", '<?xml version="1.0" encoding="utf-99"?><annotation>'),
    "nested deeply": _xml("<folder>x</folder>", "<folder>" * 5_000 + "</folder>" * 5_000),
    "no box": _xml("<bndbox><xmin>6</xmin><ymin>5</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>", ""),
    "an object without name": _xml("<name>dog</name>", ""),
    "an object of a blank name": _xml("<name>dog</name>", "<name> </name>"),
    "a name with a line break": _xml("<name>dog</name>", "<name>do\ng</name>"),
    "no corner": _xml("<xmin>6</xmin>", ""),
    "a corner of no number": _xml("<xmin>6</xmin>", "<xmin/>"),
    "a corner of a word": _xml("<xmin>6</xmin>", "<xmin>six</xmin>"),
    "a corner that is nan": _xml("<xmin>6</xmin>", "<xmin>nan</xmin>"),
    "a corner that is inf": _xml("<xmin>6</xmin>", "<xmin>inf</xmin>"),
    "difficult as a word": _xml("<difficult>0", "<difficult>maybe"),
    "a width of a word": _xml("<width>50", "<width>wide"),
    "a width that is negative": _xml("<width>50", "<width>-50"),
    "a photo that is not there": lambda folder: (write_voc(folder, PHOTOS), (folder / "JPEGImages" / "a.jpg").unlink()),
    "one photo of two files": lambda folder: (
        write_voc(folder, PHOTOS),
        (folder / "Annotations" / "c.xml").write_text((folder / "Annotations" / "a.xml").read_text()),
    ),
}  # fmt: skip


def _label(line: str) -> Damage:
    def damage(folder: Path) -> None:
        write_yolo(folder, PHOTOS)
        (folder / "labels" / "a.txt").write_text(f"0 0.5 0.5 0.2 0.2\n{line}\n")

    return damage


YOLO: dict[str, Damage] = {
    "four values": _label("0 0.5 0.5 0.2"),
    "six values": _label("0 0.5 0.5 0.2 0.2 0.9"),
    "a class that has no name": _label("3 0.5 0.5 0.2 0.2"),
    "a class below nought": _label("-1 0.5 0.5 0.2 0.2"),
    "a class that is a fraction": _label("0.5 0.5 0.5 0.2 0.2"),
    "a class that is a word": _label("dog 0.5 0.5 0.2 0.2"),
    "a class that is nan": _label("nan 0.5 0.5 0.2 0.2"),
    "pixels": _label("0 25 20 10 10"),
    "a word": _label("0 0.5 half 0.2 0.2"),
    "a comma": _label("0,0.5,0.5,0.2,0.2"),
    "nan": _label("0 0.5 nan 0.2 0.2"),
    "inf": _label("0 0.5 0.5 inf 0.2"),
    "no text": lambda folder: (write_yolo(folder, PHOTOS), (folder / "labels" / "a.txt").write_bytes(b"\xff\xfe0")),
    "a photo that is not there": lambda folder: (write_yolo(folder, PHOTOS), (folder / "images" / "a.jpg").unlink()),
    "a list with a missing photo": lambda folder: (
        write_yolo(folder, PHOTOS),
        (folder / "train.txt").write_text("images/c.jpg\n"),
        (folder / "data.yaml").write_text("train: train.txt\nnames: [cat, dog]\n"),
    ),
}


def _shape(**values: object) -> Damage:
    def damage(folder: Path) -> None:
        write_labelme(folder, PHOTOS)
        path = folder / "a.json"
        content = json.loads(path.read_text())
        content["shapes"][0].update(values)
        path.write_text(json.dumps(content))

    return damage


def _labelme(**values: object) -> Damage:
    def damage(folder: Path) -> None:
        write_labelme(folder, PHOTOS)
        path = folder / "a.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return damage


LABELME: dict[str, Damage] = {
    "cut short": lambda folder: (write_labelme(folder, PHOTOS), (folder / "a.json").write_text('{"shapes": [')),
    "shapes null": _labelme(shapes=None),
    "a shape a word": _labelme(shapes=["dog"]),
    "no label": _shape(label=None),
    "a label that is blank": _shape(label=" "),
    "a label that is a number": _shape(label=7),
    "a kind nobody knows": _shape(shape_type="cube"),
    "a kind that is a list": _shape(shape_type=["rectangle"]),
    "one point": _shape(points=[[1, 2]]),
    "no points": _shape(points=None),
    "points of three": _shape(points=[[1, 2, 3], [4, 5, 6]]),
    "points of words": _shape(points=[["a", 2], [4, 5]]),
    "a width of a word": _labelme(imageWidth="wide"),
    "a width that is negative": _labelme(imageWidth=-1),
    "a path that is a number": _labelme(imagePath=7),
    "a photo that is not there": lambda folder: (write_labelme(folder, PHOTOS), (folder / "a.jpg").unlink()),
}


def _rows(*rows: str, header: str = "path,label,xmin,ymin,xmax,ymax") -> Damage:
    def damage(folder: Path) -> None:
        write_csv(folder, PHOTOS)
        (folder / "boxes.csv").write_text("\n".join([header, "photos/b.jpg,cat,1,2,3,4", *rows]) + "\n")

    return damage


CSV: dict[str, Damage] = {
    "no path": _rows(",dog,1,2,3,4"),
    "no label": _rows("photos/a.jpg,,1,2,3,4"),
    "no corners": _rows("photos/a.jpg,dog"),
    "three corners": _rows("photos/a.jpg,dog,1,2,3,"),
    "a word": _rows("photos/a.jpg,dog,1,2,three,4"),
    "nan": _rows("photos/a.jpg,dog,1,2,nan,4"),
    "a photo that is not there": _rows("photos/c.jpg,dog,1,2,3,4"),
    "too many values": _rows("photos/a.jpg,dog,1,2,3,4,5"),
    "two parts of one photo": _rows(
        "photos/a.jpg,dog,1,2,3,4,train", "photos/a.jpg,dog,5,5,9,9,val", header="path,label,xmin,ymin,xmax,ymax,split"
    ),
    "a fraction beyond the edge": lambda folder: (
        write_csv(folder, PHOTOS),
        (folder / "boxes.csv").write_text("path,label,xmin,ymin,xmax,ymax\nphotos/b.jpg,cat,0.1,0.2,0.8,1.01\n"),
    ),
    "two sizes of one photo": _rows(
        "photos/a.jpg,dog,1,2,3,4,50,40",
        "photos/a.jpg,dog,5,5,9,9,40,50",
        header="path,label,xmin,ymin,xmax,ymax,width,height",
    ),
    "a part nobody knows": _rows("photos/a.jpg,dog,1,2,3,4,most", header="path,label,xmin,ymin,xmax,ymax,split"),
    "maybe difficult": _rows("photos/a.jpg,dog,1,2,3,4,maybe", header="path,label,xmin,ymin,xmax,ymax,difficult"),
    "a name with a line break": _rows('photos/a.jpg,"do\ng",1,2,3,4'),
}

DAMAGES = {
    f"{form}: {what}": damage
    for form, damages in (("COCO", COCO), ("VOC", VOC), ("YOLO", YOLO), ("labelme", LABELME), ("CSV", CSV))
    for what, damage in damages.items()
}


def test_there_are_a_hundred_of_them() -> None:
    assert len(DAMAGES) >= 100


@pytest.mark.parametrize("what", DAMAGES)
def test_what_is_damaged_is_refused_in_one_line_that_names_it(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pets"
    folder.mkdir()
    DAMAGES[what](folder)
    data = folder / "boxes.csv" if what.startswith("CSV") else folder
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    assert main(["train", str(data), "--out", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mobilenets train: ")
    assert str(folder) in line
    assert len(line) < 600
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before, "nothing was begun or lost"


@pytest.mark.parametrize("form", FORMS)
def test_bytes_changed_at_random_are_refused_in_a_line_or_understood(form: str, tmp_path: Path) -> None:
    data = FORMS[form](tmp_path / "pets", PHOTOS)
    data = data if data.suffix == ".csv" else tmp_path / "pets"
    kinds = (".json", ".xml", ".txt", ".yaml", ".csv")
    files = [path for path in sorted((tmp_path / "pets").rglob("*")) if path.suffix in kinds]
    contents = {path: path.read_bytes() for path in files}
    rng = random.Random(form)
    refused = 0
    for _ in range(60):
        path = rng.choice(files)
        content = bytearray(contents[path])
        for _ in range(rng.choice((1, 3, 10))):
            at = rng.randrange(max(1, len(content) - 1))
            change = rng.choice(("flip", "cut", "repeat", "sign"))
            if change == "flip":
                content[at : at + 1] = bytes([rng.randrange(256)])
            elif change == "cut":
                del content[at : at + rng.randrange(1, 20)]
            elif change == "repeat":
                content[at:at] = content[at : at + 20]
            else:
                content[at : at + 1] = bytes([rng.choice(b'0-"[]{}<>,:\0\n')])
        path.write_bytes(content)
        problem = ""
        try:
            read_table(data) if data.suffix == ".csv" else read_boxes(data)
        except DataError as error:
            problem = str(error)
        refused += bool(problem)
        assert len(problem.splitlines()) <= 1
        path.write_bytes(contents[path])
    assert refused > 10


def test_files_larger_than_any_in_use_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for writer, name, limit, pattern in (
        (write_coco, "a", "MAX_JSON", "annotations.json"),
        (write_voc, "b", "MAX_XML", "Annotations/a.xml"),
    ):
        folder = tmp_path / name
        writer(folder, PHOTOS)
        monkeypatch.setattr(f"mobilenets.data.sources.boxes.files.{limit}", 100)
        if limit == "MAX_XML":
            with pytest.raises(DataError, match=f"{pattern}: .* bytes; at most 100 are read"):
                read_boxes(folder)
        with (folder / pattern).open("r+b") as file:  # without writing so much
            file.truncate(2_000_000_001)
        with pytest.raises(DataError, match=r"2,000,000,001 bytes; at most .* are read"):
            read_boxes(folder)


def test_cvats_own_xml_is_refused_with_what_to_export(tmp_path: Path) -> None:
    (tmp_path / "annotations.xml").write_text(
        '<annotations><image name="a.png"><tag label="cat"/></image></annotations>'
    )
    with pytest.raises(DataError, match=r"CVAT's own form; export boxes as Pascal VOC or COCO, tags as ImageNet"):
        read_boxes(tmp_path)
