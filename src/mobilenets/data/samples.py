"""A million photographs in tens of megabytes: `Samples` has them as columns, `SamplesBuilder` collects them."""

from __future__ import annotations

import os
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.sample import Container, Member, Sample
from mobilenets.data.sources.split_names import SPLITS
from mobilenets.data.sources.survey import Survey
from mobilenets.data.sources.tree import name_warnings
from mobilenets.errors import DataError
from mobilenets.tasks import TASKS
from mobilenets.tasks.objective import Objective

Indices = NDArray[np.int64]
Codes = NDArray[np.int32]
# Keeps file names that are not text, and bytes so encoded sort as the strings do.
_ENCODING = ("utf-8", "surrogatepass")
_OPTIONAL = ("groups", "strata", "members")  # columns that are None where no photograph has a value


@dataclass(frozen=True, eq=False, repr=False)
class Samples(Sequence[Sample]):
    """Photographs as columns of N values: a sequence that makes a `Sample` when asked for one.

    Photograph i is called `root`/`text[starts[i]:ends[i]]` and is of the class `labels[i]`, which the data calls
    `names[labels[i]]`, where it has names. `splits[i]`: the part that the data says it belongs to, an index into
    `SPLITS`. `groups` and `strata` are indices into `words`, -1 for none, and None where no photograph has any.
    `members` int64 (N, 3), of what lies in containers: index into `containers`, offset, extent.
    """

    root: str
    text: bytes
    starts: Indices
    ends: Indices
    labels: Indices
    names: tuple[str, ...]
    splits: NDArray[np.int8]
    groups: Codes | None
    strata: Codes | None
    words: tuple[str, ...]
    containers: tuple[Container, ...]
    members: Indices | None

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Samples:
        """Any sequence of samples as columns."""
        if isinstance(samples, Samples):
            return samples
        builder = SamplesBuilder()
        for sample in samples:
            builder.append(str(sample.path), sample.label, "", sample.group, sample.stratum, sample.member)
        return builder.samples()

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Samples: ...
    def __getitem__(self, index: int | slice) -> Sample | Samples:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        group, stratum = (self._word(codes, index) for codes in (self.groups, self.strata))
        return Sample(self.path(index), int(self.labels[index]), group, stratum, self._member(index))

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def __repr__(self) -> str:
        return f"<{len(self)} samples>"

    def name(self, index: int) -> bytes:
        """The encoded path below `root`."""
        return self.text[self.starts[index] : self.ends[index]]

    def path(self, index: int) -> Path:
        """The path, `root` included."""
        return Path(self.root, self.name(index).decode(*_ENCODING))

    def _word(self, codes: Codes | None, index: int) -> str | None:
        code = -1 if codes is None else codes[index]
        return None if code < 0 else self.words[code]

    def _member(self, index: int) -> Member | None:
        if self.members is None:
            return None
        container, offset, extent = self.members[index].tolist()
        return Member(self.containers[container], offset, extent)

    def _columns(self) -> dict[str, NDArray[Any] | None]:
        return {name: getattr(self, name) for name in ("starts", "ends", "labels", "splits", *_OPTIONAL)}

    def take(self, indices: NDArray[Any]) -> Samples:
        """The samples with these indices (int64) or under this mask (bool)."""
        taken: dict[str, Any] = {k: None if v is None else v[indices] for k, v in self._columns().items()}
        return replace(self, **taken)

    def repeated(self, times: int) -> Samples:
        """All of them so many times, one after the other."""
        return self.take(np.tile(np.arange(len(self)), times)) if times > 1 else self

    def split_names(self) -> set[str]:
        """The parts, as the data says, that have photographs."""
        return set(self.split_counts())

    def split_counts(self) -> dict[str, int]:
        """How many photographs each part has, of those that have one."""
        codes, counts = np.unique(self.splits, return_counts=True)
        return {SPLITS[code]: int(count) for code, count in zip(codes, counts, strict=True)}

    def of_splits(self, *splits: str) -> Samples:
        """The photographs of some parts, one part after the other."""
        return self.take(np.concatenate([np.flatnonzero(self.splits == SPLITS.index(split)) for split in splits]))

    def classes(self) -> tuple[str, ...]:
        """Names of the classes that have photographs, sorted."""
        return tuple(sorted(self.names[k] for k in np.unique(self.labels)))

    def numbered(self, classes: Sequence[str]) -> Samples:
        """The same photographs, labels numbered by `classes`, which has all of theirs in some Unicode form."""
        number = {_nfc(name): k for k, name in enumerate(classes)}
        return self.relabelled([number.get(name, -1) for name in self.names], classes)

    def relabelled(self, labels: Sequence[int], names: Sequence[str]) -> Samples:
        """The same photographs, label k replaced by `labels[k]`; `names`: what the new ones are called."""
        return replace(self, labels=np.asarray(labels, np.int64)[self.labels], names=tuple(names))

    def by_path(self) -> tuple[Indices, NDArray[np.bool_]]:
        """Indices that sort the samples by path, and which of the sorted show the same path as the one before."""
        names = [self.name(i) for i in range(len(self))]
        if any(
            name.startswith(b"/") or b".." in name for name in names
        ):  # one file may have several names; `absolute` leaves '..'
            names = [os.path.abspath(self.path(i)).encode(*_ENCODING) for i in range(len(self))]  # noqa: PTH100
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

    @classmethod
    def joined(cls, parts: Sequence[Samples]) -> Samples:
        """Several samples as one; labels mean the same in all of them."""
        parts = [samples for samples in parts if len(samples)] or parts[:1]
        if any(samples._shared() != parts[0]._shared() for samples in parts):
            return replace(cls.of([sample for samples in parts for sample in samples]), names=parts[0].names)
        columns = [samples._columns() for samples in parts]
        whole: dict[str, Any] = {
            name: None if first is None else np.concatenate([own[name] for own in columns])
            for name, first in columns[0].items()
        }
        return replace(parts[0], **whole)

    def _shared(self) -> tuple[object, ...]:
        """What is one for all photographs: the same where both come from one reading."""
        return id(self.text), self.root, self.names, self.words, self.containers


