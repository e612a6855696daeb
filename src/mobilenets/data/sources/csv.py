"""Photographs listed in a CSV: path,label[,split][,group][,stratum], or what other tools write of that kind."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.samples import Samples, SamplesBuilder
from mobilenets.data.sources.csv_format import Format, find_format, open_rows
from mobilenets.data.sources.csv_paths import Finder
from mobilenets.data.sources.several_labels import find_several, label_notes
from mobilenets.data.sources.split_names import SPLIT_NAMES
from mobilenets.data.sources.survey import Survey
from mobilenets.errors import DataError, UserError
from mobilenets.tasks import TASKS

log = logging.getLogger(__name__)

COLUMNS = ("path", "label", "split", "group", "stratum")
METADATA = "metadata.csv"  # Hugging Face's list of a folder's images

Row = dict[str, str]


def read_table(table: Path) -> tuple[Samples, Survey]:
    """The rows of a CSV. A row that repeats another one is a photograph to be shown twice.

    What is not as `path,label` separated by commas is found out and told in one line.

    Raises:
        UserError: not a CSV, a bad row (by its line), a missing file, several labels in one, or a photograph that is
            listed twice with different labels, parts or groups.
    """
    found = SamplesBuilder(str(table.parent))
    form, guesses = _add(found, table)
    samples = found.samples()
    found.survey.task = form.task
    if TASKS[form.task].labels_are_classes:
        _check_labels(table, form, samples.names)
    _check_repeats(table, form, samples)
    if TASKS[form.task].labels_are_classes:
        guesses += label_notes(samples.names)
    if guesses:
        _log_once(f"{table}: {'; '.join(guesses)}")
    return samples, found.survey


def read_metadata(folder: Path) -> tuple[Samples, Survey] | None:
    """What Hugging Face's `metadata.csv` in a folder of images says; None without one, or where it has no labels."""
    table = folder / METADATA
    if not table.is_file():
        return None
    try:
        find_format(table)
    except UserError as error:
        _log_once(f"{error}; the folders are read without it")
        return None
    _log_once(f"{folder}: read by its {METADATA}")
    return read_table(table)


def _add(found: SamplesBuilder, table: Path) -> tuple[Format, list[str]]:
    """Add every row of `table`; its format, and what was guessed."""
    form = find_format(table)
    finder = Finder(table.parent)
    for line, row in _rows(table, form):
        where = f"{table}, line {line}"
        for column in ("path", "label"):
            if not row[column]:
                raise DataError(f"{where}: {column} is empty")
            if "\n" in row[column] or "\r" in row[column]:
                raise DataError(f"{where}: {column} has a line break in it; is a quote not closed?")
        split = row["split"].lower()
        if split and split not in SPLIT_NAMES:
            raise DataError(f"{where}: split is {row['split'].lower()!r}; use train, val or test")
        path = finder.find(row["path"])
        if path is None:
            raise DataError(f"{where}: {row['path']}: no such file ({finder.hint(row['path'])})")
        found.add(path, row["label"], SPLIT_NAMES[split] if split else "", row["group"] or None, row["stratum"] or None)
    return form, [*form.notes, *finder.describe()]


def _rows(table: Path, form: Format) -> Iterator[tuple[int, Row]]:
    """Line number and values, stripped, of every row that is not blank."""
    wanted = [(name, form.columns.get(name, sys.maxsize)) for name in COLUMNS]
    for line, values in open_rows(table, form):
        count = len(values)
        if count > form.width and any(values[form.width :]):
            raise DataError(
                f"{table}, line {line}: more values than columns, {count} for {form.width}: {_shown(values)}; put "
                "quotes around a value with the separator in it; several labels of one photograph are not read"
            )
        yield line, {name: values[k].strip() if k < count else "" for name, k in wanted}


def _shown(values: Sequence[str]) -> str:
    return ", ".join(repr(value[:40]) for value in values[:6])


def _check_labels(table: Path, form: Format, names: Sequence[str]) -> None:
    several = find_several(names)
    if several is None:
        return
    label, why = several
    line = next(line for line, row in _rows(table, form) if row["label"] == label)
    raise DataError(
        f"{table}, line {line}: label is {label[:80]!r}, which is several ({why}); several labels of one photograph "
        "are not read: give each one label"
    )


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
    _log_once(
        f"{table}: {len(again)} rows repeat a photograph; it is shown as often, and never both trains and validates"
    )


def _refuse(table: Path, form: Format, earlier: int, later: int) -> None:
    """It would train and validate, or be of two classes."""
    lines: list[tuple[int, Row]] = list(islice(_rows(table, form), earlier, later + 1))
    (first, _), (line, row) = lines[0], lines[-1]
    raise DataError(
        f"{table}, line {line}: {row['path']} is on line {first} already with another label, split or group; keep one"
    )


@cache
def _log_once(line: str) -> None:
    """Once: a data set is read for training and again for what is told about it."""
    log.warning("%s", line)
