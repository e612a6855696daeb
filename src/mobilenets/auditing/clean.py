"""The cleaned data set, as a CSV that `train` reads; the files stay as they are."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilenets.auditing.audit import Audit
from mobilenets.auditing.copies import SplitSample
from mobilenets.auditing.duplicates import groups_of
from mobilenets.data.samples import Samples
from mobilenets.errors import DataError, UsageError
from mobilenets.system.files import check_new_file, write_atomic
from mobilenets.tasks import TASKS

# Of copies in several parts the one that measures is kept: a test set that shrinks would change every figure.
_KEEP_FIRST = {"test": 0, "val": 1, "train": 2, "": 3}


@dataclass(frozen=True)
class Cleaned:
    """How many rows were written, and how many pictures were left out, by reason."""

    rows: int
    left_out: dict[str, int]


def check_files(data: Path, parts: Mapping[str, Samples]) -> None:
    """Raise UserError if the pictures are no files of their own, which alone a CSV can name."""
    if any(samples.members is not None for samples in parts.values()):
        raise UsageError(f"--write-clean: the photos of {data} lie in tar or parquet files; unpack them first")


def write_clean(audit: Audit, table: Path) -> Cleaned:
    """Write `path,label[,split],group[,stratum]`, paths relative to the CSV, and say what was left out.

    Of photos with boxes the column is `boxes`. Left out: what cannot be read; of identical pictures all but one, and
    all of them where their labels differ; of shots near-identical to one in validation or test those in training, where
    the data names its parts. Near-identical shots share a group, so that `train` keeps them on one side. Labels stay as
    they are, suspected ones too.

    Raises
    ------
    UserError
        See `check_new_file`; a file name that is no UTF-8 text.
    """
    check_new_file("--write-clean", table, ".csv")
    left_out = {"unreadable": len(audit.findings["unreadable"])}
    kept = _without_copies(audit, left_out)
    kept = _without_leaks(audit, kept, left_out)
    links = [(p.first, p.second) for p in audit.pairs]
    tags = [m.sample.group for m in audit.members]
    name_of: dict[int, str] = {}
    for group in groups_of(len(audit.members), links, tags):
        own = sorted({tags[i] or "" for i in group} - {""})
        name_of |= dict.fromkeys(group, own[0] if own else f"near-{group[0]}")
    rows = [(audit.members[i], name_of.get(i, audit.members[i].sample.group or "")) for i in sorted(kept)]
    write_atomic(table, _text(rows, audit.texts, TASKS[audit.task].label, table))
    return Cleaned(len(rows), {reason: n for reason, n in left_out.items() if n})


def _without_copies(audit: Audit, left_out: dict[str, int]) -> set[int]:
    kept = set(range(len(audit.members)))
    shown = [TASKS[audit.task].shown(text) for text in audit.texts]
    copies = groups_of(len(audit.members), [(p.first, p.second) for p in audit.pairs if p.exact])
    for group in copies:
        same_label = len({shown[audit.members[i].sample.label] for i in group}) == 1
        ordered = sorted(group, key=lambda i: (_KEEP_FIRST[audit.members[i].own_split], i))
        gone = ordered[1:] if same_label else ordered
        kept.difference_update(gone)
        reason = "copies" if same_label else "copies with different labels"
        left_out[reason] = left_out.get(reason, 0) + len(gone)
    return kept


def _without_leaks(audit: Audit, kept: set[int], left_out: dict[str, int]) -> set[int]:
    """Without training pictures whose near-identical shot validates or tests by the data's own naming."""
    links = [(p.first, p.second) for p in audit.pairs]  # also those through copies that are gone
    gone = set()
    for group in groups_of(len(audit.members), links):
        named = {i: audit.members[i].own_split for i in group if i in kept}
        if {"val", "test"} & set(named.values()):
            gone |= {i for i, split in named.items() if split == "train"}
    left_out["training shots near-identical to validation or test"] = len(gone)
    return kept - gone


def _text(rows: Sequence[tuple[SplitSample, str]], texts: Sequence[str], label: str, table: Path) -> str:
    columns = {
        "path": [_relative(m.sample.path, table) for m, _ in rows],
        label: [texts[m.sample.label] for m, _ in rows],
        "split": [m.own_split for m, _ in rows],
        "group": [group for _, group in rows],
        "stratum": [m.sample.stratum or "" for m, _ in rows],
    }
    shown = [name for name, cells in columns.items() if name not in ("split", "stratum") or any(cells)]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(shown)
    writer.writerows(zip(*(columns[name] for name in shown), strict=True))
    return out.getvalue()


def _relative(path: Path, table: Path) -> str:
    text = os.path.relpath(path.absolute(), table.parent.resolve())
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{str(path)!a}: its name is not UTF-8 and cannot stand in a CSV; rename it") from None
    return Path(text).as_posix()
