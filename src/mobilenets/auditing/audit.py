"""The audit: every file looked at once, every kind of fault found and ranked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.auditing.duplicates import Pair, find_pairs, groups_of
from mobilenets.auditing.kinds import KINDS, Finding, ranked
from mobilenets.auditing.measure import Embedder, look
from mobilenets.auditing.quality import cropped, few_levels, imbalance, quality
from mobilenets.data.sample import Sample, Samples, Splits
from mobilenets.data.shapes import shapes, stored_sizes
from mobilenets.data.sources.read import read_named_splits, read_splits
from mobilenets.data.value_range import RangeDecision, decide_range
from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.depth import Range

# As many as training opens before it starts (`data.readable`): a minute and a half at 12 megapixels each.
MOST_IN_A_RUN = 5_000


@dataclass(frozen=True)
class Doubt:
    """A label that a classifier which never saw the picture contradicts; `suggested` is a class number.

    `score`: 1 minus the probability of the given class.
    """

    index: int
    suggested: int
    score: float


# features (N, D), labels (N,), groups (N,) that must stay on one side of a fold -> doubts.
# Raises UserError where the data cannot be judged.
Doubter = Callable[[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]], Sequence[Doubt]]


@dataclass(frozen=True)
class Placed:
    """A picture that could be read: its sample, the part that the data names ("" for none), and in which it stands."""

    sample: Sample
    named: str
    part: str


@dataclass(frozen=True)
class Audit:
    """What was found. `findings`: from every kind to its findings, the worst first; `notes`: what stood in the way.

    `members` are the readable pictures and `pairs` their duplicates, as indices into `members`. `val` and `seed` are
    what unsplit data was split with; `omitted` are the kinds that were not looked for; `range` is what deep pictures
    were seen in.
    """

    data: Path
    classes: tuple[str, ...]
    files: int
    findings: dict[str, list[Finding]]
    notes: tuple[str, ...]
    members: tuple[Placed, ...]
    pairs: tuple[Pair, ...]
    val: float | str | Path | None = None
    seed: int = 0
    omitted: frozenset[str] = frozenset()
    range: Range | None = None

    @property
    def clean(self) -> list[str]:
        """The kinds that were looked for, of which there are none."""
        return [kind for kind in KINDS if not self.findings[kind] and kind not in self.omitted]

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """The content of `audit --json`: from every kind to a list of findings."""
        return {kind: [f.to_dict() for f in found] for kind, found in self.findings.items()}


def audit(
    data: str | Path,
    *,
    val: float | str | Path | None = None,
    seed: int = 0,
    embedder: Embedder | None = None,
    doubter: Doubter | None = None,
) -> Audit:
    """Look at every file of `data` and say what is wrong with it; no file is changed.

    Unsplit data is split as `train` would with `val` and `seed`, to see which near-identical shots that tears apart.
    With `embedder`, near duplicates are confirmed by features; with `doubter` too, labels are judged.

    Raises:
        UserError: nothing usable there, fewer than two classes, bad rows of a CSV.
    """
    data = Path(data)
    classes, named = read_named_splits(data)
    notes = []
    omitted: set[str] = set()
    try:
        members = _in_parts(named, data, val, seed)
    except UserError as error:
        notes.append(f"leaks are not looked for: {error}")
        omitted = {"leak"}
        members = [Placed(s, part, part) for part, samples in named.items() for s in samples]
    decision = _range(members, notes)
    result = _judged(data, classes, members, notes, decision, embedder, doubter)
    return replace(result, val=val, seed=seed, omitted=result.omitted | omitted)


def audit_splits(
    data: Path,
    splits: Splits,
    *,
    val: float | str | Path | None = None,
    seed: int = 0,
    most: int = MOST_IN_A_RUN,
    decision: RangeDecision | None = None,
    seen: Preprocess | None = None,
) -> Audit:
    """`audit` of what a training was given, without a network: what the report of a run says about its data.

    `val` and `seed` are those that `splits` were made with, `decision` is how the training reads deep pictures, `seen`
    what the network sees of a picture.

    Of more than `most` pictures about so many are looked at, from all over, and `notes` says so.
    """
    parts = {"train": splits.train, "val": splits.val, "test": splits.test}
    total, notes = sum(map(len, parts.values())), []
    if total > most:
        parts = {part: samples.spread(most * len(samples) // total) for part, samples in parts.items()}
        notes.append(f"The data has {total:,}: copies and leaks among the others are not seen here.")
    members = [Placed(s, part, part) for part, samples in parts.items() for s in samples]
    members.sort(key=lambda m: str(m.sample.path))
    decision = decision or _range(members, notes)
    result = _judged(data, splits.classes, members, notes, decision, fit=seen)
    return replace(result, val=val, seed=seed)


def _range(members: Sequence[Placed], notes: list[str]) -> RangeDecision:
    """How a training would read deep pictures; where it would refuse, that is noted."""
    try:
        return decide_range(Samples.of([m.sample for m in members if m.part != "val" and m.part != "test"]))
    except UserError as error:
        notes.append(str(error))
        return RangeDecision()


def _judged(
    data: Path,
    classes: tuple[str, ...],
    members: Sequence[Placed],
    notes: Sequence[str],
    decision: RangeDecision,
    embedder: Embedder | None = None,
    doubter: Doubter | None = None,
    fit: Preprocess | None = None,
) -> Audit:
    """Look at `members` and add what they show to what was noted before.

    `fit`: what the network to be trained sees of a picture, by default the centre.
    """
    notes = list(notes)
    fit = fit or Preprocess()
    if embedder:
        embedder = _fitted(embedder, [m.sample for m in members], notes)
    seen = look([m.sample for m in members], embedder, value_range=decision.range)
    lost = {path for path, _ in seen.unreadable}
    readable = tuple(m for m in members if m.sample.path not in lost)
    found = [*quality(seen), *few_levels(data, seen.photos, decision)]
    pairs = find_pairs(seen.photos, seen.features)
    found += _duplicates(readable, classes, pairs)
    labels = np.array([m.sample.label for m in readable], np.int64)
    found += cropped(data, seen.photos, fit)
    found += imbalance(data, classes, np.bincount(labels, minlength=len(classes)).tolist())
    omitted = {"likely_mislabelled"}
    if seen.features is not None and doubter is not None:
        groups = _group_numbers(readable, pairs)
        try:
            for doubt in doubter(seen.features, labels, groups):
                found.append(_mislabelled(readable[doubt.index].sample, classes, doubt))
            omitted = set()
        except UserError as error:
            notes.append(f"labels are not judged: {error}")
    everything = ranked(found), tuple(notes), readable, tuple(pairs)
    return Audit(data, classes, len(members), *everything, omitted=frozenset(omitted), range=decision.range)


def _fitted(embedder: Embedder, samples: Sequence[Sample], notes: list[str]) -> Embedder:
    """The embedder, shown pictures whole where a centre crop would hide much of most."""
    found = shapes(stored_sizes(Samples.of(samples)), embedder.preprocess)
    if found is None or not found.elongated:
        return embedder
    notes.append(f"the network sees pictures padded to squares: {found.describe()}")
    return replace(embedder, preprocess=replace(embedder.preprocess, fit="pad"))


def _in_parts(named: Mapping[str, Samples], data: Path, val: float | str | Path | None, seed: int) -> list[Placed]:
    """Every sample with the part that training would put it in, sorted by path."""
    part_named = {s.path: part for part, samples in named.items() for s in samples}
    if "val" in named and val is None:
        members = [Placed(s, part, part) for part, samples in named.items() for s in samples]
    else:
        splits = read_splits(data, val=val, seed=seed)
        sides = {"train": splits.train, "val": splits.val, "test": splits.test}
        members = [Placed(s, part_named.get(s.path, "val"), side) for side, of in sides.items() for s in of]
    return sorted(members, key=lambda m: str(m.sample.path))


def _duplicates(members: Sequence[Placed], classes: Sequence[str], pairs: Sequence[Pair]) -> list[Finding]:
    exact = groups_of(len(members), [(p.first, p.second) for p in pairs if p.exact])
    every = groups_of(len(members), [(p.first, p.second) for p in pairs])
    best: dict[int, float] = {}
    for pair in pairs:
        for i in (pair.first, pair.second):
            best[i] = max(best.get(i, 0.0), pair.score)
    found = []

    def add(kind: str, group: Sequence[int], why: str, **details: Any) -> None:
        paths = tuple(members[i].sample.path for i in group)
        found.append(Finding(kind, paths, max(best[i] for i in group), why, details))

    for group in exact:
        add("exact_duplicate", group, f"{len(group)} files with the same pixels")
    identical = {tuple(group) for group in exact}
    for group in every:
        if tuple(group) not in identical:
            add("near_duplicate", group, f"{len(group)} near-identical shots")
        labels = [classes[members[i].sample.label] for i in group]
        if len(set(labels)) > 1:
            why = f"one picture, labelled {' and '.join(sorted(set(labels)))}"
            add("duplicate_across_classes", group, why, labels=labels)
        parts = [members[i].part for i in group]
        if len(set(parts)) > 1:
            drawn = "" if all(members[i].named for i in group) else ", as the seeded split draws them"
            add("leak", group, f"near-identical shots in {' and '.join(sorted(set(parts)))}{drawn}", parts=parts)
    return found


def _group_numbers(members: Sequence[Placed], pairs: Sequence[Pair]) -> NDArray[np.int64]:
    """A number for every picture, equal for near-identical shots and for those that the data groups."""
    numbers = np.arange(len(members))
    tags = [m.sample.group for m in members]
    for group in groups_of(len(members), [(p.first, p.second) for p in pairs], tags):
        numbers[group] = group[0]
    return numbers


def _mislabelled(sample: Sample, classes: Sequence[str], doubt: Doubt) -> Finding:
    given, suggested = classes[sample.label], classes[doubt.suggested]
    why = f"labelled {given}, looks like {suggested}"
    return Finding("likely_mislabelled", (sample.path,), doubt.score, why, {"label": given, "suggested": suggested})
