"""Photos listed in a CSV: path,label[,split][,group][,stratum], boxes, or what other tools write of that kind."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.samples import Samples, SamplesBuilder
from mobilenets.data.sources.boxes.counts import counted
from mobilenets.data.sources.boxes.csv_boxes import BoxRow, canonical, read_box_rows
from mobilenets.data.sources.csv_format import FLAGS, Format, find_format, open_rows
from mobilenets.data.sources.csv_paths import Finder
from mobilenets.data.sources.once import warn_once
from mobilenets.data.sources.several_labels import (
    find_several,
    label_counts,
    label_notes,
    taken_apart,
    without_lists,
)
from mobilenets.data.sources.split_names import SPLIT_NAMES
from mobilenets.data.sources.survey import Survey
from mobilenets.data.sources.tree import name_warnings
from mobilenets.errors import DataError, UserError
from mobilenets.model_card import CLASSIFY, DETECT, MULTILABEL
from mobilenets.tasks.multilabel.targets import NO_LABELS, SEPARATOR, classes_of, names_of, text_of

COLUMNS = ("path", "label", "split", "group", "stratum")
METADATA = "metadata.csv"  # Hugging Face's list of a folder's images

_MARKS = re.compile(r"\[\s*\{")  # boxes and outlines as Label Studio's CSV has them

Row = dict[str, str]


def read_table(table: Path, task: str = CLASSIFY) -> tuple[Samples, Survey]:
    """The rows of a CSV. A row that repeats another one is a photograph to be shown twice.

    What is not as `path,label` separated by commas is found out and told in one line, as several labels a photograph
    are. `task`: what the labels are to answer, where that is known.

    Raises
    ------
    UserError
        Not a CSV, a bad row (by its line), a missing file, or a photograph that is listed twice with
        different labels, parts or groups.
    """
    form, finder = find_format(table), Finder(table.parent)
    if form.boxes is not None:
        boxes = read_box_rows(table, located(table, form, finder), form.boxes)
        if guesses := [*form.notes, *finder.describe()]:
            warn_once(f"{table}: {'; '.join(guesses)}")
        return boxes.samples(), boxes.survey
    found = SamplesBuilder(str(table.parent), are_classes=form.task in (CLASSIFY, MULTILABEL))
    guesses = _add(found, table, form, finder)
    samples = found.samples()
    found.survey.task = form.task
    if form.task in (CLASSIFY, MULTILABEL):
        samples, found.survey.task, notes = _classes_or_labels(table, form, samples, task)
        guesses += notes
    if found.survey.task == MULTILABEL:
        for line in name_warnings(classes_of(samples.names)):
            found.survey.note(line)
    if form.task == DETECT:
        for line in counted(samples).lines(table, "a list of boxes for each photo", ()):
            found.survey.note(line)
    _check_repeats(table, form, samples)
    if guesses:
        warn_once(f"{table}: {'; '.join(guesses)}")
    return samples, found.survey


def read_metadata(folder: Path, task: str = CLASSIFY) -> tuple[Samples, Survey] | None:
    """What Hugging Face's `metadata.csv` in a folder of images says; None without one, or where it has no labels."""
    table = folder / METADATA
    if not table.is_file():
        return None
    try:
        find_format(table)
    except UserError as error:
        warn_once(f"{error}; the folders are read without it")
        return None
    warn_once(f"{folder}: read by its {METADATA}")
    return read_table(table, task)


def _add(found: SamplesBuilder, table: Path, form: Format, finder: Finder) -> list[str]:
    """Add every row of `table`; what was guessed."""
    for row in located(table, form, finder):
        label = row.values["label"] or NO_LABELS  # whether there may be none is told by all rows
        if form.task == DETECT:
            label = canonical(row.values["label"], row.where)
        found.add(row.path, label, row.split, row.values["group"] or None, row.values["stratum"] or None)
    return [*form.notes, *finder.describe()]


def located(table: Path, form: Format, finder: Finder) -> Iterator[BoxRow]:
    """Every row with the file that it names."""
    paths: dict[str, str] = {}
    for line, row in _rows(table, form):
        where = f"{table}, line {line}"
        if not row["path"]:
            raise DataError(f"{where}: path is empty; name a photo, or delete the row")
        for column in ("path", "label"):
            if "\n" in row[column] or "\r" in row[column]:
                raise DataError(f"{where}: {column} has a line break in it; is a quote not closed?")
        split = row["split"].lower()
        if split and split not in SPLIT_NAMES:
            raise DataError(f"{where}: split is {row['split'].lower()!r}; use train, val or test")
        path = paths.get(row["path"]) if form.boxes else None  # a photo has as many rows as boxes
        path = path or finder.find(row["path"])
        if path is None:
            raise DataError(f"{where}: {row['path']}: no such file ({finder.hint(row['path'])})")
        if form.boxes:
            paths[row["path"]] = path
        yield BoxRow(where, path, SPLIT_NAMES[split] if split else "", row)


