"""Seeded, stratified, grouped: which photographs validate."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.sample import Sample
from mobilenets.data.samples import Indices, Samples
from mobilenets.errors import UsageError

Mask = NDArray[np.bool_]


def check_val_fraction(name: str, fraction: float) -> None:
    """Refuse a `fraction`, given as `name`, that leaves nothing to train on or nothing to validate on.

    Raises
    ------
    UsageError
        `fraction` outside (0, 1).
    """
    if not 0 < fraction < 1:
        raise UsageError(f"{name}: {fraction} is not a fraction; use a number between 0 and 1, for example 0.2")


def train_val_split(
    samples: Sequence[Sample],
    labels: Sequence[str],
    fraction: float,
    seed: int,
    strata: Indices | None = None,
    classes: Mask | None = None,
) -> tuple[Samples, Samples]:
    """Part `samples` into (train, validation), with about `fraction` of every stratum in the second.

    A stratum is a label, or a label and the sample's `stratum`; with `strata` (V,) all labels of one number are one.
    Without groups each is off by at most one sample. Samples of one group, or of one path, stay together; a group
    counts for the stratum of its first sample, and a stratum is off by at most its largest group. The result depends
    on paths, labels and `seed`, not on the order of `samples`. A label too small for both parts, or in too few groups,
    is in the first only. `classes` (V, K): which of K classes each label has, where it is none itself; each
    is trained on.

    Raises
    ------
    UserError
        `fraction` outside (0, 1).
    """
    check_val_fraction("val", fraction)
    samples = Samples.of(samples)
    order, repeated = samples.by_path()
    ordered = samples.take(order)
    if strata is None:
        strata = np.arange(len(labels))
    number = strata[ordered.labels]
    first, unit = np.unique(_leaders(ordered, repeated), return_inverse=True)  # units are numbered by first sample
    sizes = np.bincount(unit)

    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(first), np.bool_)
    debt = 0.0  # what rounding has left out so far, so that many small strata add up to `fraction` too
    for members in _strata(ordered, number[first], first):
        members = members[rng.permutation(len(members))]
        due = fraction * sizes[members].sum()
        # No stratum pays more than half a group for the others: one huge group must not empty the next class.
        max_debt = sizes[members].max() / 2
        taken = members[_take(sizes[members], due + min(max(debt, -max_debt), max_debt))]
        chosen[taken] = True
        debt += due - sizes[taken].sum()
    _give_every_class_both_parts(unit, sizes, number, int(strata.max(initial=-1)) + 1, chosen)
    if classes is not None:
        for own in classes[ordered.labels].T:
            _train_on(np.unique(unit[own]), sizes, chosen)
    validating = chosen[unit]
    return ordered.take(~validating), ordered.take(validating)


def _leaders(ordered: Samples, repeated: Mask) -> Indices:
    """For every sample the index of the first one that it has to stay with (its own, where it is free)."""
    index = np.arange(len(ordered))
    leader = np.maximum.accumulate(np.where(repeated, 0, index))
    group = ordered.groups
    if group is not None:
        grouped = np.flatnonzero(group >= 0)
        _, first, inverse = np.unique(group[grouped], return_index=True, return_inverse=True)
        leader[grouped] = grouped[first][inverse]
    return leader


def _strata(ordered: Samples, label: Indices, first: Indices) -> Iterator[Indices]:
    """The units of every stratum, strata sorted by `label` (of each unit) and name; `first`: a unit's first sample."""
    rank = np.zeros(len(first), np.int64)
    if ordered.strata is not None:
        codes, stratum = np.unique(ordered.strata[first], return_inverse=True)
        words = ["" if code < 0 else ordered.words[code] for code in codes]  # no stratum and an empty one are the same
        rank = np.unique(words, return_inverse=True)[1][stratum]
    if len(first) == 0:
        return
    by_stratum = np.lexsort((rank, label))
    label, rank = label[by_stratum], rank[by_stratum]
    yield from np.split(by_stratum, 1 + np.flatnonzero((np.diff(label) != 0) | (np.diff(rank) != 0)))


def _take(sizes: Indices, wanted: float) -> Mask:
    """Which units to take, in turn, to bring the count nearer to `wanted`."""
    taken = np.zeros(len(sizes), np.bool_)
    count = 0
    for i, size in enumerate(sizes.tolist()):
        if count + size / 2 <= wanted:
            taken[i] = True
            count += size
    return taken


def _give_every_class_both_parts(unit: Indices, sizes: Indices, labels: Indices, classes: int, chosen: Mask) -> None:
    """Move one unit where a class stands on one side only; where it can stand on one only, that is training."""
    by_label = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[by_label], np.arange(classes + 1))
    for start, end in itertools.pairwise(bounds):
        own, held = np.unique(unit[by_label[start:end]], return_counts=True)
        if len(own) == 0 or (chosen[own].any() and not chosen[own].all()):
            continue
        movable = own[held == sizes[own]]  # no other class moves along
        if len(own) > 1 and len(movable):
            smallest = movable[np.argmin(sizes[movable])]
            chosen[smallest] = not chosen[smallest]
    for start, end in itertools.pairwise(bounds):
        _train_on(np.unique(unit[by_label[start:end]]), sizes, chosen)


def _train_on(own: Indices, sizes: Indices, chosen: Mask) -> None:
    """Move the smallest of a class's `own` units to training, where none is there.

    Others may lose their validation by it: what is not validated is told, what is not trained on is useless.
    """
    if len(own) and chosen[own].all():
        chosen[own[np.argmin(sizes[own])]] = False
