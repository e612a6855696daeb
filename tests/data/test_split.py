"""Splitting: a partition, in proportion, with groups intact, from the seed alone."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.data.sample import Sample
from mobilenets.data.split import split
from mobilenets.errors import UserError

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
    train, val = split(samples, CLASSES, share, seed)
    assert sorted(map(str, (s.path for s in (*train, *val)))) == sorted(str(s.path) for s in samples)


@given(counts=COUNTS, share=SHARES, seed=st.integers(0, 1000))
def test_every_stratum_is_split_in_proportion(counts: dict, share: float, seed: int) -> None:
    _, val = split(_samples(counts), CLASSES, share, seed)
    for (label, stratum), n in counts.items():
        held_out = sum((s.label, s.stratum) == (label, stratum) for s in val)
        assert abs(held_out - share * n) < 1 + 1e-6


@given(counts=COUNTS, share=SHARES)
def test_the_whole_is_split_in_proportion(counts: dict, share: float) -> None:
    samples = _samples(counts)
    _, val = split(samples, CLASSES, share, 0)
    assert abs(len(val) - share * len(samples)) <= 1 + len(CLASSES)


@given(sizes=st.lists(st.integers(1, 6), min_size=8, max_size=20), share=SHARES, seed=st.integers(0, 100))
def test_a_group_never_straddles_the_split(sizes: list[int], share: float, seed: int) -> None:
    samples = [
        Sample(Path(f"{g}-{i}.jpg"), g % 2, group=f"module {g}")
        for g, size in enumerate(sizes)
        for i in range(size + 1)
    ]
    train, val = split(samples, ("a", "b"), share, seed)
    assert not {s.group for s in train} & {s.group for s in val}


@given(sizes=st.lists(st.integers(1, 30), min_size=8, max_size=40), share=SHARES, seed=st.integers(0, 100))
def test_a_class_is_off_its_share_by_at_most_its_largest_group(sizes: list[int], share: float, seed: int) -> None:
    samples = [
        Sample(Path(f"{g}-{i}.jpg"), g % 2, group=f"module {g}")
        for g, size in enumerate(sizes)
        for i in range(size + 1)
    ]
    _, val = split(samples, ("a", "b"), share, seed)
    for label in range(2):
        own = [size + 1 for size in sizes[label::2]]
        assert abs(sum(s.label == label for s in val) - share * sum(own)) < max(own) + 1e-6


def _val_counts(samples: list[Sample], share: float, seed: int) -> list[int]:
    _, val = split(samples, ("a", "b"), share, seed)
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
def test_groups_across_classes_leave_every_class_on_both_sides_or_are_refused(
    units: list[list[int]], share: float, seed: int
) -> None:
    samples = [
        Sample(Path(f"{g}-{i}"), label, group=f"{g}") for g, unit in enumerate(units) for i, label in enumerate(unit)
    ]
    try:
        train, val = split(samples, CLASSES, share, seed)
    except UserError:
        return
    assert {s.label for s in train} == {s.label for s in val} == {0, 1, 2}
    assert not {s.group for s in train} & {s.group for s in val}


def test_the_seed_decides_and_the_order_of_files_does_not() -> None:
    samples = _samples({(k, "x"): 20 for k in range(3)})
    assert split(samples, CLASSES, 0.2, 1) == split(samples[::-1], CLASSES, 0.2, 1)
    assert split(samples, CLASSES, 0.2, 1) != split(samples, CLASSES, 0.2, 2)


def test_the_smallest_class_stands_on_both_sides() -> None:
    train, val = split(_samples({(0, ""): 2, (1, ""): 200, (2, ""): 2}), CLASSES, 0.1, 0)
    assert {s.label for s in train} == {s.label for s in val} == {0, 1, 2}


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, 3.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(UserError, match="val"):
        split(_samples({(0, ""): 9, (1, ""): 9}), ("a", "b"), share, 0)


def test_a_class_of_one_photograph_or_one_group_is_told_by_name() -> None:
    with pytest.raises(UserError, match="b: 1 usable image"):
        split(_samples({(0, ""): 9, (1, ""): 1}), ("a", "b"), 0.2, 0)
    grouped = [Sample(Path(f"{i}.jpg"), i % 2, group=f"g{i % 2}") for i in range(10)]
    with pytest.raises(UserError, match="2 groups"):
        split(grouped, ("a", "b"), 0.2, 0)
