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
        assert abs(held_out - share * n) <= 2  # rounding, what the strata before left over, and one for every class


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
