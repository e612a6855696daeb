"""Data with a single class to learn from: its photos are the good ones, and all others show defects."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn
from unicodedata import normalize

import numpy as np

from mobilenets.data.samples import Samples, SamplesBuilder
from mobilenets.data.sources.survey import Survey, count_text
from mobilenets.data.walk import image_files
from mobilenets.errors import DataError, UsageError
from mobilenets.model_card import ANOMALY, CLASSIFY
from mobilenets.tasks.anomaly.targets import GOOD, defect_text


def with_defects(
    data: Path, defects: Path | None, find: Callable[[], tuple[Samples, Survey]]
) -> tuple[Samples, Survey, Samples]:
    """The photographs of `data`, what reading them came upon, and those of defects, of which there may be none.

    `find`: reads `data`.

    Raises
    ------
    UserError
        `defects` holds none, or `data` has several classes beside it.
    """
    good = None if defects is None else _read_good(data)
    found, survey = good or find()
    found = _understood(data, found, survey)
    if defects is None:
        return found, survey, found.take(np.zeros(0, np.int64))
    if survey.task != ANOMALY:
        raise UsageError(f"--defects: is for good ones only, and {data} has more than one class; leave it out")
    others, others_survey = _read_defects(defects, good_of(found))
    survey.add(others_survey)
    return found, survey, others


def good_of(found: Samples) -> str:
    """What the good ones are called."""
    return found.of_splits("train", "").classes()[0]


def _understood(data: Path, found: Samples, survey: Survey) -> Samples:
    """`found` in `data`; if all that is to be learned from is of one class, with texts of good ones and defects."""
    training = found.of_splits("train", "")
    names = training.classes()
    if survey.task != CLASSIFY or len(names) != 1:
        return found
    survey.task = ANOMALY
    survey.note(
        f"{data}: {count_text(len(training))} of one class, {names[0]!r}: understood as good ones only, and what is "
        "unlike them will be told (a classifier needs a second class)"
    )
    return as_defects(found, names[0])


def as_defects(found: Samples, good: str) -> Samples:
    """The same photos, all of which that are not called `good` have a label text of defects."""
    texts = [name if normalize("NFC", name) == normalize("NFC", good) else defect_text(name) for name in found.names]
    return replace(found, names=tuple(texts))


def _read_good(data: Path) -> tuple[Samples, Survey] | None:
    """The photos directly in a folder without other photos, as good ones; None of other data."""
    if not data.is_dir():
        return None
    survey = Survey()
    builder = SamplesBuilder(str(data), survey)
    for path in image_files(data, _unreadable, survey):
        if Path(path).parent != data:
            return None
        builder.add(os.path.relpath(path, data), GOOD)
    return (builder.samples(), builder.survey) if len(builder) else None


def _read_defects(folder: Path, good: str) -> tuple[Samples, Survey]:
    """The photos of a folder as defects, of the kinds that its folders are called.

    Raises
    ------
    UserError
        It is none, holds no photo, or a folder that is called as the `good` ones are.
    """
    if not folder.is_dir():
        raise DataError(f"--defects {folder}: no such folder; give one with photos of defects")
    survey, root = Survey(), folder.absolute()
    builder = SamplesBuilder(str(root), survey)
    for path in image_files(root, _unreadable, survey):
        name = os.path.relpath(path, root)
        kind = Path(name).parts[0] if len(Path(name).parts) > 1 else ""
        if normalize("NFC", kind) == normalize("NFC", good):
            raise DataError(
                f"--defects {folder}: its folder {kind!r} is called as the good ones are; call it otherwise, or move "
                "it away"
            )
        builder.add(name, defect_text(kind), "val")
    if not len(builder):
        raise DataError(f"--defects {folder}: holds no photos; give a folder with some of defects")
    return builder.samples(), builder.survey


def _unreadable(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename}: {error.strerror}; check its permissions, or move it away") from error
