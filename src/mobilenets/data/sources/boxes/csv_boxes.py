"""Boxes in a CSV: a row for each, in one of the forms of `csv_forms`, or for each photo, with all that it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mobilenets.data.sources.boxes.csv_forms import (
    CELL,
    CORNERS,
    KEYS,
    BoxColumns,
    Four,
    Size,
    choose_form,
    corners_of,
    numbers_of,
)
from mobilenets.data.sources.boxes.files import number
from mobilenets.data.sources.boxes.table import Annotated, BoxTable
from mobilenets.errors import DataError, UserError
from mobilenets.preprocess.stored import stored
from mobilenets.tasks.detect.targets import Box, boxes_of, text_of

_FLAGS = {"": False, "0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


class BoxRow(NamedTuple):
    """A row of a CSV: what a message calls it, the file that it names, its part, and its values by column."""

    where: str
    path: str
    split: str
    values: Mapping[str, str]


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


def read_box_rows(table: Path, rows: Iterable[BoxRow], columns: BoxColumns) -> BoxTable:
    """The photos of a CSV with a box in each row."""
    photos, notes = annotated(table, rows, columns)
    found = BoxTable(table.parent, f"boxes of {table.name} ({notes[0]})", says_parts=True)
    for line in notes[1:]:
        found.survey.note(f"{table}: {line}")
    for photo in photos:
        found.add(photo)
    return found


def annotated(table: Path, rows: Iterable[BoxRow], columns: BoxColumns) -> tuple[list[Annotated], list[str]]:
    """The photos of rows with a box each, and how they were read; a row with a path alone is a photo without objects.

    Numbers are in pixels from 0, or, where all lie between 0 and 1, relative to the photo: which, is told too.

    Raises
    ------
    DataError
        A row that is no box, or contradicts another of its photo.
    """
    photos: dict[str, BoxRow] = {}
    drawn: list[tuple[BoxRow, Four]] = []
    for row in rows:
        first = photos.setdefault(row.path, row)
        if (first.split, first.values["group"]) != (row.split, row.values["group"]):
            raise DataError(f"{row.where}: {row.path} has another split or group in a row before; give it one")
        four = _four(row, columns)
        if four is not None:
            drawn.append((row, four))
    values = [value for _, four in drawn for value in four]
    relative = bool(values) and all(0 <= value <= 1 for value in values) and any(0 < value < 1 for value in values)
    sizes, sides = _sizes(photos, drawn, columns)
    form, notes = columns.forms[0], None
    if len(columns.forms) > 1:
        known = {path: (1.0, 1.0) if relative else size or _upright(table, path) for path, size in sizes.items()}
        named = [(f"{row.values['label']!r} of {row.path}", four, known[row.path]) for row, four in drawn]
        form, notes = choose_form(table, columns, named)
    boxes: dict[str, list[Box]] = {path: [] for path in photos}
    for row, four in drawn:
        boxes[row.path].append(_box(row, corners_of(form, four)))
    what = "corners" if form == CORNERS else ", ".join(form)
    unit = "relative to the photo" if relative else "in pixels"
    return [
        Annotated(path, boxes[path], row.where, sizes[path], relative, row.split, row.values["group"] or None)
        for path, row in photos.items()
    ], [f"{what} {unit}", *filter(None, (notes, sides))]


def _four(row: BoxRow, columns: BoxColumns) -> Four | None:
    """The numbers of a row's box; None of a row without any."""
    if CELL in columns.at:
        cell = row.values[CELL]
        texts = numbers_of(cell) if cell else ("",) * 4
        if texts is None:
            raise DataError(f"{row.where}: {columns.names[0]} is {cell[:60]!a}; give four numbers, a row for each box")
        names = columns.names * 4
    else:
        texts, names = tuple(row.values[key] for key in KEYS), columns.names
    if any(texts):
        a, b, c, d = (number(text, row.where, name) for text, name in zip(texts, names, strict=True))
        return a, b, c, d
    if row.values["label"]:
        raise DataError(
            f"{row.where}: has the label {row.values['label'][:60]!a}, but no box; give {', '.join(columns.names)}, or "
            "no label where the photo has no objects"
        )
    return None


def _sizes(
    photos: Mapping[str, BoxRow], drawn: Sequence[tuple[BoxRow, Four]], columns: BoxColumns
) -> tuple[dict[str, Size | None], str | None]:
    """Width and height of what the boxes of each photo were drawn on; what is told where those are the boxes' own."""
    size_of = {id(row): _size(row) for row, _ in drawn}
    if (
        columns.forms == (CORNERS,)
        and any(max(four[:2]) > 0 for _, four in drawn)
        and all(_is_side_of(size_of[id(row)], four) for row, four in drawn)
    ):
        return dict.fromkeys(photos), "width and height are those of the boxes: not read as the photo's"
    sizes = {path: _size(row) for path, row in photos.items()}
    for row, _ in drawn:
        if size_of[id(row)] != sizes[row.path]:
            raise DataError(f"{row.where}: {row.path} has another width or height in a row before; give it one")
    return sizes, None


def _is_side_of(size: Size | None, four: Four) -> bool:
    return size is not None and abs(four[2] - four[0] - size[0]) <= 1 and abs(four[3] - four[1] - size[1]) <= 1


def _upright(table: Path, path: str) -> Size | None:
    """Width and height of a photo; None of one that cannot be opened, which is told when it is read."""
    try:
        return stored(table.parent / path).upright
    except UserError:
        return None


def _box(row: BoxRow, corners: Four) -> Box:
    label = row.values["label"]
    if not label:
        raise DataError(f"{row.where}: label is empty; name the class of the box")
    flag = row.values.get("ignore", "").lower()
    if flag not in _FLAGS:
        raise DataError(f"{row.where}: whether the box counts is {flag[:40]!a}; use 0, or 1 where it does not")
    return Box(label, *corners, _FLAGS[flag])


def _size(row: BoxRow) -> Size | None:
    """Width and height of what boxes were drawn on, where both are said."""
    values = [row.values.get(side, "") for side in ("width", "height")]
    if not all(values):
        return None
    width, height = (number(value, row.where, side) for value, side in zip(values, ("width", "height"), strict=True))
    if min(width, height) < 1:
        raise DataError(f"{row.where}: is {width:g}×{height:g}; give the photo's width and height, or neither")
    return width, height
