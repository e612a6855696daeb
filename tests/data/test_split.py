"""Splitting: a partition, in proportion, with groups intact, from the seed alone."""

import hashlib
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.data.sample import Sample
from mobilenets.data.sources.read import read_splits
from mobilenets.data.split import train_val_split
from mobilenets.errors import UserError
from mobilenets.verbs.demo import write_csv

CLASSES = ("a", "b", "c")


def _samples(counts: dict[tuple[int, str], int]) -> list[Sample]:
    return [
        Sample(Path(f"{label}-{stratum}-{i}.jpg"), label, stratum=stratum)
        for (label, stratum), n in counts.items()
        for i in range(n)
    ]


COUNTS = st.fixed_dictionaries({(label, s): st.integers(2, 40) for label in range(3) for s in ("mono", "poly")})
SHARES = st.floats(0.05, 0.6)


@given(counts=COUNTS, share=SHARES, seed=st.integers(0, 1000))
def test_every_sample_is_on_exactly_one_side(counts: dict, share: float, seed: int) -> None:
    samples = _samples(counts)
    train, val = train_val_split(samples, CLASSES, share, seed)
    assert sorted(map(str, (s.path for s in (*train, *val)))) == sorted(str(s.path) for s in samples)


@given(counts=COUNTS, share=SHARES, seed=st.integers(0, 1000))
def test_every_stratum_is_split_in_proportion(counts: dict, share: float, seed: int) -> None:
    _, val = train_val_split(_samples(counts), CLASSES, share, seed)
    for (label, stratum), n in counts.items():
        held_out = sum((s.label, s.stratum) == (label, stratum) for s in val)
        assert abs(held_out - share * n) < 1 + 1e-6


@given(counts=COUNTS, share=SHARES)
def test_the_whole_is_split_in_proportion(counts: dict, share: float) -> None:
    samples = _samples(counts)
    _, val = train_val_split(samples, CLASSES, share, 0)
    assert abs(len(val) - share * len(samples)) <= 1 + len(CLASSES)


@given(sizes=st.lists(st.integers(1, 6), min_size=8, max_size=20), share=SHARES, seed=st.integers(0, 100))
def test_a_group_never_straddles_the_split(sizes: list[int], share: float, seed: int) -> None:
    samples = [
        Sample(Path(f"{g}-{i}.jpg"), g % 2, group=f"module {g}")
        for g, size in enumerate(sizes)
        for i in range(size + 1)
    ]
    train, val = train_val_split(samples, ("a", "b"), share, seed)
    assert not {s.group for s in train} & {s.group for s in val}


@given(sizes=st.lists(st.integers(1, 30), min_size=8, max_size=40), share=SHARES, seed=st.integers(0, 100))
def test_a_class_is_off_its_share_by_at_most_its_largest_group(sizes: list[int], share: float, seed: int) -> None:
    samples = [
        Sample(Path(f"{g}-{i}.jpg"), g % 2, group=f"module {g}")
        for g, size in enumerate(sizes)
        for i in range(size + 1)
    ]
    _, val = train_val_split(samples, ("a", "b"), share, seed)
    for label in range(2):
        own = [size + 1 for size in sizes[label::2]]
        assert abs(sum(s.label == label for s in val) - share * sum(own)) < max(own) + 1e-6


def _val_counts(samples: list[Sample], share: float, seed: int) -> list[int]:
    _, val = train_val_split(samples, ("a", "b"), share, seed)
    return [sum(s.label == k for s in val) for k in (0, 1)]


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_taken_up_to_the_nearest_count(seed: int) -> None:
    samples = [Sample(Path(f"{i}"), i % 2, group=f"{i % 2}-{i // 20}") for i in range(200)]
    assert _val_counts(samples, 0.18, seed) == [20, 20]  # of ten groups of ten each


@pytest.mark.parametrize("seed", range(5))
def test_a_group_that_does_not_fit_leaves_its_place_to_smaller_ones(seed: int) -> None:
    samples = [Sample(Path(f"a{i}"), 0, group="one" if i < 100 else None) for i in range(150)]
    samples += [Sample(Path(f"b{i}"), 1) for i in range(100)]
    assert _val_counts(samples, 0.2, seed) == [30, 20]


@pytest.mark.parametrize("seed", range(5))
def test_a_class_of_huge_groups_takes_nothing_from_the_others(seed: int) -> None:
    samples = [Sample(Path(f"a{i}"), 0, group=f"half {i % 2}") for i in range(120)]
    samples += [Sample(Path(f"b{i}"), 1) for i in range(100)]
    assert _val_counts(samples, 0.2, seed)[1] in (20, 21)


def test_many_small_strata_add_up_to_the_share() -> None:
    samples = [Sample(Path(f"{i}"), i % 2, stratum=f"{i // 4}") for i in range(200)]  # a hundred strata of two
    assert sum(_val_counts(samples, 0.2, 0)) == 40


@given(
    units=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), min_size=3, max_size=10),
    share=SHARES,
    seed=st.integers(0, 20),
)
def test_groups_across_classes_stay_together_and_every_class_is_trained_on(
    units: list[list[int]], share: float, seed: int
) -> None:
    samples = [
        Sample(Path(f"{g}-{i}"), label, group=f"{g}") for g, unit in enumerate(units) for i, label in enumerate(unit)
    ]
    train, val = train_val_split(samples, CLASSES, share, seed)
    assert {s.label for s in train} == {s.label for s in samples}
    assert not {s.group for s in train} & {s.group for s in val}


