"""Photographs listed in a CSV: path,label[,split][,group][,stratum], paths relative to the file."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.records import PART_NAMES, Finding, Records
from mobilenets.data.sample import Samples
from mobilenets.errors import UserError

COLUMNS = ("path", "label", "split", "group", "stratum")
# Looking for a file takes a millisecond on a network drive. Of longer tables the first rows are looked for, which
# tells a wrong folder at once; what else is missing is told when it is read.
LOOKED_FOR = 100_000

Row = dict[str, str]


def read_table(table: Path) -> Records:
    """The rows of a CSV. A row that repeats another one is a photograph to be shown twice.

    Raises:
        UserError: not a CSV, a bad row (by its line), a missing file, or a photograph that is listed twice with
            different labels, parts or groups.
    """
    found = Finding(str(table.parent))
    for line, row in _rows(table):
        where = f"{table}, line {line}"
        for column in ("path", "label"):
            if not row[column]:
                raise UserError(f"{where}: {column} is empty")
        part = row["split"].lower()
        if part and part not in PART_NAMES:
            raise UserError(f"{where}: split is {row['split'].lower()!r}; use train, val or test")
        if len(found) < LOOKED_FOR and not _is_file(table.parent / row["path"]):
            raise UserError(f"{where}: {row['path']}: no such file (paths are relative to the CSV)")
        part = PART_NAMES[part] if part else ""
        found.add(_plain(row["path"]), row["label"], part, row["group"] or None, row["stratum"] or None)
    records = found.records()
    _check_repeats(table, records)
    return records


def _rows(table: Path) -> Iterator[tuple[int, Row]]:
    """Line number and values, stripped, of every row that is not blank."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            missing = {"path", "label"} - set(header)
            if missing:
                raise UserError(f"{table}: line 1 lacks the column {' and '.join(sorted(missing))}")
            position = {name: k for k, name in enumerate(header)}
            wanted = [(name, position.get(name, sys.maxsize)) for name in COLUMNS]
            for values in lines:
                if any(values[len(header) :]):
                    raise UserError(
                        f"{table}, line {lines.line_num}: more values than columns; put quotes around a value "
                        "with a comma in it"
                    )
                if values:
                    count = len(values)
                    yield lines.line_num, {name: values[k].strip() if k < count else "" for name, k in wanted}
    except UnicodeDecodeError as error:
        raise UserError(f"{table}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except csv.Error as error:
        raise UserError(f"{table}: not a readable CSV ({error})") from error


def _plain(path: str) -> str:
    """The path as `pathlib` writes it, so that one file has one name; most are plain already."""
    odd = os.sep != "/" or "//" in path or "/./" in path or path.startswith("./") or path.endswith(("/", "/."))
    return str(Path(path)) if odd else path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long to be one
        return False


def _check_repeats(table: Path, records: Records) -> None:
    """Refuse rows that contradict each other, and say how many repeat another."""
    order, repeated = Samples(records.table, records.rows, records.rows).by_path()
    again = np.flatnonzero(repeated)
    if len(again) == 0:
        return
    later, earlier = order[again], order[again - 1]
    group = records.table.group
    columns: list[NDArray[Any]] = [records.codes, records.parts, *([group.codes] if group else [])]
    for column in columns:
        for k in np.flatnonzero(column[later] != column[earlier]):
            _refuse(table, int(earlier[k]), int(later[k]))
    print(
        f"{table}: {len(again)} rows repeat a photograph; it is shown as often, and never both trains and validates",
        file=sys.stderr,
    )


def _refuse(table: Path, earlier: int, later: int) -> None:
    """It would train and validate, or be of two classes."""
    lines: list[tuple[int, Row]] = list(islice(_rows(table), earlier, later + 1))
    (first, _), (line, row) = lines[0], lines[-1]
    raise UserError(
        f"{table}, line {line}: {row['path']} is on line {first} already with another label, split or group; keep one"
    )
