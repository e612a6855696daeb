"""What reading a data set came upon: how it was understood, and what was left out for which reason."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.model_card import CLASSIFY
from mobilenets.preprocess.formats import KINDS

if TYPE_CHECKING:
    from mobilenets.data.tiles import Uncut

HIDDEN, SYSTEM, UNREADABLE, RUN = "hidden", "system", "unreadable", "run"
_MAX_NAMED = 3  # suffixes or names in a line


@dataclass
class Tally:
    """How many files share a reason, and what they are called: suffixes, or names where those say more."""

    count: int = 0
    names: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class BoxFault:
    """What is wrong with a box as it was drawn; `kind`: as an audit calls it, `corners`: 0 to 1 inside the photo."""

    kind: str
    path: Path
    why: str
    corners: tuple[float, ...]


@dataclass
class Survey:
    """Lines about how the data was understood, and from each reason to what was left out for it.

    `empty`: class folders without a photograph. `task`: what the labels answer, by its name in `TASKS`. `faults`: boxes
    that were left out or cut off. `uncut`: where photographs were cut into tiles, those that were given.
    """

    notes: list[str] = field(default_factory=list)
    left_out: dict[str, Tally] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    task: str = CLASSIFY
    faults: list[BoxFault] = field(default_factory=list)
    uncut: list[Uncut] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Say something once."""
        if line not in self.notes:
            self.notes.append(line)

    def note_unsplit(self, counts: Mapping[str, int]) -> None:
        """Say what becomes of photographs without a split beside others with one; `counts`: photographs by split."""
        blank, trained = (counts.get(name, 0) for name in ("", "train"))
        if blank and counts.get("val"):
            self.note(f"split: {count_text(blank)} without one, beside others that have one: trained on")
        elif blank and trained:
            self.note(
                f"split: {count_text(trained)} of train and {count_text(blank)} without one, none of val: "
                "some of all these validate"
            )

    def leave_out(self, reason: str, path: str) -> None:
        """Count a file; `reason`: a key of `formats.KINDS`, or one of those above."""
        tally = self.left_out.setdefault(reason, Tally())
        tally.count += 1
        name = os.path.basename(path)  # noqa: PTH119 - of a million paths, none is taken apart
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
        if reason in (HIDDEN, SYSTEM, RUN):
            called = "._*" if name.startswith("._") else name
        else:
            called = suffix or "without suffix"
        if called in tally.names or len(tally.names) <= _MAX_NAMED:
            tally.names[called] += 1

    def add(self, other: Survey) -> None:
        """Take over what another one came upon."""
        for line in other.notes:
            self.note(line)
        self.empty += other.empty
        self.faults += other.faults
        self.uncut += other.uncut
        for reason, tally in other.left_out.items():
            own = self.left_out.setdefault(reason, Tally())
            own.count += tally.count
            own.names += tally.names

    def lines(self) -> list[str]:
        """Every note, then one line for each reason, for people."""
        return [*self.notes, *map(self._line, self.left_out)]

    def _line(self, reason: str) -> str:
        tally = self.left_out[reason]
        one, names = tally.count == 1, _some(tally.names)
        verb = "is left out" if one else "are left out"
        if reason in KINDS:
            kind = KINDS[reason]
            noun = kind.one if one else kind.many
            if kind.unread:
                return f"{tally.count:,} {noun} ({names}: {kind.remedy}) {verb}"
            return f"{tally.count:,} {noun} ({names}) {verb}{f'; {kind.remedy}' if kind.remedy else ''}"
        if reason == UNREADABLE:
            return f"{tally.count:,} {'photo that' if one else 'photos that'} cannot be read {verb}"
        if reason == RUN:
            return f"{tally.count:,} {'run that train' if one else 'runs that train'} wrote ({names}) {verb}"
        whose = "hidden {}" if reason == HIDDEN else "{} of the system"
        noun = whose.format("file or folder" if one else "files and folders")
        return f"{tally.count:,} {noun} ({names}) {verb}"


def named(names: Iterable[str], max_named: int = 5) -> str:
    """Names in a sentence, not too many of them."""
    listed = list(names)
    more = len(listed) - max_named
    return ", ".join(listed) if more <= 0 else f"{', '.join(listed[:max_named])} and {more:,} more"


def give_or_list(data: Path, *inside: Path) -> str:
    """What to do with photographs in no class folders: give a CSV of those in `data` and `inside`, or write one."""
    tables = sorted(path.relative_to(data).as_posix() for folder in (data, *inside) for path in folder.glob("*.csv"))
    csv = f"give the CSV that lists them ({named(tables, 3)})" if tables else "list them in a CSV"
    return f"{csv} with the columns path,label"


def count_text(count: int) -> str:
    """A number of photographs in words."""
    return "1 photo" if count == 1 else f"{count:,} photos"


def _some(names: Counter[str]) -> str:
    shown = sorted(names, key=lambda name: (-names[name], name))[:_MAX_NAMED]
    return ", ".join(shown) + (", …" if len(names) > _MAX_NAMED else "")
