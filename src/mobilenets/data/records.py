"""Photographs as a data set lists them, before its classes have numbers."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.sample import Indices, Member, Rows, Samples, Table

PARTS = ("", "train", "val", "test")  # "" where the data does not say
# Names of folders and of shards, and values of a CSV's column `split`.
PART_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


def part_of_shard(stem: str) -> str:
    """The part that a shard belongs to by its file name, as `train-00000-of-00010` or `val_3`."""
    word = re.match("[a-z]*", stem.lower())
    return PART_NAMES.get(word[0] if word else "", "")


@dataclass(frozen=True)
class Records:
    """Rows of a table with their class (`names[codes[row]]`) and part (`PARTS[parts[row]]`); `rows` chooses some."""

    table: Table
    names: tuple[str, ...]
    codes: NDArray[np.int32]
    parts: NDArray[np.int8]
    rows: Indices

    def __len__(self) -> int:
        return len(self.rows)

    def there(self) -> set[str]:
        """The parts that have photographs."""
        return {PARTS[k] for k in np.unique(self.parts[self.rows])}

    def of(self, *parts: str) -> Records:
        """The photographs of some parts, one part after the other."""
        own = [self.rows[self.parts[self.rows] == PARTS.index(part)] for part in parts]
        return replace(self, rows=np.concatenate(own))

    def classes(self) -> tuple[str, ...]:
        """Names of the classes that have photographs, sorted."""
        return tuple(sorted(self.names[k] for k in np.unique(self.codes[self.rows])))

    def samples(self, classes: Sequence[str]) -> Samples:
        """The photographs, labels numbered by `classes`, which has all of theirs."""
        number = {name: k for k, name in enumerate(classes)}
        labels = np.array([number.get(name, -1) for name in self.names], np.int64)
        return Samples(self.table, self.rows, labels[self.codes[self.rows]])


class Finding:
    """Records under construction; paths are relative to `root`."""

    def __init__(self, root: str = "") -> None:
        self._rows = Rows(root)
        self._codes, self._parts = array("i"), array("b")
        self._names: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def add(
        self,
        path: str,
        name: str,
        part: str = "",
        group: str | None = None,
        stratum: str | None = None,
        member: Member | None = None,
    ) -> None:
        """Add a photograph of the class `name`."""
        self._rows.add(path, group, stratum, member)
        self._codes.append(self._names.setdefault(name, len(self._names)))
        self._parts.append(PARTS.index(part))

    def records(self) -> Records:
        """What was found."""
        codes, parts = np.array(self._codes, np.int32), np.array(self._parts, np.int8)
        return Records(self._rows.table(), tuple(self._names), codes, parts, np.arange(len(codes)))
