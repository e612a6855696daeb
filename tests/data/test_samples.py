"""Samples are a sequence like any other, in a fraction of the memory."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mobilenets.data.sample import Sample
from mobilenets.data.samples import Samples

NAMES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8), max_size=12)


@given(names=NAMES, group=st.sampled_from([None, "g"]), stratum=st.sampled_from([None, "", "s"]))
def test_what_goes_in_comes_out(names: list[str], group: str | None, stratum: str | None) -> None:
    samples = [Sample(Path("folder", name), i, group if i % 2 else None, stratum) for i, name in enumerate(names)]
    assert Samples.of(samples) == samples
    assert list(Samples.of(samples)[1:]) == samples[1:]
    assert Samples.of(samples).labels.tolist() == [s.label for s in samples]


@given(names=NAMES)
def test_sorting_is_that_of_path_strings(names: list[str]) -> None:
    samples = [Sample(Path("folder", name), 0) for name in names]
    order, repeated = Samples.of(samples).by_path()
    assert [str(samples[i].path) for i in order] == sorted(str(s.path) for s in samples)
    assert repeated.sum() == len(samples) - len({s.path for s in samples})


@given(names=NAMES, cut=st.integers(0, 12), group=st.sampled_from([None, "g"]))
def test_what_was_taken_apart_can_be_joined(names: list[str], cut: int, group: str | None) -> None:
    samples = [Sample(Path("folder", name), i, group if i % 2 else None) for i, name in enumerate(names)]
    columns = Samples.of(samples)
    assert Samples.joined([columns[:cut], columns[cut:]]) == samples
    assert Samples.joined([Samples.of(samples[:cut]), columns[cut:]]) == samples  # of another reading


def test_repeated_ones_stand_one_after_the_other() -> None:
    samples = Samples.of([Sample(Path(f"{name}.jpg"), k) for k, name in enumerate("ab")])
    assert [sample.path.stem for sample in samples.repeated(3)] == list("ababab")
    assert samples.repeated(1) == samples


def test_names_that_are_not_text_are_kept_and_sorted_as_strings() -> None:
    names = [os.fsdecode(b"caf\xe9.jpg"), "caf\uffff.jpg", "cafz.jpg", "\ud7ff.jpg"]
    samples = Samples.of([Sample(Path(name), 0) for name in names])
    assert [s.path.name for s in samples] == names
    assert [names[i] for i in samples.by_path()[0]] == sorted(names)


@given(counts=st.lists(st.integers(1, 60), min_size=1, max_size=5), most=st.integers(1, 80))
def test_spreading_keeps_order_classes_and_proportions(counts: list[int], most: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    samples = Samples.of([Sample(Path(f"{i:04d}"), int(label)) for i, label in enumerate(labels)])
    some = samples.spread(most)
    assert [s.path for s in some] == sorted(s.path for s in some)
    for label, count in enumerate(counts):
        share = count * min(1, most / sum(counts))
        assert share - 1e-9 <= (some.labels == label).sum() < share + 1


@pytest.mark.parametrize(
    ("count", "different"), [pytest.param(1_000_000, True, marks=pytest.mark.slow), (200_000, True), (100_000, False)]
)
def test_very_many_rows_take_little_memory_up_to_the_first_batch(tmp_path: Path, count: int, different: bool) -> None:
    (tmp_path / "pool").mkdir()
    for i in range(100):
        Image.new("RGB", (32, 32), (i, 0, 0)).save(tmp_path / "pool" / f"{i:02d}.jpg")
    for i in range(10_000 if different else 1):  # ten thousand names of one folder are a million of photographs
        (tmp_path / f"{i:04d}").symlink_to("pool")
    table = tmp_path / "million.csv"
    with table.open("w") as file:
        file.write("path,label\n")
        for i in range(count):
            k = i * 7919 % count  # each once, in no order
            file.write(f"{k // 100 if different else 0:04d}/{k % 100:02d}.jpg,class {k % 10}\n")
    result = subprocess.run(
        [sys.executable, "-c", GROWTH, str(table), str(count)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    batches, megabytes = map(float, result.stdout.split())
    assert batches > 0.024 * count
    assert megabytes < 20 + 280 * count / 1_000_000  # the rows as objects alone are 360 for a million
    assert ("rows repeat a photo" in result.stderr) == (not different)


GROWTH = """
import sys
from pathlib import Path
from mobilenets.data.augment import Augment
from mobilenets.data.cache.images import PixelCache
from mobilenets.data.loader import Loader, Skipped
from mobilenets.data.readable import readable
from mobilenets.data.sources.read import read_splits
from mobilenets.preprocess import Preprocess
from mobilenets.system.memory import peak_mb

before = peak_mb()
splits = read_splits(Path(sys.argv[1]))
train, problems = readable(splits.train)
assert len(splits.train) + len(splits.val) == int(sys.argv[2]) and not problems, problems[:3]
options = {"augment": Augment(), "shuffle": True, "cache": PixelCache(), "skipped": Skipped()}
loader = Loader(train, Preprocess(size=32), 32, **options)
next(loader.epoch(0))
print(len(loader), peak_mb() - before)
"""
