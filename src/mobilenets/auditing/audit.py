"""The audit: every file looked at once, every kind of fault found and ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.auditing.duplicates import Pair, find_pairs, groups_of
from mobilenets.auditing.kinds import KINDS, AuditFinding, ranked
from mobilenets.auditing.measure import measure_images
from mobilenets.auditing.quality import cropped, few_levels, imbalance, quality
from mobilenets.data.readable import MAX_CHECKED
from mobilenets.data.sample import Sample
from mobilenets.data.samples import Samples, Splits
from mobilenets.data.shapes import shapes, stored_sizes
from mobilenets.data.sources.read import read_named_splits, read_splits
from mobilenets.data.value_range import RangeDecision, decide_range
from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.depth import Range
from mobilenets.runtime.features import FeatureExtractor
from mobilenets.tasks.classify.label_errors import Doubt, Doubter

MAX_IN_A_RUN = MAX_CHECKED  # as many as a training opens before it starts: a minute and a half at 12 megapixels each


@dataclass(frozen=True)
class SplitSample:
    """An image that could be read: its sample, the split that the data names ("" for none), and the one it is in."""

    sample: Sample
    own_split: str
    split: str


@dataclass(frozen=True)
class Audit:
    """What was found in a data set.

    Attributes
    ----------
    data, classes
        Where it lies; the names of its classes, in the order of the labels.
    files
        How many were looked at.
    findings
        From every kind to its findings, the worst first; kinds without any have an empty list.
    notes
        What stood in the way, a sentence each.
    members, pairs
        The photos that could be read, and their duplicates, as indices into `members`.
    val, seed
        What unsplit data was split with.
    omitted
        The kinds that were not looked for.
    range
        Black and white of 16-bit, integer and float photos; None where there are none.

    Examples
    --------
    >>> import mobilenets as mn
    >>> found = mn.audit("photos", weights="none")
    >>> "unreadable" in found.clean, "likely_mislabelled" in found.omitted
    (True, True)
    """

    data: Path
    classes: tuple[str, ...]
    files: int
    findings: dict[str, list[AuditFinding]]
    notes: tuple[str, ...]
    members: tuple[SplitSample, ...]
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
    extractor: FeatureExtractor | None = None,
    doubter: Doubter | None = None,
) -> Audit:
    """Look at every file of `data` and say what is wrong with it; no file is changed.

    Parameters
    ----------
    data
        Class folders, train/ and val/ folders, a CSV or shards.
    val, seed
        Unsplit data is split as `train` would with them, to see which near-identical shots that tears apart.
    extractor
        With it, near duplicates are confirmed by features.
    doubter
        With it and an extractor, labels are judged.

    Raises
    ------
    UserError
        Nothing usable there, fewer than two classes, bad rows of a CSV.
    """
    data = Path(data)
    classes, named = read_named_splits(data)
    notes = []
    omitted: set[str] = set()
    try:
        members = _in_splits(named, data, val, seed)
    except UserError as error:
        notes.append(f"leaks are not looked for: {error}")
        omitted = {"leak"}
        members = [SplitSample(s, split, split) for split, samples in named.items() for s in samples]
    decision = _range(members, notes)
    result = _audit_of(data, classes, members, notes, decision, extractor, doubter)
    return replace(result, val=val, seed=seed, omitted=result.omitted | omitted)


def audit_splits(
    data: Path,
    splits: Splits,
    *,
    val: float | str | Path | None = None,
    seed: int = 0,
    max_images: int = MAX_IN_A_RUN,
    decision: RangeDecision | None = None,
    preprocess: Preprocess | None = None,
) -> Audit:
    """`audit` of what a training was given, without a network: what the report of a run says about its data.

    Parameters
    ----------
    data
        Where the data came from, for findings about all of it.
    splits
        What the training was given.
    val, seed
        What the splits were made with.
    max_images
        Of more than these about so many are looked at, from all over, and `notes` says so.
    decision
        How the training reads deep images.
    preprocess
        What the network sees of an image.

    Returns
    -------
    Audit
        As `audit`, without likely wrong labels.
    """
    by_split = {"train": splits.train, "val": splits.val, "test": splits.test}
    total, notes = sum(map(len, by_split.values())), []
    if total > max_images:
        by_split = {split: samples.spread(max_images * len(samples) // total) for split, samples in by_split.items()}
        notes.append(f"The data has {total:,}: copies and leaks among the others are not seen here.")
    members = [SplitSample(s, split, split) for split, samples in by_split.items() for s in samples]
    members.sort(key=lambda m: str(m.sample.path))
    decision = decision or _range(members, notes)
    has_classes = splits.objective.task.labels_are_classes
    result = _audit_of(data, splits.classes, members, notes, decision, fit=preprocess, has_classes=has_classes)
    return replace(result, val=val, seed=seed)


def _range(members: Sequence[SplitSample], notes: list[str]) -> RangeDecision:
    """How a training would read deep pictures; where it would refuse, that is noted."""
    try:
        return decide_range(Samples.of([m.sample for m in members if m.split != "val" and m.split != "test"]))
    except UserError as error:
        notes.append(str(error))
        return RangeDecision()


def _audit_of(
    data: Path,
    classes: tuple[str, ...],
    members: Sequence[SplitSample],
    notes: Sequence[str],
    decision: RangeDecision,
    extractor: FeatureExtractor | None = None,
    doubter: Doubter | None = None,
    fit: Preprocess | None = None,
    has_classes: bool = True,
) -> Audit:
    """Look at `members` and add what they show to what was noted before.

    `fit`: what the network to be trained sees of a picture, by default the centre. `has_classes`: labels are classes,
    of which one may be rare.
    """
    notes = list(notes)
    fit = fit or Preprocess()
    if extractor:
        extractor = _fitted(extractor, [m.sample for m in members], notes)
    stats = measure_images([m.sample for m in members], extractor, value_range=decision.range)
    lost = {path for path, _ in stats.unreadable}
    readable = tuple(m for m in members if m.sample.path not in lost)
    found = [*quality(stats), *few_levels(data, stats.images, decision)]
    pairs = find_pairs(stats.images, stats.features)
    found += _duplicates(readable, classes, pairs)
    labels = np.array([m.sample.label for m in readable], np.int64)
    found += cropped(data, stats.images, fit)
    if has_classes:
        found += imbalance(data, classes, np.bincount(labels, minlength=len(classes)).tolist())
    omitted = {"likely_mislabelled"}
    if stats.features is not None and doubter is not None:
        groups = _group_numbers(readable, pairs)
        try:
            for doubt in doubter(stats.features, labels, groups):
                found.append(_mislabelled(readable[doubt.index].sample, classes, doubt))
            omitted = set()
        except UserError as error:
            notes.append(f"labels are not judged: {error}")
    everything = ranked(found), tuple(notes), readable, tuple(pairs)
    return Audit(data, classes, len(members), *everything, omitted=frozenset(omitted), range=decision.range)


def _fitted(extractor: FeatureExtractor, samples: Sequence[Sample], notes: list[str]) -> FeatureExtractor:
    """The extractor, shown pictures whole where a centre crop would hide much of most."""
    found = shapes(stored_sizes(Samples.of(samples)), extractor.preprocess)
    if found is None or not found.elongated:
        return extractor
    notes.append(f"the network sees pictures padded to squares: {found.describe()}")
    return replace(extractor, preprocess=replace(extractor.preprocess, fit="pad"))


def _in_splits(
    named: Mapping[str, Samples], data: Path, val: float | str | Path | None, seed: int
) -> list[SplitSample]:
    """Every sample with the split that training would put it in, sorted by path."""
    own_split = {s.path: split for split, samples in named.items() for s in samples}
    if "val" in named and val is None:
        members = [SplitSample(s, split, split) for split, samples in named.items() for s in samples]
    else:
        splits = read_splits(data, val=val, seed=seed)
        sides = {"train": splits.train, "val": splits.val, "test": splits.test}
        members = [SplitSample(s, own_split.get(s.path, "val"), side) for side, of in sides.items() for s in of]
    return sorted(members, key=lambda m: str(m.sample.path))


def _duplicates(members: Sequence[SplitSample], classes: Sequence[str], pairs: Sequence[Pair]) -> list[AuditFinding]:
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
        labels = [classes[members[i].sample.label] for i in group]
        if len(set(labels)) > 1:
            why = f"one picture, labelled {' and '.join(sorted(set(labels)))}"
            add("duplicate_across_classes", group, why, labels=labels)
        sides = [members[i].split for i in group]
        if len(set(sides)) > 1:
            drawn = "" if all(members[i].own_split for i in group) else ", as the seeded split draws them"
            add("leak", group, f"near-identical shots in {' and '.join(sorted(set(sides)))}{drawn}", parts=sides)
    return found


def _group_numbers(members: Sequence[SplitSample], pairs: Sequence[Pair]) -> NDArray[np.int64]:
    """A number for every picture, equal for near-identical shots and for those that the data groups."""
    numbers = np.arange(len(members))
    tags = [m.sample.group for m in members]
    for group in groups_of(len(members), [(p.first, p.second) for p in pairs], tags):
        numbers[group] = group[0]
    return numbers


def _mislabelled(sample: Sample, classes: Sequence[str], doubt: Doubt) -> AuditFinding:
    given, suggested = classes[sample.label], classes[doubt.suggested]
    why = f"labelled {given}, looks like {suggested}"
    return AuditFinding(
        "likely_mislabelled", (sample.path,), doubt.score, why, {"label": given, "suggested": suggested}
    )
