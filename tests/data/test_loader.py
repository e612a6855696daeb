"""Batches depend on seed and epoch, never on threads, caches or where an epoch was taken up again."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.data.augment import Augment
from mobilenets.data.cache.images import PixelCache
from mobilenets.data.loader import Loader
from mobilenets.data.readable import readable
from mobilenets.data.sample import Sample
from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.decode import UnreadableImage

PREPROCESS = Preprocess(size=16)
AUGMENT = Augment(vflip=0.5, rot90=True, jitter=0.3, trivial=True, erase=0.5)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = tmp_path_factory.mktemp("loader")
    rng = np.random.default_rng(0)
    for i in range(11):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(folder / f"{i}.jpg")
    return [Sample(folder / f"{i}.jpg", int(i > 7)) for i in range(11)]


def _pixels(loader: Loader, epoch: int = 0, start: int = 0) -> list[np.ndarray]:
    return [batch.pixels for batch in loader.epoch(epoch, start)]


def _equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("cached", [False, True])
def test_threads_and_caches_change_nothing(samples: list[Sample], workers: int, cached: bool) -> None:
    plain = Loader(samples, PREPROCESS, 4, augment=AUGMENT, seed=5, workers=0, shuffle=True)
    cache = PixelCache() if cached else None
    for prefetch in (0, 2):
        options = {"augment": AUGMENT, "seed": 5, "shuffle": True, "cache": cache}
        other = Loader(samples, PREPROCESS, 4, workers=workers, prefetch=prefetch, **options)
        for epoch in (0, 1, 0):
            assert _equal(_pixels(plain, epoch), _pixels(other, epoch))


def test_epochs_and_seeds_differ(samples: list[Sample]) -> None:
    one, two = (Loader(samples, PREPROCESS, 4, augment=AUGMENT, seed=seed) for seed in (1, 2))
    assert not _equal(_pixels(one, 0), _pixels(one, 1))
    assert not _equal(_pixels(one, 0), _pixels(two, 0))


def test_an_epoch_taken_up_again_goes_on_identically(samples: list[Sample]) -> None:
    loader = Loader(samples, PREPROCESS, 2, augment=AUGMENT, shuffle=True)
    assert _equal(_pixels(loader, 3)[2:], _pixels(loader, 3, start=2))


def test_without_augmentation_pixels_are_those_of_prediction(samples: list[Sample]) -> None:
    batch = next(iter(Loader(samples, PREPROCESS, 11).epoch(0)))
    expected = [PREPROCESS.pixels(Image.open(s.path)) for s in samples]
    np.testing.assert_array_equal(batch.pixels, expected)
    assert (batch.pixels.dtype, batch.labels.dtype) == (np.uint8, np.int64)
    assert batch.labels.tolist() == [s.label for s in samples]


@pytest.mark.parametrize(("drop", "sizes"), [(False, [4, 4, 3]), (True, [4, 4])])
def test_the_last_batch_is_kept_or_dropped(samples: list[Sample], drop: bool, sizes: list[int]) -> None:
    loader = Loader(samples, PREPROCESS, 4, drop_last=drop)
    assert [len(p) for p in _pixels(loader)] == sizes
    assert len(loader) == len(sizes)


def test_shuffling_shows_every_sample_once(samples: list[Sample]) -> None:
    loader = Loader(samples, PREPROCESS, 4, shuffle=True)
    assert sorted(loader.order(0)) == list(range(11))
    assert list(loader.order(0)) != list(loader.order(1))


def test_balanced_sampling_shows_classes_equally_often(samples: list[Sample]) -> None:
    loader = Loader(samples, PREPROCESS, 4, balanced=True)
    shown = np.concatenate([loader.labels[loader.order(epoch)] for epoch in range(200)])
    assert 0.46 < shown.mean() < 0.54  # of 3 in 11


def test_a_file_that_vanishes_is_named(samples: list[Sample], tmp_path: Path) -> None:
    gone = [*samples[:3], Sample(tmp_path / "gone.jpg", 0)]
    with pytest.raises(UnreadableImage, match=r"gone\.jpg"):
        _pixels(Loader(gone, PREPROCESS, 2))


def test_unreadable_files_are_told_from_readable_ones(samples: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    kept, problems = readable([samples[0], Sample(tmp_path / "text.jpg", 1), samples[1]])
    assert kept == (samples[0], samples[1])
    assert len(problems) == 1
    assert "text.jpg" in problems[0]


def test_a_negative_number_of_workers_is_refused(samples: list[Sample]) -> None:
    with pytest.raises(UserError, match="workers"):
        Loader(samples, PREPROCESS, 4, workers=-1)


def test_the_cache_stays_within_its_budget() -> None:
    cache = PixelCache(budget=1000)
    small, large = np.zeros((10, 10, 3), np.uint8), np.ones((20, 20, 3), np.uint8)
    cache.put("small", small)
    cache.put("large", large)
    cache.put("small", small.copy())
    assert cache.get("small") is small
    assert cache.get("large") is None


def test_a_full_cache_changes_nothing(samples: list[Sample]) -> None:
    two_pictures = PixelCache(budget=2 * 40 * 50 * 3)
    plain, tight = (Loader(samples, PREPROCESS, 4, augment=AUGMENT, cache=cache) for cache in (None, two_pictures))
    assert _equal(_pixels(plain), _pixels(tight))
    assert _equal(_pixels(plain), _pixels(tight))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Photographs a random crop needs only a part of the pixels of, one per way of decoding."""
    folder = tmp_path_factory.mktemp("large")
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    photo = Image.fromarray(noise).resize((1203, 901), Image.Resampling.BICUBIC)
    for name in ("a.jpg", "b.png"):
        photo.save(folder / name)
    return [Sample(folder / name, 0) for name in ("a.jpg", "b.png")]


