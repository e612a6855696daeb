"""Photographs as a data set lists them, before its classes have numbers."""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.sample import Indices, Member, Rows, Samples, Table
from mobilenets.data.sources.split_names import SPLIT_NAMES, SPLITS, split_of_shard
from mobilenets.data.sources.survey import Survey
from mobilenets.data.sources.tree import key
from mobilenets.errors import DataError

__all__ = ["SPLITS", "SPLIT_NAMES", "Records", "RecordsBuilder", "split_of_shard"]


@dataclass(frozen=True)
class Records:
    """Rows of a table with their class (`names[codes[row]]`) and part (`SPLITS[splits[row]]`); `rows` chooses some.

    `survey`: what reading them came upon.
    """

    table: Table
    names: tuple[str, ...]
    codes: NDArray[np.int32]
    splits: NDArray[np.int8]
    rows: Indices
    survey: Survey

    def __len__(self) -> int:
        return len(self.rows)

    def there(self) -> set[str]:
        """The parts that have photographs."""
        return {SPLITS[k] for k in np.unique(self.splits[self.rows])}

    def of(self, *splits: str) -> Records:
        """The photographs of some parts, one part after the other."""
        own = [self.rows[self.splits[self.rows] == SPLITS.index(split)] for split in splits]
        return replace(self, rows=np.concatenate(own))

    def classes(self) -> tuple[str, ...]:
        """Names of the classes that have photographs, sorted."""
        return tuple(sorted(self.names[k] for k in np.unique(self.codes[self.rows])))

    def samples(self, classes: Sequence[str]) -> Samples:
        """The photographs, labels numbered by `classes`, which has all of theirs in some Unicode form."""
        number = {_nfc(name): k for k, name in enumerate(classes)}
        labels = np.array([number.get(name, -1) for name in self.names], np.int64)
        return Samples(self.table, self.rows, labels[self.codes[self.rows]])


class RecordsBuilder:
    """Records under construction; paths are relative to `root`. The one place where class names are looked at."""

    def __init__(self, root: str = "", survey: Survey | None = None) -> None:
        self._rows = Rows(root)
        self._codes, self._splits = array("i"), array("b")
        self._names: dict[str, int] = {}  # in NFC
        self._spelled: dict[str, int] = {}  # as they came
        self._survey = Survey() if survey is None else survey

    def __len__(self) -> int:
        return len(self._codes)

    def add(
        self,
        path: str,
        name: str,
        split: str = "",
        group: str | None = None,
        stratum: str | None = None,
        member: Member | None = None,
    ) -> None:
        """Add a photograph of the class `name`.

        Raises:
            UserError: a class name that is blank or has a line break or other control character in it.
        """
        code = self._spelled.get(name)
        if code is None:
            code = self._new_name(name, path)
        self._rows.add(path, group, stratum, member)
        self._codes.append(code)
        self._splits.append(SPLITS.index(split))

    def _new_name(self, name: str, path: str) -> int:
        where = ascii(str(Path(self._rows.root, path)))[1:-1] if not path.isprintable() else Path(self._rows.root, path)
        if not name.strip():
            raise DataError(f"{where}: its class name is blank; give it a name")
        bad = [c for c in name if unicodedata.category(c) in ("Cc", "Zl", "Zp")]
        if bad:
            what = "a line break" if bad[0] in "\n\r\v\f\x85\u2028\u2029" else f"the control character {bad[0]!a}"
            raise DataError(f"{where}: its class name {name!a} has {what} in it; rename the class")
        composed = _nfc(name)
        seen = composed in self._names
        code = self._names.setdefault(composed, len(self._names))
        if seen:
            self._survey.note(
                f"the class {composed!r} is spelled in two Unicode forms (NFC and NFD); it is read as one"
            )
        self._spelled[name] = code
        return code

    def records(self) -> Records:
        """What was found."""
        self._note_similar()
        codes, splits = np.array(self._codes, np.int32), np.array(self._splits, np.int8)
        return Records(self._rows.table(), tuple(self._names), codes, splits, np.arange(len(codes)), self._survey)

    def _note_similar(self) -> None:
        alike: dict[str, list[str]] = {}
        for name in self._names:
            alike.setdefault(key(name), []).append(name)
        for names in alike.values():
            if len(names) > 1:
                both = " and ".join(map(repr, sorted(names)))
                self._survey.note(
                    f"warning: the classes {both} differ only in case, white space or Unicode form; they are read as "
                    "different classes"
                )


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)