class SamplesBuilder:
    """Samples under construction; paths are relative to `root`. The one place where class names are looked at.

    Objects are made for none of them: a million would be gigabytes. `survey`: what reading them came upon.
    `are_classes`: labels are class names, of which two may be meant to be one.
    """

    def __init__(self, root: str = "", survey: Survey | None = None, are_classes: bool = True) -> None:
        self.root, self.survey = root, Survey() if survey is None else survey
        self._are_classes = are_classes
        self._text, self._ends = bytearray(), array("q", [0])
        self._labels, self._splits = array("q"), array("b")
        self._groups, self._strata, self._words = array("i"), array("i"), dict[str, int]()
        self._containers: dict[str, int] = {}
        self._opened: list[Container] = []
        self._members = array("q")
        self._names: dict[str, int] = {}  # in NFC
        self._spelled: dict[str, int] = {}  # as they came

    def __len__(self) -> int:
        return len(self._labels)

    def add(
        self,
        path: str,
        name: str,
        split: str = "",
        group: str | None = None,
        stratum: str | None = None,
        member: Member | None = None,
    ) -> None:
        """Add a photograph of the class `name`; either all are members of containers or none is.

        Raises
        ------
        UserError
            A class name that is blank or has a line break or other control character in it.
        """
        label = self._spelled.get(name)
        if label is None:
            label = self._new_name(name, path)
        self.append(path, label, split, group, stratum, member)

    def append(
        self, path: str, label: int, split: str, group: str | None, stratum: str | None, member: Member | None
    ) -> None:
        """Add a photograph of a class that has a number already."""
        self._text += path.encode(*_ENCODING)
        self._ends.append(len(self._text))
        self._labels.append(label)
        self._splits.append(SPLITS.index(split))
        for codes, word in ((self._groups, group), (self._strata, stratum)):
            codes.append(-1 if word is None else self._words.setdefault(word, len(self._words)))
        if member is not None:
            number = self._containers.setdefault(str(member.container.path), len(self._opened))
            if number == len(self._opened):
                self._opened.append(member.container)
            self._members.extend((number, member.offset, member.extent))

    def _new_name(self, name: str, path: str) -> int:
        where = ascii(str(Path(self.root, path)))[1:-1] if not path.isprintable() else Path(self.root, path)
        if not name.strip():
            raise DataError(f"{where}: its class name is blank; give it a name")
        bad = [c for c in name if unicodedata.category(c) in ("Cc", "Zl", "Zp")]
        if bad:
            what = "a line break" if bad[0] in "\n\r\v\f\x85\u2028\u2029" else f"the control character {bad[0]!a}"
            raise DataError(f"{where}: its class name {name!a} has {what} in it; rename the class")
        composed = _nfc(name)
        if composed in self._names:
            self.survey.note(f"the class {composed!r} is spelled in two Unicode forms (NFC and NFD); it is read as one")
        label = self._names.setdefault(composed, len(self._names))
        self._spelled[name] = label
        return label

    def samples(self) -> Samples:
        """What was added."""
        for line in name_warnings(self._names) if self._are_classes else ():
            self.survey.note(line)
        ends = np.array(self._ends, np.int64)
        groups, strata = (np.array(codes, np.int32) for codes in (self._groups, self._strata))
        return Samples(
            root=self.root,
            text=bytes(self._text),
            starts=ends[:-1],
            ends=ends[1:],
            labels=np.array(self._labels, np.int64),
            names=tuple(self._names),
            splits=np.array(self._splits, np.int8),
            groups=groups if (groups >= 0).any() else None,
            strata=strata if (strata >= 0).any() else None,
            words=tuple(self._words),
            containers=tuple(self._opened),
            members=np.array(self._members, np.int64).reshape(-1, 3) if self._members else None,
        )


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


@dataclass(frozen=True)
class Splits:
    """Label texts (of classes: their names), sorted, and the samples of each part.

    `survey`: how the data was understood, and what was left out.
    """

    classes: tuple[str, ...]
    train: Samples
    val: Samples
    test: Samples
    survey: Survey = field(default_factory=Survey, compare=False)

    @property
    def objective(self) -> Objective:
        """What can be learned from them."""
        return Objective(TASKS[self.survey.task], self.classes)
