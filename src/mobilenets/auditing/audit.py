"""The audit: every file looked at once, every kind of fault found and ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mobilenets.auditing.copies import SplitSample, copies, group_numbers
from mobilenets.auditing.duplicates import Pair, find_pairs
from mobilenets.auditing.kinds import AuditFinding, kinds_of, ranked
from mobilenets.auditing.label_findings import label_findings
from mobilenets.auditing.measure import ImageMeasures, measure_images
from mobilenets.auditing.quality import cropped, few_levels, imbalance, quality
from mobilenets.data.readable import MAX_CHECKED
from mobilenets.data.sample import Sample
from mobilenets.data.samples import Samples, Splits
from mobilenets.data.shapes import shapes, stored_sizes
from mobilenets.data.sources.read import read_named_splits, read_splits
from mobilenets.data.sources.survey import Survey
from mobilenets.data.value_range import RangeDecision, decide_range
from mobilenets.errors import UserError
from mobilenets.model_card import CLASSIFY
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.depth import Range
from mobilenets.runtime.features import FeatureExtractor
from mobilenets.tasks import TASKS
from mobilenets.tasks.classify.label_errors import Doubt, Doubter

BOX_INPUT = 320  # pixels: SSDLite's usual input
MAX_IN_A_RUN = MAX_CHECKED  # as many as a training opens before it starts: a minute and a half at 12 megapixels each


@dataclass(frozen=True)
class Audit:
    """What was found in a data set.

    Attributes
    ----------
    data, classes
        Where it lies; the names of its classes.
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
    task, texts
        What the labels answer, and what they number: of classes their names.

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
    task: str = CLASSIFY
    texts: tuple[str, ...] = ()

    @property
    def clean(self) -> list[str]:
        """The kinds that were looked for, of which there are none."""
        return [kind for kind, found in self.findings.items() if not found and kind not in self.omitted]

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
    size: int | None = None,
) -> Audit:
    """Look at every file of `data` and say what is wrong with it; no file is changed.

    Parameters
    ----------
    data
        Class folders, train/ and val/ folders, a CSV, shards, or photos with boxes.
    val, seed
        Unsplit data is split as `train` would with them, to see which near-identical shots that tears apart.
    extractor
        With it, near duplicates are confirmed by features.
    doubter
        With it and an extractor, labels are judged.
    size
        Side of a network's input, of which boxes take their part; None: `BOX_INPUT`.

    Raises
    ------
    UserError
        Nothing usable there, fewer than two classes, bad rows of a CSV.
    """
    data = Path(data)
    survey = Survey()
    texts, named = read_named_splits(data, survey)
    notes: list[str] = []
    omitted: set[str] = set()
    try:
        members = _in_splits(named, data, val, seed)
    except UserError as error:
        notes.append(f"leaks are not looked for: {error}")
        omitted = {"leak"}
        members = [SplitSample(s, split, split) for split, samples in named.items() for s in samples]
    decision = _range(members, notes)
    task = TASKS[survey.task]
    is_whole = task.has_boxes or task.probe == "bank"  # where there is a box or a defect may be at the edge
    seen = Preprocess(size=size or BOX_INPUT, fit="squash") if is_whole else Preprocess()
    result = _audit_of(data, texts, survey, members, notes, decision, extractor, doubter, seen)
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
    measured: Mapping[Path, ImageMeasures] | None = None,
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
    measured
        Images that were measured by `decision` before: these are not opened again.

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
    result = _audit_of(data, splits.classes, splits.survey, members, notes, decision, fit=preprocess, measured=measured)
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
    texts: tuple[str, ...],
    survey: Survey,
    members: Sequence[SplitSample],
    notes: Sequence[str],
    decision: RangeDecision,
    extractor: FeatureExtractor | None = None,
    doubter: Doubter | None = None,
    fit: Preprocess | None = None,
    measured: Mapping[Path, ImageMeasures] | None = None,
) -> Audit:
    """Look at `members` and add what they show to what was noted before.

    `texts`: what labels number; `survey`: what reading came upon; `fit`: what the network to be trained sees of an
    image, by default the centre; `measured`: as for `measure_images`.
    """
    notes = list(notes)
    fit, task = fit or Preprocess(), TASKS[survey.task]
    kinds = kinds_of(task)
    if extractor:
        extractor = _fitted(extractor, [m.sample for m in members], notes)
    stats = measure_images([m.sample for m in members], extractor, value_range=decision.range, measured=measured)
    lost = {path for path, _ in stats.unreadable}
    readable = tuple(m for m in members if m.sample.path not in lost)
    found = [*quality(stats), *few_levels(data, stats.images, decision)]
    pairs = find_pairs(stats.images, stats.features)
    found += copies(readable, [task.shown(text) for text in texts], pairs)
    labels = np.array([m.sample.label for m in readable], np.int64)
    found += cropped(data, stats.images, fit)
    if task.labels_are_classes:
        found += imbalance(data, texts, np.bincount(labels, minlength=len(texts)).tolist())
    found += label_findings(data, task, texts, [m.sample for m in readable], survey.faults, fit.size)
    omitted = {"likely_mislabelled"}.intersection(kinds)
    if stats.features is not None and doubter is not None and omitted:
        groups = group_numbers(readable, pairs)
        try:
            for doubt in doubter(stats.features, labels, groups):
                found.append(_mislabelled(readable[doubt.index].sample, texts, doubt))
            omitted = set()
        except UserError as error:
            notes.append(f"labels are not judged: {error}")
    everything = ranked(found, kinds), tuple(notes), readable, tuple(pairs)
    names = task.classes(texts)
    return Audit(
        data, names, len(members), *everything, omitted=frozenset(omitted), range=decision.range, task=survey.task,
        texts=texts,
    )  # fmt: skip


def _fitted(extractor: FeatureExtractor, samples: Sequence[Sample], notes: list[str]) -> FeatureExtractor:
    """The extractor, shown pictures whole where a centre crop would hide much of most."""
    found = shapes(stored_sizes(Samples.of(samples)), extractor.preprocess)
    if found is None or not found.elongated:
        return extractor
    notes.append(f"the network sees photos padded to squares: {found.describe()}")
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


def _mislabelled(sample: Sample, classes: Sequence[str], doubt: Doubt) -> AuditFinding:
    given, suggested = classes[sample.label], classes[doubt.suggested]
    why = f"labelled {given}, looks like {suggested}"
    return AuditFinding(
        "likely_mislabelled", (sample.path,), doubt.score, why, {"label": given, "suggested": suggested}
    )
