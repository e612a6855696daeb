"""The photos of a list that wait for a label, and the CSV that the answers go into."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenets.errors import DataError
from mobilenets.system.files import write_atomic

MAX_LABEL = 200  # characters
MAX_KEYS = 35  # classes that have a key each: 1 to 9, 0 and the letters that the page does not use itself
COLUMNS = ["path", "label"]


@dataclass(frozen=True)
class Wanted:
    """A photo that waits for a label, and why it was chosen ("": not told)."""

    path: Path
    why: str


class LabelList:
    """Photos in the order of a list, each with its label as soon as somebody gives one.

    Each answer is written at once, so that nothing is lost. Several threads may share one.

    Parameters
    ----------
    wanted
        The list: a CSV with the column `path`, as `mobilenets label-next` writes it.
    labels
        The CSV of the answers, `path` and `label`, which `mobilenets train` reads; what it has already stays.
    classes
        Names that are offered from the beginning, where they are few enough to have a key each.

    Raises
    ------
    DataError
        A list that is not there, has no such column or no photo, or a CSV with other columns.
    """

    def __init__(self, wanted: Path, labels: Path, classes: Sequence[str] = ()) -> None:
        self.path = labels
        self._lock = threading.Lock()
        rows = _rows(wanted, "path")
        self.wanted = [Wanted(_absolute(wanted, row["path"]), row.get("why") or "") for row in rows]
        if not self.wanted:
            raise DataError(f"{wanted}: no photo in it; make a list with 'mobilenets label-next'")
        self._labels: dict[str, str] = {}
        if labels.exists():
            self._labels = {str(_absolute(labels, row["path"])): row["label"] for row in _rows(labels, *COLUMNS)}
        offered = classes if len(classes) <= MAX_KEYS else ()
        self._classes = list(dict.fromkeys([*offered, *self._labels.values()]))

    def to_dict(self) -> dict[str, Any]:
        """What the page is told: classes and photos, each with its label or None."""
        with self._lock:
            photos = [
                {"name": photo.path.name, "why": photo.why, "label": self._labels.get(str(photo.path))}
                for photo in self.wanted
            ]
            return {"file": self.path.name, "classes": list(self._classes), "photos": photos}

    def give(self, number: int, label: str | None) -> None:
        """Write down the `label` of photo `number`, from 0; None takes it back.

        Raises
        ------
        ValueError
            No label that a CSV can hold; the message is for people.
        """
        text = None if label is None else label.strip()
        if text is not None and (not text or len(text) > MAX_LABEL or not text.isprintable()):
            raise ValueError(f"A label has 1 to {MAX_LABEL} characters in one line.")
        with self._lock:
            path, labels = str(self.wanted[number].path), dict(self._labels)
            labels.pop(path, None)
            if text is not None:
                labels[path] = text
            _write(self.path, labels)
            self._labels = labels
            if text is not None and text not in self._classes:
                self._classes.append(text)


def _rows(path: Path, *columns: str) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a CSV ({error}); make it with 'mobilenets label-next'") from error
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise DataError(f"{path}: has no column {missing[0]!r}; its first line is to be {','.join(columns)}")
    unwritten = [name for name in reader.fieldnames or () if name not in columns] if "label" in columns else []
    if unwritten:
        raise DataError(f"{path}: its column {unwritten[0]!r} would be lost; name another file by --label-to")
    for line, row in enumerate(rows, 2):
        if any(not row[name] for name in columns):
            raise DataError(f"{path}, line {line}: an empty {' or '.join(columns)}; fill it in, or remove the line")
    return rows


def _absolute(table: Path, path: str) -> Path:
    """As `train` understands a path in a CSV: relative to the folder of the file."""
    return Path(table).parent.absolute() / path


def _write(path: Path, labels: dict[str, str]) -> None:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows(labels.items())
    write_atomic(path, text.getvalue())