def test_of_large_photographs_the_cache_keeps_what_crops_need(large: list[Sample]) -> None:
    room = PixelCache(budget=2 * 100 * 75 * 3)  # the photographs have 1203 × 901 pixels
    plain, cached = (Loader(large, Preprocess(size=32), 2, augment=AUGMENT, cache=cache) for cache in (None, room))
    assert _equal(_pixels(plain, 0), _pixels(cached, 0))
    for sample in large:
        sample.path.rename(sample.path.with_suffix(".away"))  # from here on only the cache has them
    again = _pixels(cached, 1)
    for sample in large:
        sample.path.with_suffix(".away").rename(sample.path)
    assert _equal(_pixels(plain, 1), again)


def test_reduced_photographs_are_cropped_to_the_same_picture(large: list[Sample]) -> None:
    augment, preprocess = Augment(crop_scale=(0.3, 0.9)), Preprocess(size=32)
    batch = next(Loader(large, preprocess, 2, augment=augment).epoch(0))
    for position, (sample, pixels) in enumerate(zip(large, batch.pixels, strict=True)):
        photo = Image.open(sample.path)
        same, other = (augment(photo, preprocess, np.random.default_rng((0, e, position))).pixels for e in (0, 1))
        assert np.abs(pixels.astype(int) - same).mean() < 12  # grey levels
        assert np.abs(pixels.astype(int) - other).mean() > 40


def test_one_cache_serves_loaders_that_want_different_pixels(large: list[Sample]) -> None:
    grey = Preprocess(size=16, mode="L", mean=(0.5,), std=(0.5,))
    cache = PixelCache()
    for preprocess in (grey, Preprocess(size=16), Preprocess(size=24)):
        for augment in (None, AUGMENT):
            plain, shared = (Loader(large, preprocess, 4, augment=augment, cache=c) for c in (None, cache))
            assert _equal(_pixels(plain), _pixels(shared))
            assert _equal(_pixels(plain), _pixels(shared))
