"""Photographs on disk, in any of three layouts: class folders, train/val folders, a CSV."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mobilenets.data.sample import Sample, Splits
from mobilenets.data.split import split
from mobilenets.errors import UserError
from mobilenets.images import is_image

DEFAULT_VAL = 0.2
_PARTS = {  # names of folders, and values of a CSV's column `split`
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class _Record:
    """A photograph before classes have numbers; `part` is "" where the data does not say."""

    path: Path
    name: str
    part: str = ""
    group: str | None = None
    stratum: str | None = None


def read_splits(data: Path, *, val: float | str | Path | None = None, seed: int = 0) -> Splits:
    """The training and validation samples (and test ones, if any) of `data`.

    `data` is a folder of class folders, a folder with train/ and val/ (and test/), or a CSV with the columns
    path,label[,split][,group][,stratum]. Where it names no validation part, `val` is the share held out
    (default 0.2, stratified, seeded), or a folder of class folders.

    Raises:
        UserError: nothing usable there, fewer than two classes, a class too small, bad rows of a CSV.
    """
    share, folder = (float(val), None) if isinstance(val, (int, float)) else (None, val)
    records = list(_records(data))
    if folder is not None:
        records = [r for r in records if r.part != "val"] + _held_out(data, Path(folder))
    parts = {r.part for r in records}
    if "val" in parts and share is not None:
        raise UserError(f"val: {data} has a validation part already; leave --val out")
    _no_class_is_empty(data, records)
    classes = _classes(data, [r for r in records if r.part in ("", "train")])
    samples = {part: _samples(data, part, [r for r in records if r.part == part], classes) for part in parts}
    training = (*samples.get("train", ()), *samples.get("", ()))
    test = samples.get("test", ())
    if "val" in parts:
        _same_classes(data, classes, samples["val"])
        return Splits(classes, training, samples["val"], test)
    train, validating = split(training, classes, DEFAULT_VAL if share is None else share, seed)
    return Splits(classes, train, validating, test)


def read_samples(
    data: Path, classes: Sequence[str] | None = None, part: str | None = None
) -> tuple[tuple[str, ...], tuple[Sample, ...]]:
    """Class names and samples of `data`, for evaluation.

    Of split data, `part`: "train", "val" or "test"; by default the test part if there is one, else the
    validation part. With `classes` (a model's) labels are numbered by them.

    Raises:
        UserError: nothing usable there, no such part, or a class that is not among `classes`.
    """
    records = list(_records(data))
    there = {r.part for r in records}
    chosen = part or next(p for p in ("test", "val", "", "train") if p in there)
    if chosen not in there:
        raise UserError(f"{data}: has no {chosen} part; it has {', '.join(sorted(there)) or 'no images'}")
    records = [r for r in records if r.part == chosen]
    known = tuple(classes) if classes is not None else _classes(data, records)
    return known, _samples(data, chosen, records, known)


def _held_out(data: Path, folder: Path) -> list[_Record]:
    """The photographs of a folder (or CSV) for validation: its validation part, where it has parts."""
    if folder.resolve() == data.resolve():
        raise UserError(f"val: {folder} is the training data itself; use other photographs, or a share such as 0.2")
    found = list(_records(folder))
    return [replace(r, part="val") for r in [r for r in found if r.part == "val"] or found]


def _records(data: Path) -> Iterator[_Record]:
    if not data.exists():
        raise UserError(f"{data}: no such file or folder; give a folder of class folders or a CSV")
    if data.is_file():
        if data.suffix.lower() != ".csv":
            raise UserError(f"{data}: not data to train on; give a folder of class folders, or a .csv")
        found = list(_read_csv(data))
    else:
        found = list(_read_folder(data))
    if not found:
        raise UserError(f"{data}: no images found; expected one folder per class with JPEG, PNG or other images")
    yield from found


def _read_folder(data: Path) -> Iterator[_Record]:
    for folder, part in _class_folders(data):
        yield from (_Record(path, folder.name, part) for path in _images(folder))


def _class_folders(data: Path) -> list[tuple[Path, str]]:
    """Every class folder, and the part it belongs to: "" where `data` has no train/ and val/."""
    folders = _folders(data)
    parts = {folder: _PARTS[folder.name.lower()] for folder in folders if folder.name.lower() in _PARTS}
    if not _is_split(folders, parts):
        return [(folder, "") for folder in folders]
    return [(name, part) for folder, part in parts.items() for name in _folders(folder)]


def _is_split(folders: Sequence[Path], parts: dict[Path, str]) -> bool:
    """Whether train/ is a part, not a class (beside bus/ and car/): a part has folders, no images, in it."""
    if len(parts) == len(folders):
        return True
    training = [folder for folder, part in parts.items() if part == "train"]
    return bool(training) and not any(is_image(path) for folder in training for path in folder.iterdir())


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    """Every image below `folder`, sorted; hidden ones left out, linked folders followed once."""
    found: list[Path] = []
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=_unreadable, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        found += [Path(root, f) for f in sorted(files) if is_image(f) and not f.startswith(".")]
    return found


def _unreadable(error: OSError) -> None:
    raise UserError(f"{error.filename}: {error.strerror}; check its permissions, or move it away") from error


def _no_class_is_empty(data: Path, records: Sequence[_Record]) -> None:
    """A class that silently goes missing would be noticed only by whoever uses the model."""
    if data.is_dir():
        names = {r.name for r in records if r.part in ("", "train")}
        for folder, part in _class_folders(data):
            if part in ("", "train") and folder.name not in names:
                raise UserError(f"{folder}: holds no images; add some, or move the folder away if it is no class")


def _read_csv(table: Path) -> Iterator[_Record]:
    line_of: dict[Path, int] = {}
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            missing = {"path", "label"} - set(rows.fieldnames or ())
            if missing:
                raise UserError(f"{table}: line 1 lacks the column {' and '.join(sorted(missing))}")
            for row in rows:
                record = _csv_record(table, rows.line_num, row)
                first = line_of.setdefault(record.path, rows.line_num)
                if first != rows.line_num:  # it would train and validate, or be of two classes
                    raise UserError(
                        f"{table}, line {rows.line_num}: {row['path']} is on line {first} already; keep one"
                    )
                yield record
    except UnicodeDecodeError as error:
        raise UserError(f"{table}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except csv.Error as error:
        raise UserError(f"{table}: not a readable CSV ({error})") from error


def _csv_record(table: Path, line: int, row: dict[str | None, Any]) -> _Record:
    def value(column: str) -> str:
        return (row.get(column) or "").strip()

    where = f"{table}, line {line}"
    if any(row.get(None, ())):  # where DictReader puts what has no column
        raise UserError(f"{where}: more values than columns; put quotes around a value with a comma in it")
    for column in ("path", "label"):
        if not value(column):
            raise UserError(f"{where}: {column} is empty")
    part = value("split").lower()
    if part and part not in _PARTS:
        raise UserError(f"{where}: split is {part!r}; use train, val or test")
    path = table.parent / value("path")
    if not _is_file(path):
        raise UserError(f"{where}: {value('path')}: no such file (paths are relative to the CSV)")
    part = _PARTS[part] if part else ""
    return _Record(path, value("label"), part, value("group") or None, value("stratum") or None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long to be one
        return False


def _classes(data: Path, records: Sequence[_Record]) -> tuple[str, ...]:
    classes = tuple(sorted({r.name for r in records}))
    if len(classes) < 2:
        only = f"only the class {classes[0]!r}" if classes else "no training images"
        raise UserError(f"{data}: {only}; a classifier needs at least two classes, one folder (or label) each")
    for name in classes:
        if not _is_text(name):
            raise UserError(f"{data}: the class name {name!a} is not UTF-8 and cannot be stored; rename it")
    return classes


def _is_text(name: str) -> bool:
    """Whether a file name is text: on Linux it may be any bytes, such as Latin-1 of an old archive."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _samples(data: Path, part: str, records: Sequence[_Record], classes: tuple[str, ...]) -> tuple[Sample, ...]:
    number = {name: k for k, name in enumerate(classes)}
    unknown = sorted({r.name for r in records} - set(number))
    if unknown:
        what = f"{part or 'data'} has the class {', '.join(map(repr, unknown[:5]))}"
        raise UserError(f"{data}: {what}, which is not among {', '.join(classes[:10])}")
    return tuple(Sample(r.path, number[r.name], r.group, r.stratum) for r in records)


def _same_classes(data: Path, classes: tuple[str, ...], val: Sequence[Sample]) -> None:
    absent = set(range(len(classes))) - {s.label for s in val}
    if absent:
        names = ", ".join(repr(classes[k]) for k in sorted(absent)[:5])
        raise UserError(f"{data}: no validation image of {names}; every class of train needs some")
