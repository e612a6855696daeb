"""Photographs in folders: of classes, of parts with class folders in them, or of folds."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

from mobilenets.data.samples import Samples, SamplesBuilder
from mobilenets.data.sources.layout import Layout, understand
from mobilenets.data.sources.survey import RUN, Survey, count_text, give_or_list, named
from mobilenets.data.sources.tree import Folder
from mobilenets.data.walk import count_unseen, image_files, images_among
from mobilenets.errors import DataError


def read_folder(data: Path, *, known: Collection[str] = (), without: Path | None = None) -> tuple[Samples, Survey]:
    """The photographs of every class folder (`layout.understand` says which these are); none where there are none.

    `known`: class names of a model. `without`: a folder in `data` that is left alone, as its photographs validate.

    Raises
    ------
    UserError
        A folder that cannot be opened, photographs without class folders, or folders that may be parts or
        classes.
    """
    survey = Survey()
    excluded = None if without is None else os.path.realpath(without)
    root = Folder(data, _unreadable, excluded)
    for run in root.runs:
        survey.leave_out(RUN, str(run))
    layout = understand(root, survey, known=known, held_out=without is not None)
    found = SamplesBuilder(str(data), survey)
    start = len(str(data / "x")) - 1  # of a million paths, none is taken apart
    for own in layout.classes:
        for path in image_files(own.path, _unreadable, survey):
            found.add(path[start:], own.name, own.split)
    _note_loose(layout, survey, nothing_else=len(found) == 0)
    for folder in layout.beside:
        count = sum(1 for _ in image_files(folder, _unreadable, survey))
        survey.note(f"{folder}: {count_text(count)} beside the folders that are read, in no part or class; left out")
    for folder in layout.unfilled:
        survey.add(_without_images(folder))
    for folder in layout.empty:
        holds = _without_images(folder)
        survey.add(holds)
        survey.empty.append(f"{folder}: holds no images{''.join(f' ({line})' for line in holds.lines()[:1])}")
    return found.samples(), found.survey


def is_folder_of_folders(data: Path) -> bool:
    """Whether pictures lie in folders of `data`."""
    return bool(Folder(data, _unreadable).filled)


def _without_images(folder: Path) -> Survey:
    """What lies in a folder that holds no picture."""
    survey = Survey()
    for _ in image_files(folder, _unreadable, survey):
        pass
    return survey


def _note_loose(layout: Layout, survey: Survey, nothing_else: bool) -> None:
    """Count what lies directly in folders that hold class folders.

    Raises
    ------
    UserError
        All photographs do.
    """
    for folder in layout.holders:
        count = sum(1 for _ in images_among(_directly_in(folder, survey), survey))
        if count and nothing_else:
            others = sorted(path.name for path in folder.glob("*.json"))
            not_read = f" ({named(others, 3)}: not read; export boxes as COCO, classes as a CSV)" if others else ""
            raise DataError(
                f"{folder}: {count_text(count)}, but no folders of classes; make one folder for each class (a single "
                f"one, if all of them are good ones), as {folder / 'CLASS'}, and put them there, or "
                f"{give_or_list(folder)}{not_read}"
            )
        if count:
            survey.note(f"{folder}: {count_text(count)} directly in it, in no class folder; left out")


def _directly_in(folder: Path, survey: Survey) -> list[str]:
    """The files of a folder itself; what is hidden or the system's is counted."""
    for path in sorted(folder.iterdir()):
        count_unseen(path.name, survey)
    return [str(folder / name) for name in Folder(folder, _unreadable).files]


def _unreadable(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename}: {error.strerror}; check its permissions, or move it away") from error
