"""One photograph of a data set, and a million of them in tens of megabytes."""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.sources.survey import Survey

Indices = NDArray[np.int64]
# Keeps file names that are not text, and bytes so encoded sort as the strings do.
_ENCODING = ("utf-8", "surrogatepass")


class Container(Protocol):
    """A file that holds many photographs."""

    @property
    def path(self) -> Path:
        """The file."""

    def read(self, offset: int, extent: int) -> bytes:
        """The bytes of the photograph with these coordinates (offset and extent), whose meaning is the container's own.

        Raises:
            UnreadableImage: the container is gone, damaged or no longer the one that was indexed.
        """


@dataclass(frozen=True)
class Member:
    """Where a photograph lies inside a container."""

    container: Container
    offset: int
    extent: int


@dataclass(frozen=True)
class Sample:
    """A photograph and its class (index into the class names).

    `path` names it: its file, or CONTAINER/NAME where it is a `member` of a container. Samples of one `group`
    show the same thing; every `stratum` is split in the same proportion.
    """

    path: Path
    label: int
    group: str | None = None
    stratum: str | None = None
    member: Member | None = None

    @property
    def file(self) -> Path:
        """The file on disk that holds it."""
        return self.path if self.member is None else self.member.container.path

    def open(self) -> Path | BinaryIO:
        """What `decode.read` takes: the path, or the bytes of a member under its name.

        Raises:
            UnreadableImage: the container cannot be read.
        """
        if self.member is None:
            return self.path
        return _Named(self.member.container.read(self.member.offset, self.member.extent), str(self.path))


class _Named(io.BytesIO):
    """Bytes in memory with the name that errors call them by."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


@dataclass(frozen=True)
class Column:
    """A column of names that repeat: int32 codes (N,) into `names`, -1 where there is none."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]

    def at(self, row: int) -> str | None:
        """The name in a row."""
        code = self.codes[row]
        return None if code < 0 else self.names[code]


@dataclass(frozen=True)
class Table:
    """Photographs as columns. Row i is called `root`/`text[ends[i]:ends[i + 1]]`; absent columns are None."""

    root: str
    text: bytes
    ends: Indices
    group: Column | None
    stratum: Column | None
    containers: tuple[Container, ...]
    extents: Indices | None  # (N, 3): index into `containers`, offset, extent

    def name(self, row: int) -> bytes:
        """The encoded path below `root`."""
        return self.text[self.ends[row] : self.ends[row + 1]]

    def path(self, row: int) -> Path:
        """The path, `root` included."""
        return Path(self.root, self.name(row).decode(*_ENCODING))

    def member(self, row: int) -> Member | None:
        """Its place inside a container, where it has one."""
        if self.extents is None:
            return None
        container, offset, extent = self.extents[row].tolist()
        return Member(self.containers[container], offset, extent)


class Rows:
    """A table under construction. Objects are made for none of its rows: a million would be gigabytes."""

    def __init__(self, root: str = "") -> None:
        self.root = root
        self._text = bytearray()
        self._ends = array("q", [0])
        self._group, self._stratum = _Codes(), _Codes()
        self._containers: dict[str, int] = {}
        self._opened: list[Container] = []
        self._extents = array("q")

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(
        self, name: str, group: str | None = None, stratum: str | None = None, member: Member | None = None
    ) -> None:
        """Add a photograph; either all of a table are members of containers or none is."""
        self._text += name.encode(*_ENCODING)
        self._ends.append(len(self._text))
        self._group.add(group)
        self._stratum.add(stratum)
        if member is not None:
            number = self._containers.setdefault(str(member.container.path), len(self._opened))
            if number == len(self._opened):
                self._opened.append(member.container)
            self._extents.extend((number, member.offset, member.extent))

    def table(self) -> Table:
        """What was added."""
        extents = np.array(self._extents, np.int64).reshape(-1, 3) if self._extents else None
        ends = np.array(self._ends, np.int64)
        group, stratum = self._group.column(), self._stratum.column()
        return Table(self.root, bytes(self._text), ends, group, stratum, tuple(self._opened), extents)


class _Codes:
    """A `Column` under construction."""

    def __init__(self) -> None:
        self._codes = array("i")
        self._numbers: dict[str, int] = {}

    def add(self, name: str | None) -> None:
        self._codes.append(-1 if name is None else self._numbers.setdefault(name, len(self._numbers)))

    def column(self) -> Column | None:
        return Column(np.array(self._codes, np.int32), tuple(self._numbers)) if self._numbers else None


class Samples(Sequence[Sample]):
    """Rows of a table with their labels, int64 (N,): a sequence that makes a `Sample` when asked for one."""

    def __init__(self, table: Table, rows: Indices, labels: Indices) -> None:
        self.table, self.rows, self.labels = table, rows, labels

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Samples:
        """Any sequence of samples as a table."""
        if isinstance(samples, Samples):
            return samples
        rows = Rows()
        for sample in samples:
            rows.add(str(sample.path), sample.group, sample.stratum, sample.member)
        return cls(rows.table(), np.arange(len(samples)), np.array([s.label for s in samples], np.int64))

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Samples: ...
    def __getitem__(self, index: int | slice) -> Sample | Samples:
        if isinstance(index, slice):
            return Samples(self.table, self.rows[index], self.labels[index])
        row, table = int(self.rows[index]), self.table
        group, stratum = (c.at(row) if c else None for c in (table.group, table.stratum))
        return Sample(table.path(row), int(self.labels[index]), group, stratum, table.member(row))

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def __repr__(self) -> str:
        return f"<{len(self)} samples>"

    def take(self, indices: NDArray[Any]) -> Samples:
        """The samples with these indices (int64) or under this mask (bool)."""
        return Samples(self.table, self.rows[indices], self.labels[indices])

    def relabelled(self, labels: Sequence[int]) -> Samples:
        """The same photographs, label k replaced by `labels[k]`."""
        return Samples(self.table, self.rows, np.asarray(labels, np.int64)[self.labels])

    def by_path(self) -> tuple[Indices, NDArray[np.bool_]]:
        """Indices that sort the samples by path, and which of the sorted show the same path as the one before."""
        names = [self.table.name(row) for row in self.rows.tolist()]
        if any(name.startswith(b"/") for name in names):  # absolute ones among them: `root` decides too
            names = [str(self.table.path(row)).encode(*_ENCODING) for row in self.rows.tolist()]
        order = sorted(range(len(names)), key=names.__getitem__)
        repeated = np.fromiter(
            (i > 0 and names[k] == names[order[i - 1]] for i, k in enumerate(order)), np.bool_, len(order)
        )
        return np.array(order, np.int64), repeated

    def spread(self, count: int) -> Samples:
        """About `count` of them, from all over and in their order, classes in proportion; all, if there are fewer."""
        if len(self) <= count:
            return self
        keep = np.zeros(len(self), np.bool_)
        for own in np.split(np.argsort(self.labels, kind="stable"), np.cumsum(np.bincount(self.labels))[:-1]):
            own_count = -(-len(own) * count // len(self))
            keep[own[np.linspace(0, len(own) - 1, own_count).astype(np.int64)]] = True
        return self.take(keep)


@dataclass(frozen=True)
class Splits:
    """Class names, sorted, and the samples of each part.

    `survey`: how the data was understood, and what was left out.
    """

    classes: tuple[str, ...]
    train: Samples
    val: Samples
    test: Samples
    survey: Survey = field(default_factory=Survey, compare=False)
