"""Boxes in the columns of a CSV: read where it is plain what they are, else refused with what to call them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mobilenets.data.sources.boxes.files import read_json, read_text, read_xml
from mobilenets.data.sources.csv import read_table
from mobilenets.errors import DataError
from mobilenets.model_card import DETECT

SIDES = (64, 32)  # of a photo
# Corners in pixels: one at the left edge, one that is as wide as the photo's right half, a small one.
BOXES = [("a.png", "dog", (0, 4, 20, 28)), ("a.png", "cat", (32, 8, 64, 24)), ("b.png", "dog", (40, 2, 44, 6))]
EXPECTED = {
    "a.png": '[["cat",0.5,0.25,1,0.75],["dog",0,0.125,0.3125,0.875]]',
    "b.png": '[["dog",0.625,0.0625,0.6875,0.1875]]',
}

Numbers = Callable[[float, float, float, float], tuple[float, ...]]


def corners(a: float, b: float, c: float, d: float) -> tuple[float, ...]:
    return a, b, c, d


def left(a: float, b: float, c: float, d: float) -> tuple[float, ...]:
    return a, b, c - a, d - b


def centre(a: float, b: float, c: float, d: float) -> tuple[float, ...]:
    return (a + c) / 2, (b + d) / 2, c - a, d - b


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        Image.new("RGB", SIDES).save(tmp_path / name)
    return tmp_path


def written(
    folder: Path,
    columns: str,
    numbers: Numbers,
    relative: bool = False,
    boxes: list[tuple[str, str, tuple[float, float, float, float]]] | None = None,
    more: Callable[[float, float, float, float], tuple[float, ...]] = lambda *box: (),
) -> Path:
    table = folder / "t.csv"
    lines = [f"path,label,{columns}"]
    for path, label, box in boxes or BOXES:
        values = numbers(*(box if not relative else [v / side for v, side in zip(box, SIDES * 2, strict=True)]))
        lines.append(",".join([path, label, *map(str, (*values, *more(*box)))]))
    table.write_text("\n".join(lines))
    return table


def read(table: Path) -> tuple[dict[str, str], str]:
    """Of each photo its label text, and what is told."""
    samples, survey = read_table(table)
    assert survey.task == DETECT
    texts = {samples.path(i).name: samples.names[samples.labels[i]] for i in range(len(samples))}
    return texts, "\n".join(survey.notes)


@pytest.mark.parametrize("relative", [False, True], ids=["pixels", "relative"])
@pytest.mark.parametrize(
    ("columns", "numbers", "what"),
    [
        ("xmin,ymin,xmax,ymax", corners, "corners"),
        ("x0,y0,x1,y1", corners, "corners"),
        ("bbox_left,bbox_top,bbox_right,bbox_bottom", corners, "corners"),
        ("left,top,width,height", left, "left, top, width, height"),
        ("xmin,ymin,w,h", left, "left, top, width, height"),
        ("bbox_x,bbox_y,bbox_width,bbox_height", left, "left, top, width, height"),
        ("x_center,y_center,width,height", centre, "x_center, y_center, width, height"),
        ("cx,cy,w,h", centre, "x_center, y_center, width, height"),
        ("x,y,w,h", left, "left, top, width, height"),
        ("x,y,width,height", centre, "x_center, y_center, width, height"),
    ],
)
def test_a_box_is_read_by_the_names_of_its_columns_or_by_what_its_numbers_can_be(
    folder: Path, columns: str, numbers: Numbers, what: str, relative: bool
) -> None:
    texts, notes = read(written(folder, columns, numbers, relative))
    assert texts == EXPECTED
    assert f"({what} {'relative to the photo' if relative else 'in pixels'}): 2 photos" in notes


def test_why_an_unclear_box_was_read_as_it_was_is_told(folder: Path) -> None:
    _, notes = read(written(folder, "x,y,w,h", left))
    assert (
        "x, y, w, h read as left, top, width, height: as x_center, y_center, width, height 'dog' of a.png would be "
        "none in the photo"
    ) in notes


@pytest.mark.parametrize("columns", ["x,y,w,h", "x,y,width,height"])
def test_a_box_that_may_be_either_is_refused_with_the_names_to_give(folder: Path, columns: str) -> None:
    table = written(folder, columns, centre, boxes=[("a.png", "dog", (20, 10, 30, 16))])
    with pytest.raises(DataError) as refused:
        read_table(table)
    assert str(refused.value) == (
        f"{table}: boxes by {columns.replace(',', ', ')}: left, top, width, height, or x_center, y_center, width, "
        "height? They may be either; name four columns so, or delete them where whole photos are classified"
    )


@pytest.mark.parametrize(("numbers", "what"), [(left, "left, top, width, height"), (corners, "xmin, ymin, xmax, ymax")])
def test_four_numbers_in_one_cell_are_read(folder: Path, numbers: Numbers, what: str) -> None:
    table = written(folder, "bbox", lambda *box: (f'"[{", ".join(map(str, numbers(*box)))}]"',))  # type: ignore[arg-type, return-value]
    texts, notes = read(table)
    assert texts == EXPECTED
    assert f"bbox read as {what}: as " in notes


def test_the_size_of_the_photo_may_stand_beside_sides(folder: Path) -> None:
    columns = "bbox_x,bbox_y,bbox_width,bbox_height,image_width,image_height"
    texts, _ = read(written(folder, columns, left, more=lambda *_: SIDES))
    assert texts == EXPECTED


def test_width_and_height_that_are_those_of_the_boxes_are_not_taken_for_the_photos(folder: Path) -> None:
    columns = "xmin,ymin,xmax,ymax,width,height"
    texts, notes = read(written(folder, columns, corners, more=lambda *box: left(*box)[2:]))
    assert texts == EXPECTED
    assert "width and height are those of the boxes" in notes


def test_a_row_for_each_box_without_a_header_is_read(folder: Path) -> None:
    lines = [f"{path},{','.join(map(str, box))},{label}" for path, label, box in BOXES]
    (folder / "t.csv").write_text("\n".join(lines))
    assert read(folder / "t.csv")[0] == EXPECTED


def test_vias_csv_is_refused_with_what_to_export(folder: Path) -> None:
    (folder / "t.csv").write_text(
        "filename,file_size,region_count,region_shape_attributes,region_attributes\na.png,1,1,{},{}\n"
    )
    with pytest.raises(DataError, match="VIA, whose boxes are not read from a CSV; export them as COCO"):
        read_table(folder / "t.csv")


def test_label_studios_csv_of_boxes_is_refused_with_what_to_export(folder: Path) -> None:
    marks = '[{""x"": 10, ""y"": 10, ""width"": 30, ""height"": 30, ""rectanglelabels"": [""cat""]}]'
    (folder / "t.csv").write_text(f'id,image,label\n1,a.png,"{marks}"\n')
    with pytest.raises(
        DataError, match=r"line 2: label is JSON of Label Studio's marks, .* export boxes as COCO or YOLO"
    ):
        read_table(folder / "t.csv")


def test_annotations_in_what_chinese_and_korean_programs_write_are_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_bytes('{"label": "苹果"}'.encode("gbk"))
        assert read_json(tmp_path / f"{name}.json") == {"label": "苹果"}
    (tmp_path / "a.xml").write_bytes('<?xml version="1.0" encoding="GB2312"?><name>苹果</name>'.encode("gbk"))
    assert read_xml(tmp_path / "a.xml").text == "苹果"
    (tmp_path / "k.xml").write_bytes('<?xml version="1.0" encoding="EUC-KR"?><name>사과</name>'.encode("euc-kr"))
    assert read_xml(tmp_path / "k.xml").text == "사과"
    (tmp_path / "b.xml").write_bytes('<?xml version="1.0" encoding="iso-8859-1"?><name>Äpfel</name>'.encode("latin-1"))
    assert read_xml(tmp_path / "b.xml").text == "Äpfel"


@pytest.mark.parametrize("encoding", ["gbk", "utf-16"])
def test_classes_of_yolo_are_read_in_what_windows_writes(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "classes.txt").write_bytes("苹果\r\n香蕉\r\n".encode(encoding))
    assert read_text(tmp_path / "classes.txt").split() == ["苹果", "香蕉"]
