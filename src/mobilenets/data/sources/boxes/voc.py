"""Pascal VOC: an XML file for each photo, in `Annotations/` or beside it, with corners in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from mobilenets.data.sources.boxes.files import files_with, number, read_text, read_xml
from mobilenets.data.sources.boxes.photos import Photos, split_of
from mobilenets.data.sources.boxes.table import Annotated, BoxTable
from mobilenets.data.sources.survey import count_text
from mobilenets.errors import DataError
from mobilenets.tasks.detect.targets import Box

_LISTS = "ImageSets/Main"  # lists of the photos of each part, by their names without suffix
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def find_voc(folders: Sequence[Path]) -> list[Path]:
    """The XML files of some folders, of each where one of its first is an annotation."""
    return files_with(folders, ".xml", b"<annotation")


def read_voc(data: Path, files: Sequence[Path]) -> BoxTable:
    """The photos of all `files`; parts as `ImageSets/Main` or folders say.

    Corners count pixels from 1, as Pascal's own do, where all of them are whole numbers from 1 on: then a box ends with
    its last pixel. Many tools write corners that count from 0, which a 0 or a fraction shows.

    Raises
    ------
    DataError
        A file that is no annotation, or of a photo that is not there.
    """
    photos, splits = Photos(data), _splits(data)
    annotations = [(path, *_read(path)) for path in files]
    values = [value for *_, boxes in annotations for box in boxes for value in box[1:5]]
    from_one = bool(values) and all(value >= 1 and value.is_integer() for value in values)
    table = BoxTable(data, "Pascal VOC" + ("" if from_one or not values else " (corners count from 0)"))
    missing = []
    for path, filename, size, boxes in annotations:
        name = path.relative_to(data).as_posix()
        split = splits.get(path.stem, split_of(name))
        found = photos.find(filename, name.rpartition("/")[0], split) or photos.beside(name, split)
        if found is None:
            missing.append(filename or path.stem)
            continue
        if from_one:
            boxes = [box._replace(x1=box.x1 - 1, y1=box.y1 - 1) for box in boxes]
        table.add(Annotated(found, boxes, str(path), size, split=split))
    photos.refuse_missing(files[0].parent.relative_to(data).as_posix(), missing, len(files))
    table.note_unlisted(photos)
    unlisted = sum(path.stem not in splits for path in files) if splits else 0
    if unlisted:
        table.survey.note(
            f"{data}: {count_text(unlisted)} in none of the lists of {_LISTS}: to train on, like its train.txt"
        )
    return table


def _read(path: Path) -> tuple[str, tuple[float, float] | None, list[Box]]:
    """The name of the photo, the size that boxes were drawn on, where it is said, and boxes as they are written."""
    root = read_xml(path)
    if root.tag == "annotations":
        raise DataError(f"{path}: looks like CVAT's own form; export boxes as Pascal VOC or COCO, tags as ImageNet")
    if root.tag != "annotation":
        raise DataError(f"{path}: its root is <{root.tag[:40]}>, not <annotation>; export it again as Pascal VOC")
    size = root.find("size")
    sides = [_number(size, side, f"{path}: size") for side in ("width", "height")] if size is not None else [0, 0]
    boxes = [_box(item, f"{path}: object {k + 1}") for k, item in enumerate(root.findall("object"))]
    if min(sides) < 0 or (max(sides) > 0 and min(sides) < 1):
        raise DataError(f"{path}: its size is {sides[0]:g}×{sides[1]:g}; give its width and height in pixels")
    return _text(root, "filename"), (sides[0], sides[1]) if min(sides) > 0 else None, boxes


def _box(item: Element, where: str) -> Box:
    bounds = item.find("bndbox")
    if bounds is None:
        raise DataError(f"{where}: has no <bndbox>; give it xmin, ymin, xmax and ymax")
    name = _text(item, "name")
    if not name:
        raise DataError(f"{where}: has no <name>; give it that of its class")
    x1, y1, x2, y2 = (_number(bounds, corner, where) for corner in _CORNERS)
    difficult = _text(item, "difficult")
    if difficult not in ("", "0", "1"):
        raise DataError(f"{where}: difficult is {difficult[:40]!a}; use 0 or 1")
    return Box(name, x1, y1, x2, y2, difficult == "1")


def _number(parent: Element, tag: str, where: str) -> float:
    return number(_text(parent, tag), where, tag)


def _text(parent: Element, tag: str) -> str:
    return (parent.findtext(tag) or "").strip()


def _splits(data: Path) -> dict[str, str]:
    """The part of each photo that `ImageSets/Main` lists, by its name without suffix."""
    found: dict[str, str] = {}
    for split in ("train", "val", "test"):
        path = data / _LISTS / f"{split}.txt"
        if path.is_file():
            for line in read_text(path).splitlines():
                if line.strip():
                    found.setdefault(line.split()[0], split)
    return found