def _rows(table: Path, form: Format) -> Iterator[tuple[int, Row]]:
    """Line number and values, stripped, of every row that is not blank."""
    wanted = [(name, form.columns.get(name, sys.maxsize)) for name in COLUMNS]
    wanted += form.boxes.at.items() if form.boxes else []
    for line, values in open_rows(table, form):
        count = len(values)
        if count > form.width and any(values[form.width :]):
            raise DataError(
                f"{table}, line {line}: more values than columns, {count} for {form.width}: {_shown(values)}; put "
                "quotes around a value with the separator in it"
            )
        row = {name: values[k].strip() if k < count else "" for name, k in wanted}
        if form.flags:
            row["label"] = SEPARATOR.join(_flagged(table, line, form, values))
        yield line, row


def _flagged(table: Path, line: int, form: Format, values: Sequence[str]) -> Iterator[str]:
    """The labels whose columns have a 1."""
    for name, k in form.flags.items():
        value = values[k].strip() if k < len(values) else ""
        if value.lower() not in FLAGS:
            raise DataError(f"{table}, line {line}: {name} is {value!r}; use 1 where the photo has it, else 0")
        if FLAGS[value.lower()]:
            yield name


def _shown(values: Sequence[str]) -> str:
    return ", ".join(repr(value[:40]) for value in values[:6])


def _classes_or_labels(table: Path, form: Format, samples: Samples, task: str) -> tuple[Samples, str, list[str]]:
    """The samples by classes or by label texts, their task, and what is to be told of that.

    They have several labels where columns, or `task`, or the labels themselves say so, but not where each has one.
    """
    names = samples.names
    if marks := next(filter(_MARKS.match, names), None):
        line = next(line for line, row in _rows(table, form) if row["label"] == marks)
        raise DataError(
            f"{table}, line {line}: label is JSON of Label Studio's marks, {marks[:40]!r} …; export boxes as COCO "
            "or YOLO"
        )
    several = None if form.flags else find_several(names)
    if several is not None or form.task == MULTILABEL or task == MULTILABEL:
        texts = [text_of(names_of(name)) for name in names] if form.flags else taken_apart(names)
        if task == MULTILABEL or any(len(names_of(text)) != 1 for text in texts):
            samples = _renamed(samples, texts)
            seen = [f"{several[0][:80]!r} is several ({several[1]})"] if several is not None else []
            return samples, MULTILABEL, [label_counts(samples), *seen]
    if NO_LABELS in names:
        line = next(line for line, row in _rows(table, form) if not row["label"] or row["label"] == NO_LABELS)
        raise DataError(f"{table}, line {line}: label is empty; give the photo a label, or delete the row")
    notes = [f"classes: each photo has 1 in one of {len(form.flags)} columns"] if form.flags else []
    plain = without_lists(names)
    for name, own in zip(names, plain, strict=True):
        if name != own:
            notes.append(f"each label is a list of one: {name!r} is read as {own!r}")
            samples = _renamed(samples, plain)
            break
    return samples, CLASSIFY, [*notes, *label_notes(samples.names)]


def _renamed(samples: Samples, names: Sequence[str]) -> Samples:
    """The samples whose label k is called `names[k]` now; labels of one name become one."""
    number = {name: k for k, name in enumerate(sorted(set(names)))}
    return samples.relabelled([number[name] for name in names], tuple(number))


def _check_repeats(table: Path, form: Format, samples: Samples) -> None:
    """Refuse rows that contradict each other, and say how many repeat another."""
    order, repeated = samples.by_path()
    again = np.flatnonzero(repeated)
    if len(again) == 0:
        return
    later, earlier = order[again], order[again - 1]
    columns: list[NDArray[Any]] = [samples.labels, samples.splits]
    if samples.groups is not None:
        columns.append(samples.groups)
    for column in columns:
        for k in np.flatnonzero(column[later] != column[earlier]):
            _refuse(table, form, int(earlier[k]), int(later[k]))
    warn_once(f"{table}: {len(again)} rows repeat a photo; it is shown as often, and never both trains and validates")


def _refuse(table: Path, form: Format, earlier: int, later: int) -> None:
    """It would train and validate, or be of two classes."""
    lines: list[tuple[int, Row]] = list(islice(_rows(table, form), earlier, later + 1))
    (first, _), (line, row) = lines[0], lines[-1]
    raise DataError(
        f"{table}, line {line}: {row['path']} is on line {first} already with another label, split or group; keep one"
    )