def test_the_seed_decides_and_the_order_of_files_does_not() -> None:
    samples = _samples({(k, "x"): 20 for k in range(3)})
    assert train_val_split(samples, CLASSES, 0.2, 1) == train_val_split(samples[::-1], CLASSES, 0.2, 1)
    assert train_val_split(samples, CLASSES, 0.2, 1) != train_val_split(samples, CLASSES, 0.2, 2)


def test_the_smallest_class_stands_on_both_sides() -> None:
    train, val = train_val_split(_samples({(0, ""): 2, (1, ""): 200, (2, ""): 2}), CLASSES, 0.1, 0)
    assert {s.label for s in train} == {s.label for s in val} == {0, 1, 2}


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, 3.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(UserError, match="val"):
        train_val_split(_samples({(0, ""): 9, (1, ""): 9}), ("a", "b"), share, 0)


def test_a_class_of_one_photograph_or_one_group_is_trained_on() -> None:
    train, val = train_val_split(_samples({(0, ""): 9, (1, ""): 1}), ("a", "b"), 0.2, 0)
    assert [s.label for s in train].count(1) == 1
    assert {s.label for s in val} == {0}
    grouped = [Sample(Path(f"{i}.jpg"), i % 2, group="all" if i % 2 else None) for i in range(10)]
    train, val = train_val_split(grouped, ("a", "b"), 0.9, 0)
    assert [s.label for s in train].count(1) == 5
    assert {s.label for s in val} == {0}


def _plain_split(samples: list[Sample], classes: tuple[str, ...], share: float, seed: int) -> tuple[list, list]:
    """The same in lists, without a thought of millions: what the columns of `Samples` have to agree with."""
    ordered = sorted(samples, key=lambda s: str(s.path))
    units: dict[object, list[Sample]] = defaultdict(list)
    for i, sample in enumerate(ordered):
        units[i if sample.group is None else sample.group].append(sample)
    strata: dict[tuple[int, str], list[list[Sample]]] = defaultdict(list)
    for unit in units.values():
        strata[unit[0].label, unit[0].stratum or ""].append(unit)
    rng = np.random.default_rng(seed)
    chosen: set[Sample] = set()
    debt = 0.0
    for key in sorted(strata):
        members = [strata[key][i] for i in rng.permutation(len(strata[key]))]
        due = share * sum(map(len, members))
        most = max(map(len, members)) / 2
        taken: list[Sample] = []
        for unit in members:
            if len(taken) + len(unit) / 2 <= due + min(max(debt, -most), most):
                taken += unit
        chosen.update(taken)
        debt += due - len(taken)
    for label in range(len(classes)):
        own = [unit for unit in units.values() if label in {s.label for s in unit}]
        validating = [unit[0] in chosen for unit in own]
        movable = [unit for unit in own if {s.label for s in unit} == {label}]
        if len(set(validating)) == 1 and len(own) > 1 and movable:
            smallest = min(movable, key=len)
            (chosen.difference_update if all(validating) else chosen.update)(smallest)
    for label in range(len(classes)):
        own = [unit for unit in units.values() if label in {s.label for s in unit}]
        if own and all(unit[0] in chosen for unit in own):
            chosen.difference_update(min(own, key=len))
    return [s for s in ordered if s not in chosen], [s for s in ordered if s in chosen]


SAMPLES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([None, None, *"vwxyz"]), st.sampled_from([None, "mono", "poly"])),
    min_size=3,
    max_size=60,
)


@given(rows=SAMPLES, share=SHARES, seed=st.integers(0, 50))
def test_the_split_is_that_of_plain_lists(rows: list[tuple], share: float, seed: int) -> None:
    samples = [Sample(Path(f"{i % 7}/{i}.jpg"), *row) for i, row in enumerate(rows)]
    assert train_val_split(samples, CLASSES, share, seed) == tuple(_plain_split(samples, CLASSES, share, seed))


@pytest.mark.parametrize(
    ("seed", "digests"),
    [
        (0, ("1135ff832289dec8", "59889b868d593f42")),
        (1, ("02050f018a7b9169", "7083d7b46d1d1e6e")),
        (2, ("d0d8a8bed095bad8", "684614556e4dd184")),
    ],
)
def test_the_demos_split_stays_what_it_was(tmp_path: Path, seed: int, digests: tuple[str, str]) -> None:
    splits = read_splits(write_csv(tmp_path / "cells.csv"), val=0.25, seed=seed)
    names = ["\n".join(s.path.name for s in part) for part in (splits.train, splits.val)]
    assert tuple(hashlib.sha256(text.encode()).hexdigest()[:16] for text in names) == digests


def test_a_photograph_listed_twice_is_on_one_side_only() -> None:
    samples = [Sample(Path(f"{i % 10}.jpg"), i % 2) for i in range(40)]
    train, val = train_val_split(samples, ("a", "b"), 0.3, 0)
    assert len(train) + len(val) == 40
    assert not {s.path for s in train} & {s.path for s in val}
