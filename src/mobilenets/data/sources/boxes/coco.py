"""COCO: one JSON file of a part lists its photos, classes and boxes (`bbox`: left, top, width, height in pixels)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mobilenets.data.sources.boxes.files import beginning, number, read_json
from mobilenets.data.sources.boxes.photos import Photos, split_of
from mobilenets.data.sources.boxes.table import Annotated, BoxTable
from mobilenets.data.sources.split_names import split_inside
from mobilenets.data.sources.survey import named
from mobilenets.errors import DataError
from mobilenets.tasks.detect.targets import Box

_LISTS = (b'"images"', b'"annotations"', b'"categories"')
_FIELDS = (b'"file_name"', b'"bbox"', b'"category_id"', b'"supercategory"')

_BEYOND = 0.05  # of a side that a box reaches beyond its photo by no rounding
_MANY = 0.25  # of the boxes

_MAX_SNIFFED = 50  # files of a folder, which otherwise are one for each photo: then names have to say it
_CALLED = ("coco", "instances", "annotations")


def find_coco(folders: Sequence[Path]) -> list[Path]:
    """The files of COCO in some folders; of several kinds in one folder those of boxes (`instances_…`)."""
    found = []
    for folder in folders:
        files = sorted(folder.glob("*.json"))
        if len(files) > _MAX_SNIFFED:
            files = [path for path in files if any(word in path.name.lower() for word in _CALLED)]
        own = [path for path in files if is_coco(path)]
        found += [path for path in own if path.name.startswith("instances_")] or own
    return found


def is_coco(path: Path) -> bool:
    """Whether a JSON file begins as one of COCO, whichever of its lists comes first."""
    start = beginning(path)
    return any(key in start for key in _LISTS) and any(key in start for key in _FIELDS)


def read_coco(data: Path, files: Sequence[Path]) -> BoxTable:
    """The photos of all `files`, each a part where there are several.

    Raises
    ------
    DataError
        A file that is none, contradicts itself, or lists a photo that is not there.
    """
    photos = Photos(data)
    table = BoxTable(data, f"COCO ({named([path.relative_to(data).as_posix() for path in files], 3)})")
    listed: dict[str, None] = {}
    for path in files:
        name = path.relative_to(data).as_posix()
        split = split_of(name) or split_inside(path.stem)
        content = _Content(path)
        listed.update(dict.fromkeys(content.classes.values()))
        missing = []
        for written, annotated in content.photos():
            found = photos.find(written, name.rpartition("/")[0], split)
            if found is None:
                missing.append(written)
            else:
                boxes, size = annotated
                table.add(Annotated(found, boxes, str(path), size, split=split))
        photos.refuse_missing(name, missing, len(content.images))
    table.listed = tuple(listed)
    table.note_unlisted(photos)
    return table


class _Content:
    """What one file says, checked.

    Raises
    ------
    DataError
        It is not of COCO, or has an id twice.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        content = read_json(path)
        if not isinstance(content, dict):
            raise DataError(f"{path}: is no object of images, annotations and categories; export it again as COCO")
        self.images = self._by_id(content, "images")
        categories = self._by_id(content, "categories")
        self.classes = {id_: self._text(row, "name", f"category {id_!a}") for id_, row in categories.items()}
        self._boxes: dict[Any, list[Box]] = {id_: [] for id_ in self.images}
        for id_, row in self._by_id(content, "annotations", may_lack=True).items():
            self._add(row, f"{path}: annotation {id_!a}")
        self._refuse_corners()

    def photos(self) -> Iterator[tuple[str, tuple[list[Box], tuple[float, float] | None]]]:
        """The name of each photo, its boxes, and the size that they were drawn on, where it is said."""
        for id_, row in self.images.items():
            yield self._text(row, "file_name", f"image {id_!a}"), (self._boxes[id_], self._size(id_))

    def _by_id(self, content: dict[str, Any], name: str, may_lack: bool = False) -> dict[Any, dict[str, Any]]:
        rows = content.get(name)
        if not isinstance(rows, list):
            raise DataError(f"{self._path}: has no list of {name}; export it again as COCO")
        result: dict[Any, dict[str, Any]] = {}
        for k, row in enumerate(rows):
            if not isinstance(row, dict):
                raise DataError(
                    f"{self._path}: number {k + 1:,} of its {name} is {ascii(row)[:60]}, which is no object"
                )
            id_ = row.get("id", ("row", k + 1) if may_lack else None)
            if id_ is None or isinstance(id_, list | dict | float | bool):
                had = "no id" if id_ is None else f"the id {ascii(id_)[:40]}"
                raise DataError(f"{self._path}: number {k + 1:,} of its {name} has {had}; number them from 1")
            if id_ in result:
                raise DataError(f"{self._path}: two of its {name} have the id {id_!a}; give each one of its own")
            result[id_] = row
        return result

    def _text(self, row: dict[str, Any], key: str, what: str) -> str:
        text = row.get(key)
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{self._path}: {what} has no {key}; export it again as COCO")
        return text

    def _size(self, id_: Any) -> tuple[float, float] | None:
        row, where = self.images[id_], f"{self._path}: image {id_!a}"
        width, height = (row.get(key) for key in ("width", "height"))
        if not width and not height:  # neither is needed by COCO's own tools
            return None
        size = number(width, where, "width"), number(height, where, "height")
        if min(size) < 1:
            raise DataError(f"{where}: is {size[0]:g}×{size[1]:g}; give its width and height in pixels, or neither")
        return size

    def _add(self, row: dict[str, Any], where: str) -> None:
        image, category = row.get("image_id"), row.get("category_id")
        if isinstance(image, list | dict) or image not in self.images:
            raise DataError(
                f"{where}: is of the image {ascii(image)[:60]}, which is not among its images; add it there"
            )
        if isinstance(category, list | dict) or category not in self.classes:
            raise DataError(
                f"{where}: is of the category {ascii(category)[:60]}, which is not among its categories; add it there"
            )
        crowd = row.get("iscrowd", 0)
        if crowd not in (0, 1):
            raise DataError(f"{where}: iscrowd is {ascii(crowd)[:60]}; use 0 or 1")
        self._check_mask(row.get("segmentation"), image, where)
        left, top, width, height = self._corners(row, where)
        box = Box(self.classes[category], left, top, left + width, top + height, bool(crowd))
        self._boxes[image].append(box)

    def _corners(self, row: dict[str, Any], where: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of a box, or of its polygons where there is none."""
        bbox = row.get("bbox")
        if isinstance(bbox, list) and len(bbox) == 4:
            left, top, width, height = (number(value, where, "bbox") for value in bbox)
            return left, top, width, height
        polygons = row.get("segmentation")
        if bbox or not isinstance(polygons, list) or not polygons or not all(isinstance(p, list) for p in polygons):
            raise DataError(f"{where}: bbox is {ascii(bbox)[:60]}; give [left, top, width, height] in pixels")
        values = [[number(value, where, "segmentation") for value in polygon] for polygon in polygons]
        xs = [x for polygon in values for x in polygon[::2]]
        ys = [y for polygon in values for y in polygon[1::2]]
        if not xs or not ys:
            raise DataError(f"{where}: has neither a bbox nor a polygon; give [left, top, width, height] in pixels")
        return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)

    def _refuse_corners(self) -> None:
        """Refuse boxes that are written as left, top, right, bottom: all are within their photo so, and only so."""
        count = beyond = 0
        for image, boxes in self._boxes.items():
            size = self._size(image) if boxes else None
            for box in boxes:
                right, bottom = box.x2 - box.x1, box.y2 - box.y1  # as they stand in the file
                if size is None or not (box.x1 < right <= size[0] and box.y1 < bottom <= size[1]):
                    return
                count += 1
                beyond += box.x2 > size[0] * (1 + _BEYOND) or box.y2 > size[1] * (1 + _BEYOND)
        if beyond and beyond >= count * _MANY:
            raise DataError(
                f"{self._path}: {beyond:,} of {count:,} boxes reach beyond their photo, and all are within it as left, "
                "top, right, bottom; write bbox as left, top, width, height"
            )

    def _check_mask(self, mask: Any, image: Any, where: str) -> None:
        """Refuse a mask that is of another size than its photo: it is another one's, and so may be the box."""
        size = mask.get("size") if isinstance(mask, dict) else None
        stated = None if size is None else self._size(image)
        if stated is None:
            return
        if not isinstance(size, list) or [number(n, where, "size of its mask") for n in size] != [*stated[::-1]]:
            raise DataError(
                f"{where}: its mask has the size (height, width) {ascii(size)[:60]}, its image is "
                f"{stated[0]:g}×{stated[1]:g}; export it again"
            )
