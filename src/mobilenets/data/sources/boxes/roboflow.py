"""Roboflow's CSV: `_annotations.csv` beside the photos of each part, a row for each box."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mobilenets.data.sources.boxes.csv_boxes import annotated
from mobilenets.data.sources.boxes.csv_forms import CORNERS
from mobilenets.data.sources.boxes.files import beginning
from mobilenets.data.sources.boxes.photos import Photos, split_of
from mobilenets.data.sources.boxes.table import BoxTable
from mobilenets.data.sources.csv import located
from mobilenets.data.sources.csv_format import find_format
from mobilenets.data.sources.csv_paths import Finder
from mobilenets.data.sources.survey import named
from mobilenets.errors import DataError

_NAME = "_annotations.csv"


def find_roboflow(folders: Sequence[Path]) -> list[Path]:
    """The lists of boxes in some folders."""
    return [folder / _NAME for folder in folders if CORNERS[0].encode() in beginning(folder / _NAME)]


def read_roboflow(data: Path, files: Sequence[Path]) -> BoxTable:
    """The photos of all `files`, each a part where there are several.

    Raises
    ------
    DataError
        A row that is no box, contradicts another of its photo, or names a photo that is not there.
    """
    names = [path.relative_to(data).as_posix() for path in files]
    table = BoxTable(data, f"Roboflow's CSV ({named(names, 3)})")
    for path, name in zip(files, names, strict=True):
        form, finder = find_format(path), Finder(path.parent)
        if form.boxes is None:
            raise DataError(f"{path}: lacks a column of {', '.join(CORNERS)}; export it again")
        folder, split = name[: -len(_NAME)], split_of(name)
        rows = located(path, form, finder)
        rows = (row._replace(path=folder + row.path, split=row.split or split) for row in rows)
        for photo in annotated(data / _NAME, rows, form.boxes)[0]:
            table.add(photo)
        if guesses := [*form.notes, *finder.describe()]:
            table.survey.note(f"{path}: {'; '.join(guesses)}")
    table.note_unlisted(Photos(data))
    return table
