"""Seeded, stratified, grouped: which photographs validate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mobilenets.data.sample import Sample
from mobilenets.errors import UserError


def split(
    samples: Sequence[Sample], classes: Sequence[str], share: float, seed: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Part `samples` into (train, validation), with about `share` of every stratum in the second.

    A stratum is a class, or a class and the sample's `stratum`. Samples of one group stay together; a group
    counts for the stratum of its first sample. The result depends on paths, labels and `seed`, not on the
    order of `samples`.

    Raises:
        UserError: `share` outside (0, 1), or a class too small (or in too few groups) for both parts.
    """
    if not 0 < share < 1:
        raise UserError(f"val: {share} is not a share; use a number between 0 and 1, for example 0.2")
    ordered = sorted(samples, key=lambda s: str(s.path))
    units: dict[object, list[Sample]] = defaultdict(list)
    for i, sample in enumerate(ordered):
        units[i if sample.group is None else sample.group].append(sample)
    strata: dict[tuple[int, str], list[list[Sample]]] = defaultdict(list)
    for unit in units.values():
        strata[unit[0].label, unit[0].stratum or ""].append(unit)

    rng = np.random.default_rng(seed)
    chosen: set[Sample] = set()
    debt = 0.0  # what rounding has left out so far, so that many small strata add up to `share` too
    for key in sorted(strata):
        members = [strata[key][i] for i in rng.permutation(len(strata[key]))]
        wanted = share * sum(map(len, members)) + debt
        taken = 0
        for unit in members:
            if taken + len(unit) / 2 > wanted:
                break
            chosen.update(unit)
            taken += len(unit)
        debt = wanted - taken
    _give_every_class_both_parts(ordered, list(units.values()), classes, chosen)
    train = tuple(s for s in ordered if s not in chosen)
    return train, tuple(s for s in ordered if s in chosen)


def _give_every_class_both_parts(
    samples: Sequence[Sample], units: list[list[Sample]], classes: Sequence[str], chosen: set[Sample]
) -> None:
    """Move one unit where a class stands on one side only."""
    for label, name in enumerate(classes):
        own = [s for s in samples if s.label == label]
        if len(own) < 2:
            raise UserError(f"{name}: {len(own)} usable image; each class needs 2 (one to train, one to validate)")
        validating = sum(s in chosen for s in own)
        if 0 < validating < len(own):
            continue
        movable = [unit for unit in units if {s.label for s in unit} == {label}]
        if len(movable) < 2:
            raise UserError(f"{name}: all its images are of one group; each class needs 2 groups")
        smallest = min(movable, key=len)
        if validating:
            chosen.difference_update(smallest)
        else:
            chosen.update(smallest)
