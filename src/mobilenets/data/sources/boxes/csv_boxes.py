"""Boxes in a CSV: a row for each (`path,label,xmin,ymin,xmax,ymax`), or for each photo, with all that it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mobilenets.data.sources.boxes.files import number
from mobilenets.data.sources.boxes.table import Annotated, BoxTable
from mobilenets.errors import DataError
from mobilenets.tasks.detect.targets import Box, boxes_of, text_of

CORNERS = ("xmin", "ymin", "xmax", "ymax")
# Letters and digits only, without capitals, as `csv_format` compares names.
_NAMES = {
    "xmin": "xmin x1 left minx bboxxmin boxxmin bboxx1",
    "ymin": "ymin y1 top miny bboxymin boxymin bboxy1",
    "xmax": "xmax x2 right maxx bboxxmax boxxmax bboxx2",
    "ymax": "ymax y2 bottom maxy bboxymax boxymax bboxy2",
    "width": "width imagewidth imgwidth",
    "height": "height imageheight imgheight",
    "ignore": "ignore difficult iscrowd crowd isgroupof",
}
_WHOLE = {"bbox", "bboxes", "boundingbox", "box", "bndbox"}
_PLACE_AND_SIDES = (
    {*_NAMES["xmin"].split(), "x", "bboxx", "xcenter", "centerx", "xc", "cx"},
    {*_NAMES["ymin"].split(), "y", "bboxy", "ycenter", "centery", "yc", "cy"},
    {"w", "width", "bboxw", "bboxwidth", "boxwidth"},
    {"h", "height", "bboxh", "bboxheight", "boxheight"},
)
_FLAGS = {"": False, "0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


class BoxRow(NamedTuple):
    """A row of a CSV: what a message calls it, the file that it names, its part, and its values by column."""

    where: str
    path: str
    split: str
    values: Mapping[str, str]


def find_corners(keys: Sequence[str]) -> dict[str, int]:
    """The positions of the columns of a box among `keys`; none where one of its four corners is missing.

    Examples
    --------
    >>> find_corners(["path", "label", "xmin", "ymin", "xmax", "ymax"])
    {'xmin': 2, 'ymin': 3, 'xmax': 4, 'ymax': 5}
    >>> find_corners(["path", "label", "width", "height"])
    {}
    """
    found = {}
    for name, names in _NAMES.items():
        at = [k for k, key in enumerate(keys) if key in names.split()]
        if at:
            found[name] = at[0]
    return found if found.keys() >= set(CORNERS) else {}


def are_boxes(keys: Sequence[str]) -> bool:
    """Whether columns that nobody reads are boxes in another form: a cell with four numbers, or a place and sides.

    Examples
    --------
    >>> are_boxes(["xmin", "ymin", "width", "height"]), are_boxes(["bbox"]), are_boxes(["width", "height"])
    (True, True, False)
    """
    given = set(keys)
    return bool(given & _WHOLE) or all(given & names for names in _PLACE_AND_SIDES)


def canonical(text: str, where: str) -> str:
    """The label text in the one form that it is written in; of a cell without any: no objects.

    Raises
    ------
    DataError
        It is none; `where`: what the message calls it.
    """
    try:
        return text_of(boxes_of(text or "[]"))
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def read_box_rows(table: Path, rows: Iterable[BoxRow]) -> BoxTable:
    """The photos of a CSV with a box in each row, as `annotated` has them."""
    photos, relative = annotated(rows)
    unit = "relative to the photo" if relative else "in pixels"
    found = BoxTable(table.parent, f"boxes of {table.name} (corners {unit})", says_parts=True)
    for photo in photos:
        found.add(photo)
    return found


def annotated(rows: Iterable[BoxRow]) -> tuple[list[Annotated], bool]:
    """The photos of rows with a box each; a row with a path alone is a photo without objects.

    Corners are in pixels from 0, or, where all lie between 0 and 1, relative to the photo: which, is told too.

    Raises
    ------
    DataError
        A row that is no box, or contradicts another of its photo.
    """
    photos: dict[str, BoxRow] = {}
    boxes: dict[str, list[Box]] = {}
    sizes: dict[str, tuple[float, float] | None] = {}
    values: set[float] = set()
    for row in rows:
        first = photos.setdefault(row.path, row)
        if (first.split, first.values["group"]) != (row.split, row.values["group"]):
            raise DataError(f"{row.where}: {row.path} has another split or group in a row before; give it one")
        own = boxes.setdefault(row.path, [])
        size = _size(row)
        if sizes.setdefault(row.path, size) != size:
            raise DataError(f"{row.where}: {row.path} has another width or height in a row before; give it one")
        if any(row.values[corner] for corner in CORNERS):
            box = _box(row)
            own.append(box)
            values.update(box[1:5])
        elif row.values["label"]:
            raise DataError(
                f"{row.where}: has the label {row.values['label'][:60]!a}, but no corners; give xmin, ymin, xmax and "
                "ymax, or no label where the photo has no objects"
            )
    relative = bool(values) and all(0 <= value <= 1 for value in values) and any(0 < value < 1 for value in values)
    return [
        Annotated(path, boxes[path], row.where, sizes[path], relative, row.split, row.values["group"] or None)
        for path, row in photos.items()
    ], relative


def _box(row: BoxRow) -> Box:
    label = row.values["label"]
    if not label:
        raise DataError(f"{row.where}: label is empty; name the class of the box")
    x1, y1, x2, y2 = (number(row.values[corner], row.where, corner) for corner in CORNERS)
    flag = row.values.get("ignore", "").lower()
    if flag not in _FLAGS:
        raise DataError(f"{row.where}: whether the box counts is {flag[:40]!a}; use 0, or 1 where it does not")
    return Box(label, x1, y1, x2, y2, _FLAGS[flag])


def _size(row: BoxRow) -> tuple[float, float] | None:
    """Width and height of what boxes were drawn on, where both are said."""
    values = [row.values.get(side, "") for side in ("width", "height")]
    if not all(values):
        return None
    width, height = (number(value, row.where, side) for value, side in zip(values, ("width", "height"), strict=True))
    if min(width, height) < 1:
        raise DataError(f"{row.where}: is {width:g}×{height:g}; give the photo's width and height, or neither")
    return width, height
