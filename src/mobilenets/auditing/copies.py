"""Photos that show the same thing: copies, near-identical shots, and what they make of labels and splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.auditing.duplicates import Pair, groups_of
from mobilenets.auditing.kinds import AuditFinding
from mobilenets.data.sample import Sample


@dataclass(frozen=True)
class SplitSample:
    """An image that could be read: its sample, the split that the data names ("" for none), and the one it is in."""

    sample: Sample
    own_split: str
    split: str


def copies(members: Sequence[SplitSample], shown: Sequence[str], pairs: Sequence[Pair]) -> list[AuditFinding]:
    """Groups of copies and near-identical shots; those that are labelled differently, and in several splits.

    `shown`: what each label says is to be seen.
    """
    exact = groups_of(len(members), [(p.first, p.second) for p in pairs if p.exact])
    every = groups_of(len(members), [(p.first, p.second) for p in pairs])
    best: dict[int, float] = {}
    for pair in pairs:
        for i in (pair.first, pair.second):
            best[i] = max(best.get(i, 0.0), pair.score)
    found = []

    def add(kind: str, group: Sequence[int], why: str, **details: Any) -> None:
        paths = tuple(members[i].sample.path for i in group)
        found.append(AuditFinding(kind, paths, max(best[i] for i in group), why, details))

    for group in exact:
        add("exact_duplicate", group, f"{len(group)} files with the same pixels")
    identical = {tuple(group) for group in exact}
    for group in every:
        if tuple(group) not in identical:
            add("near_duplicate", group, f"{len(group)} near-identical shots")
        labels = [shown[members[i].sample.label] for i in group]
        if len(set(labels)) > 1:
            why = f"one photo, labelled {' and '.join(sorted(set(labels)))}"
            add("duplicate_across_classes", group, why, labels=labels)
        sides = [members[i].split for i in group]
        if len(set(sides)) > 1:
            drawn = "" if all(members[i].own_split for i in group) else ", as the seeded split draws them"
            add("leak", group, f"near-identical shots in {' and '.join(sorted(set(sides)))}{drawn}", parts=sides)
    return found


def group_numbers(members: Sequence[SplitSample], pairs: Sequence[Pair]) -> NDArray[np.int64]:
    """A number for every picture, equal for near-identical shots and for those that the data groups."""
    numbers = np.arange(len(members))
    tags = [m.sample.group for m in members]
    for group in groups_of(len(members), [(p.first, p.second) for p in pairs], tags):
        numbers[group] = group[0]
    return numbers
