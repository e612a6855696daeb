"""Seeded, stratified, grouped: which photographs validate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mobilenets.data.sample import Sample
from mobilenets.errors import UserError

Unit = list[Sample]  # what stays together: the samples of one group, or a single one


def split(
    samples: Sequence[Sample], classes: Sequence[str], share: float, seed: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Part `samples` into (train, validation), with about `share` of every stratum in the second.

    A stratum is a class, or a class and the sample's `stratum`. Without groups each is off by at most one
    sample. Samples of one group stay together; a group counts for the stratum of its first sample, and a
    stratum is off by at most its largest group. The result depends on paths, labels and `seed`, not on the
    order of `samples`.

    Raises:
        UserError: `share` outside (0, 1), or a class too small (or in too few groups) for both parts.
    """
    if not 0 < share < 1:
        raise UserError(f"val: {share} is not a share; use a number between 0 and 1, for example 0.2")
    ordered = sorted(samples, key=lambda s: str(s.path))
    units: dict[object, Unit] = defaultdict(list)
    for i, sample in enumerate(ordered):
        units[i if sample.group is None else sample.group].append(sample)
    strata: dict[tuple[int, str], list[Unit]] = defaultdict(list)
    for unit in units.values():
        strata[unit[0].label, unit[0].stratum or ""].append(unit)

    rng = np.random.default_rng(seed)
    chosen: set[Sample] = set()
    debt = 0.0  # what rounding has left out so far, so that many small strata add up to `share` too
    for key in sorted(strata):
        members = [strata[key][i] for i in rng.permutation(len(strata[key]))]
        due = share * sum(map(len, members))
        # No stratum pays more than half a group for the others: one huge group must not empty the next class.
        most = max(map(len, members)) / 2
        taken = _take(members, due + min(max(debt, -most), most))
        chosen.update(taken)
        debt += due - len(taken)
    _give_every_class_both_parts(list(units.values()), classes, chosen)
    train = tuple(s for s in ordered if s not in chosen)
    return train, tuple(s for s in ordered if s in chosen)


def _take(units: Sequence[Unit], wanted: float) -> list[Sample]:
    """The samples of as many units, in turn, as bring the count nearer to `wanted`."""
    taken: list[Sample] = []
    for unit in units:
        if len(taken) + len(unit) / 2 <= wanted:
            taken += unit
    return taken


def _give_every_class_both_parts(units: Sequence[Unit], classes: Sequence[str], chosen: set[Sample]) -> None:
    """Move one unit where a class stands on one side only."""
    of_class: dict[int, list[Unit]] = defaultdict(list)
    for unit in units:
        for label in {s.label for s in unit}:
            of_class[label].append(unit)
    for label, name in enumerate(classes):
        own = of_class[label]
        count = sum(s.label == label for unit in own for s in unit)
        if count < 2:
            raise UserError(f"{name}: {count} usable image; each class needs 2 (one to train, one to validate)")
        validating = [unit[0] in chosen for unit in own]
        if any(validating) and not all(validating):
            continue
        movable = [unit for unit in own if {s.label for s in unit} == {label}]  # no other class moves along
        if len(own) < 2 or not movable:
            raise UserError(f"{name}: too few groups hold only its images; each class needs 2 groups")
        smallest = min(movable, key=len)
        if all(validating):
            chosen.difference_update(smallest)
        else:
            chosen.update(smallest)
