"""labelme: a JSON file beside each photo, with shapes in pixels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mobilenets.data.sources.boxes.files import MAX_TEXT, files_with, number, read_json
from mobilenets.data.sources.boxes.photos import Photos, split_of
from mobilenets.data.sources.boxes.table import Annotated, BoxTable
from mobilenets.errors import DataError
from mobilenets.tasks.detect.targets import Box

# What has an area, and how many points that takes; of a mask they are the corners of its box.
_SHAPES = {"rectangle": 2, "polygon": 3, "circle": 2, "mask": 2, "oriented_rectangle": 3, "rotation": 3}
_IGNORED = "__ignore__"  # a label of labelme's own
_OTHERS = ("point", "points", "line", "linestrip")


def find_labelme(folders: Sequence[Path]) -> list[Path]:
    """The JSON files of labelme in some folders, of each where one of its first is one."""
    return files_with(folders, ".json", b'"shapes"', b'"imageData"')  # the photo itself may go before the shapes


def read_labelme(data: Path, files: Sequence[Path]) -> BoxTable:
    """The photos of all `files`; parts as folders say.

    Raises
    ------
    DataError
        A file that is none, or of a photo that is not there.
    """
    photos, table = Photos(data), BoxTable(data, "labelme JSON")
    missing, others = [], Counter[str]()
    for path in files:
        name = path.relative_to(data).as_posix()
        written, size, boxes = _read(path, others)
        split = split_of(name)
        found = photos.find(written, name.rpartition("/")[0], split) or photos.beside(name, split)
        if found is None:
            missing.append(written or path.stem)
        else:
            table.add(Annotated(found, boxes, str(path), size, split=split))
    photos.refuse_missing(files[0].parent.relative_to(data).as_posix(), missing, len(files))
    for kind, count in sorted(others.items()):
        table.survey.note(
            f"{data}: {count:,} {'shapes' if count > 1 else 'shape'} of the kind {kind} left out: no area"
        )
    table.note_unlisted(photos)
    return table


def _read(path: Path, others: Counter[str]) -> tuple[str, tuple[float, float] | None, list[Box]]:
    """The name of the photo, the size it had, where that is said, and boxes; `others` are counted."""
    content = read_json(path, MAX_TEXT)
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list):
        raise DataError(f"{path}: has no list of shapes; save it again with labelme, or move it away")
    boxes: dict[object, Box] = {}
    for k, shape in enumerate(shapes):
        where = f"{path}: shape {k + 1}"
        if not isinstance(shape, dict):
            raise DataError(f"{where}: is {ascii(shape)[:60]}, which is no object")
        kind = shape.get("shape_type") or "polygon"
        if kind in _OTHERS:
            others[kind] += 1
        else:
            box = _box(shape, kind, where)
            group = shape.get("group_id")  # several shapes of one object have the same
            one = (k,) if group is None or isinstance(group, list | dict) else (box.name, group)
            boxes[one] = _around(boxes[one], box) if one in boxes else box
    width, height = (content.get(f"image{side}") for side in ("Width", "Height"))
    size = None
    if width or height:
        size = number(width, str(path), "imageWidth"), number(height, str(path), "imageHeight")
        if min(size) < 1:
            raise DataError(f"{path}: its image is {size[0]:g}×{size[1]:g}; save it again with labelme")
    written = content.get("imagePath") or ""
    if not isinstance(written, str):
        raise DataError(f"{path}: imagePath is {ascii(written)[:60]}; give the name of the photo")
    return written, size, list(boxes.values())


def _box(shape: dict[str, Any], kind: Any, where: str) -> Box:
    label, points = shape.get("label"), shape.get("points")
    if not isinstance(label, str) or not label.strip():
        raise DataError(f"{where}: label is {ascii(label)[:60]}; give it that of its class")
    if not isinstance(kind, str) or kind not in _SHAPES:
        raise DataError(f"{where}: is of the kind {ascii(kind)[:60]}; {', '.join(_SHAPES)} are read")
    is_list = isinstance(points, list) and all(isinstance(point, list) and len(point) == 2 for point in points)
    if not is_list or len(points or ()) < _SHAPES[kind]:
        raise DataError(f"{where}: its points are {ascii(points)[:60]}; a {kind} has {_SHAPES[kind]} [x, y] or more")
    xs, ys = zip(*((number(x, where, "x"), number(y, where, "y")) for x, y in points or ()), strict=True)
    if kind == "circle":  # its centre, and a point of its edge
        radius = math.dist((xs[0], ys[0]), (xs[1], ys[1]))
        return Box(label, xs[0] - radius, ys[0] - radius, xs[0] + radius, ys[0] + radius, label == _IGNORED)
    return Box(label, min(xs), min(ys), max(xs), max(ys), label == _IGNORED)


def _around(a: Box, b: Box) -> Box:
    """The box around two."""
    return a._replace(x1=min(a.x1, b.x1), y1=min(a.y1, b.y1), x2=max(a.x2, b.x2), y2=max(a.y2, b.y2))
