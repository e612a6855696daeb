"""What a CSV looks like: its encoding, its separator, and which columns say what."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from mobilenets.data.sources.boxes.csv_forms import CORNERS, BoxColumns, are_boxes, find_boxes, without_header
from mobilenets.data.sources.encoding import find_encoding, not_utf8
from mobilenets.data.sources.split_names import SPLIT_NAMES
from mobilenets.errors import DataError, UserError
from mobilenets.model_card import CLASSIFY, DETECT, MULTILABEL
from mobilenets.preprocess.formats import is_image
from mobilenets.tasks import TASKS
from mobilenets.tasks.multilabel.targets import SEPARATOR

# Of each column: its own name, others that say the same, and some that may. Letters and digits only, without capitals.
NAMES: dict[str, tuple[frozenset[str], ...]] = {
    column: tuple(frozenset(names.split()) for names in tiers)
    for column, tiers in {
        "path": (
            "path",
            "file filename filepath filelocation fullpath relpath relativepath image imagepath imagefile imagefilename "
            "imagefilepath imagename img imgpath imgfile imgname photo photopath photofile picture picturepath "
            "图片 图像 图片路径 路径 文件 文件名",
            "name id imageid imgid photoid uri url src source",
        ),
        "label": (
            "label",
            "class classname classlabel labelname category categoryname target targetname species breed "
            "标签 类别 类 分类",
            "labels classes categories tag tags choice annotation diagnosis y classid labelid categoryid targetid",
        ),
        "split": ("split", "", "subset set fold partition part usage phase datasplit dataset"),
        "group": ("group", "groups groupid groupname", ""),
        "stratum": ("stratum", "strata", ""),
    }.items()
}
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SEP_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # what Excel reads and writes as a first line
_HEAD = 200  # lines that are looked at
# Whether a photograph has the label of a column, in lower case; pandas' get_dummies writes True and False.
FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
_VIA = "regionshapeattributes"
_SHOWN = 6  # columns named in a message


@dataclass(frozen=True)
class Format:
    """How to read a CSV: `skip` lines come before the first values; `columns`: the position of each that is there.

    `notes`: what was guessed, for people. `task`: that of the column of labels, by its name in `TASKS`.
    `flags`: of labels that have a column of 0 and 1 each, their positions, where there is no column of labels.
    `boxes`: of rows that are a box each, the columns of its numbers.
    """

    encoding: str
    separator: str
    skip: int
    width: int
    columns: dict[str, int]
    notes: tuple[str, ...]
    task: str = CLASSIFY
    flags: dict[str, int] = field(default_factory=dict)
    boxes: BoxColumns | None = None


def open_rows(table: Path, form: Format) -> Iterator[tuple[int, list[str]]]:
    """Every row of values with the line it begins on; blank rows are left out.

    Raises
    ------
    UserError
        Not text, or not a CSV.
    """
    try:
        with table.open(newline="", encoding=form.encoding) as file:
            for _ in range(form.skip):
                next(file, "")
            reader = _reader(file, form.separator)
            line = form.skip + 1
            for values in reader:
                if any(values):
                    yield line, values
                line = form.skip + reader.line_num + 1
    except UnicodeError as error:
        raise not_utf8(table, error) from error
    except csv.Error as error:
        raise DataError(f"{table}: not a readable CSV ({error})") from error


def find_format(table: Path) -> Format:
    """What the first lines of a CSV show.

    Raises
    ------
    UserError
        No text, or no columns for paths and labels: those that were found are named.
    """
    encoding, note = find_encoding(table)
    try:
        with table.open(newline="", encoding=encoding) as file:
            skip, given = _preamble(file)
            file.seek(0)
            head = list(islice(file, skip, skip + _HEAD))
        tables = {s: list(_reader(head, s)) for s in ([given] if given else _SEPARATORS)}
    except UnicodeError as error:
        raise not_utf8(table, error) from error
    except csv.Error as error:
        raise DataError(f"{table}: not a readable CSV ({error})") from error
    tables = {s: rows or [[]] for s, rows in tables.items()}
    where, notes = f"{table}: line {skip + 1}", [note] if note else []
    for separator, rows in tables.items():
        named = _named(rows[0])
        if any(_key(name) == _VIA for name in rows[0]):
            raise DataError(
                f"{where}: the columns of VGG's VIA, whose boxes are not read from a CSV; export them as COCO"
            )
        if {"path", "label"} <= named.keys() or ("path" in named and _flags(where, rows, named)):
            columns = _choose(where, table.parent, rows)
            flags = {} if "label" in columns else _flags(where, rows, columns)
            boxes = None if flags else find_boxes([_key(name) for name in rows[0]], rows[0], rows[1:])
            task = MULTILABEL if flags else DETECT if boxes else _task_of(rows[0][columns["label"]])
            notes += [f"separated by {_SEPARATORS.get(separator, separator)}"] if separator != "," else []
            notes += _guesses(rows[0], columns, {**flags, **(boxes.at if boxes else {})})
            skip += _lines_of_header(head, separator)
            return Format(encoding, separator, skip, len(rows[0]), columns, tuple(notes), task, flags, boxes)
    for separator, rows in tables.items():
        boxes = without_header(rows[0])
        bare = {"path": 0, "label": 5} if boxes else _without_header(table.parent, rows[0])
        if bare:
            names = ["path", *CORNERS, "label"] if boxes else sorted(bare, key=bare.__getitem__)
            notes = [*notes, f"no header: its columns are read as {', '.join(names)}"]
            task = DETECT if boxes else CLASSIFY
            return Format(encoding, separator, skip, len(rows[0]), bare, tuple(notes), task, boxes=boxes)
    raise _no_columns(where, max(tables.values(), key=lambda rows: len(rows[0])))


def _reader(lines: Iterable[str], separator: str) -> Any:  # its class has no public name
    return csv.reader(lines, delimiter=separator, skipinitialspace=True)


def _preamble(file: TextIO) -> tuple[int, str | None]:
    """Lines before the header (blank, comments, Excel's `sep=;`), and the separator they name."""
    separator = None
    for skip, line in enumerate(islice(file, _HEAD)):
        text = line.strip("\r\n")
        named = _SEP_LINE.fullmatch(text)
        if named:
            separator = named[1]
        elif text.strip(" ,;|\t") and not text.startswith("#"):
            return skip, separator
    return 0, separator


def _lines_of_header(head: Sequence[str], separator: str) -> int:
    """Lines that the header takes: more than one where a quoted name has a line break in it."""
    reader = _reader(head, separator)
    next(reader)
    return int(reader.line_num)


def _key(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _named(header: Sequence[str]) -> dict[str, list[int]]:
    """For each column we know, the positions in `header` that may be it, by the surest names that are there."""
    keys = [_key(name) for name in header]
    found = {}
    for column, tiers in NAMES.items():
        # Another task's own column is as sure a name as "label".
        own = _own_names() if column == "label" else frozenset()
        for names in (tiers[0] | own, *tiers[1:]):
            at = [k for k, key in enumerate(keys) if key in names]
            if at:
                found[column] = at
                break
    return found


def _own_names() -> frozenset[str]:
    """Columns that tasks have for their labels, but for those that others call classes."""
    return frozenset(_key(task.label) for task in TASKS.values()).difference(*NAMES["label"][1:])


def _task_of(name: str) -> str:
    """The task whose labels a column is called after; else classification, whose column has many names."""
    return next((task.name for task in TASKS.values() if _key(task.label) == _key(name)), CLASSIFY)


def _choose(where: str, folder: Path, rows: Sequence[Sequence[str]]) -> dict[str, int]:
    header, values = rows[0], [row for row in rows[1:] if any(row)]
    columns = {}
    for column, at in _named(header).items():
        if column == "split" and _key(header[at[0]]) != "split":  # a fold, or a set of something else
            at = [k for k in at if _names_splits(values, k)]
        if column == "path" and len(at) > 1:
            at = [k for k in at if values and all(_exists(folder, row, k) for row in values[:20])] or at
        if len(at) > 1:
            several = " and ".join(repr(header[k].strip()) for k in at)
            raise DataError(f"{where}: the columns {several} may each be the {column}; call the right one {column!r}")
        if at:
            columns[column] = at[0]
    return columns


def _names_splits(rows: Sequence[Sequence[str]], k: int) -> bool:
    values = {row[k].strip().lower() for row in rows if k < len(row)} - {""}
    return bool(values) and values <= SPLIT_NAMES.keys()


def _exists(folder: Path, row: Sequence[str], k: int) -> bool:
    try:
        return k < len(row) and (folder / row[k].strip().replace("\\", "/")).is_file()
    except (OSError, ValueError):  # a name too long to be one, or with a null byte
        return False


def _guesses(header: Sequence[str], columns: dict[str, int], flags: dict[str, int]) -> list[str]:
    """What is not said by the columns' own names; and those that nobody reads."""
    notes = [
        f"{c} from {header[k].strip()!r}"
        for c, k in columns.items()
        if _key(header[k]) != c and not (c == "label" and _key(header[k]) in _own_names())
    ]
    read = {*columns.values(), *flags.values()}
    others = [header[k].strip() for k in range(len(header)) if k not in read]
    others = [name for name in others if name and not name.startswith("Unnamed:")]  # pandas' index
    if others:
        notes.append(f"not read: {_listed(others)}")
    if are_boxes([_key(name) for name in others]):
        notes.append(f"they look like boxes, which are read from columns called {', '.join(CORNERS)}")
    return notes


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(repr(name) for name in names[:_SHOWN])}{more}"


def _without_header(folder: Path, first: Sequence[str]) -> dict[str, int]:
    """The columns of a table that begins at once: one of two values is a file; a third may be its part."""
    split = {"split": 2} if len(first) == 3 and first[2].strip().lower() in SPLIT_NAMES else {}
    if len(first) - len(split) == 2:
        for path, label in ((0, 1), (1, 0)):
            # Of a file that is not there the row is refused by name, or all of them are found where they moved.
            if _exists(folder, first, path) or is_image(first[path].strip()):
                return {"path": path, "label": label, **split}
    return {}


def _no_columns(where: str, rows: Sequence[Sequence[str]]) -> UserError:
    header = [name.strip() for name in rows[0]]
    named = _named(header)
    missing = sorted({"path", "label"} - named.keys())
    lacks = f"{where} lacks the column {' and '.join(missing)}"
    if not any(header):
        return DataError(f"{lacks}: there is nothing in it; the first line names the columns, such as path,label")
    return DataError(f"{lacks}; found columns: {_listed(header)}; call them {' and '.join(missing)}")


def _flags(where: str, rows: Sequence[Sequence[str]], others: Mapping[str, int | list[int]]) -> dict[str, int]:
    """The columns of 0 and 1, or true and false, each a label, without `others`; none, if it is only one."""
    header, used = rows[0], {k for at in others.values() for k in (at if isinstance(at, list) else [at])}
    found = {header[k].strip(): k for k in range(len(header)) if k not in used and _is_flag(rows[1:], k)}
    found.pop("", None)
    bad = next((name for name in found if SEPARATOR in name), None)
    if bad is not None and len(found) > 1:
        raise DataError(f"{where}: the label {bad!r} has a {SEPARATOR!r} in its name; rename the column")
    return found if len(found) > 1 else {}


def _is_flag(rows: Sequence[Sequence[str]], k: int) -> bool:
    values = {row[k].strip().lower() for row in rows if k < len(row)}
    return bool(values) and values <= FLAGS.keys()
