"""What cannot be read is known before training where that is cheap, and found by the loader where it is not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.data import readable as readable_module
from mobilenets.data.augment import Augment
from mobilenets.data.loader import Loader, Skipped
from mobilenets.data.readable import readable, readable_splits
from mobilenets.data.sample import Sample
from mobilenets.data.samples import Samples, Splits
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.decode import UnreadableImage

PREPROCESS = Preprocess(size=16)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Twelve photographs of two classes; of each class the first is damaged."""
    for i in range(12):
        Image.new("RGB", (20, 20), (20 * i, 0, 0)).save(tmp_path / f"{i:02d}.png")
    for i in (0, 6):
        (tmp_path / f"{i:02d}.png").write_text("no photo")
    return [Sample(tmp_path / f"{i:02d}.png", i // 6) for i in range(12)]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readable_module, "MAX_CHECKED", 10)


def test_of_much_data_each_class_is_tried_until_one_can_be_read(samples: list[Sample], few: None) -> None:
    samples[3].path.write_text("no photo either, but nobody looks")
    usable, problems = readable(samples)
    assert usable == samples
    assert [message.split(":")[0][-6:] for message in problems] == ["00.png", "06.png"]


def test_of_much_data_a_class_that_cannot_be_read_is_left_out(samples: list[Sample], few: None) -> None:
    for sample in samples[:6]:
        sample.path.unlink()
    usable, problems = readable(samples)
    assert usable == samples[6:]
    assert len(problems) == 7


def test_of_much_data_with_a_label_for_each_photo_not_all_are_looked_at(samples: list[Sample], few: None) -> None:
    own = [Sample(sample.path, i) for i, sample in enumerate(samples)]
    samples[1].path.write_text("no photo either, but nobody looks")
    usable, problems = readable(own)
    assert [message.split(":")[0][-6:] for message in problems] == ["00.png", "06.png"]
    assert len(usable) == 10, "what was looked at and cannot be read is left out"


class Looks:
    """Whoever reads a photograph for a purpose of its own: of class 1 only."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, sample: Sample) -> bool:
        self.asked.append(sample.path.name)
        return sample.label == 1


def test_what_somebody_else_could_read_is_not_opened_again(samples: list[Sample]) -> None:
    look = Looks()
    usable, problems = readable(samples, measure=look)
    assert sorted(look.asked) == [f"{i:02d}.png" for i in range(12)]
    assert [message.split(":")[0][-6:] for message in problems] == ["00.png"]
    assert len(usable) == 11


@pytest.mark.parametrize(("test", "asked"), [(1, 9), (2, 0)])
def test_only_data_that_is_opened_in_whole_is_looked_at_by_others(
    samples: list[Sample], few: None, test: int, asked: int
) -> None:
    train, val, look = samples[1:4] + samples[7:10], samples[4:6] + samples[10:11], Looks()
    splits = Splits(("daisy", "rose"), *map(Samples.of, (train, val, samples[1 : 1 + test])))
    readable_splits(splits, Skipped(), measure=look)
    assert len(look.asked) == asked


def _shown(loader: Loader, epoch: int = 0) -> list[list[int]]:
    return [batch.indices.tolist() for batch in loader.epoch(epoch)]


def test_an_evaluation_goes_without_what_cannot_be_read(samples: list[Sample], capsys) -> None:
    loader = Loader(samples, PREPROCESS, 5, skipped=Skipped())
    for epoch in range(2):
        assert _shown(loader, epoch) == [[1, 2, 3, 4], [5, 7, 8, 9], [10, 11]]
        for batch in loader.epoch(epoch):
            assert batch.labels.tolist() == [i // 6 for i in batch.indices]
            assert batch.pixels[:, 0, 0, 0].tolist() == [20 * i for i in batch.indices]
    told = capsys.readouterr().err.splitlines()
    # Each once, in the order in which two threads come to them.
    assert sorted(line.split(":")[0].split("/")[-1] for line in told) == ["00.png", "06.png"]


def test_a_batch_of_which_nothing_can_be_read_is_left_out(samples: list[Sample]) -> None:
    assert _shown(Loader(samples, PREPROCESS, 1, skipped=Skipped())) == [[i] for i in range(12) if i not in (0, 6)]


@pytest.mark.parametrize("workers", [0, 3])
def test_in_training_the_next_photograph_of_the_epoch_takes_the_place(samples: list[Sample], workers: int) -> None:
    options = {"augment": Augment(), "shuffle": True, "workers": workers, "skipped": Skipped()}
    loader = Loader(samples, PREPROCESS, 4, **options)
    for epoch in range(4):
        order = loader.order(epoch).tolist()
        expected = [next(k for k in order[i:] + order if k not in (0, 6)) for i in range(12)]
        assert [k for batch in _shown(loader, epoch) for k in batch] == expected
    batches = [batch.pixels for batch in loader.epoch(1)]
    again = [batch.pixels for batch in loader.epoch(1, start_batch=1)]
    assert all(np.array_equal(a, b) for a, b in zip(batches[1:], again, strict=True))


def test_training_on_nothing_ends(samples: list[Sample]) -> None:
    for sample in samples:
        sample.path.unlink()
    with pytest.raises(UnreadableImage):
        list(Loader(samples, PREPROCESS, 4, shuffle=True, skipped=Skipped()).epoch(0))


def test_a_lost_drive_is_not_told_a_thousand_times(tmp_path: Path, capsys) -> None:
    gone = [Sample(tmp_path / f"{i}.jpg", 0) for i in range(1500)]
    assert list(Loader(gone, PREPROCESS, 50, skipped=Skipped()).epoch(0)) == []
    assert len(capsys.readouterr().err.splitlines()) == 1001
