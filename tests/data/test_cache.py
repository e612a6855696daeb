"""Kept pixels are those of decoding, shared by runs, and never those of another photograph."""

import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.data.augment import Augment
from mobilenets.data.cache import store as store_module
from mobilenets.data.cache.images import DEFAULT_BYTES, Cache, DiskCache, PixelCache, open_cache
from mobilenets.data.cache.store import PixelStore, key_of
from mobilenets.data.loader import Loader
from mobilenets.data.sample import Sample
from mobilenets.preprocess import Preprocess

PREPROCESS = Preprocess(size=16)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    rng = np.random.default_rng(0)
    for i in range(9):
        pixels = rng.integers(0, 256, (40 + 20 * i, 50, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.{'png' if i % 2 else 'jpg'}")
    return [Sample(tmp_path / f"{i}.{'png' if i % 2 else 'jpg'}", i % 2) for i in range(9)]


def _batches(samples: list[Sample], cache: object, augment: Augment | None = None, **options: object) -> bytes:
    loader = Loader(samples, PREPROCESS, 4, augment=augment, cache=cache, **options)
    return b"".join(batch.pixels.tobytes() for epoch in (0, 1) for batch in loader.epoch(epoch))


@pytest.mark.parametrize("augment", [None, Augment()])
@pytest.mark.parametrize("workers", [0, 3])
def test_pixels_from_disk_are_those_of_decoding(samples: list[Sample], augment: Augment | None, workers: int) -> None:
    plain = _batches(samples, None, augment)
    assert _batches(samples, DiskCache(), augment, workers=workers) == plain
    for sample in samples:  # of the same size and time, but no pictures any more: nothing is decoded again
        status = sample.path.stat()
        sample.path.write_bytes(bytes(status.st_size))
        os.utime(sample.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert _batches(samples, DiskCache(), augment, workers=workers) == plain


def test_grey_pictures_are_kept_too(samples: list[Sample]) -> None:
    grey = Preprocess(size=16, mode="L", mean=(0.5,), std=(0.5,))
    loaders = [Loader(samples, grey, 9, augment=Augment(), cache=cache) for cache in (None, DiskCache(), DiskCache())]
    plain, first, second = (next(loader.epoch(0)).pixels for loader in loaders)
    np.testing.assert_array_equal(plain, first)
    np.testing.assert_array_equal(plain, second)


def test_a_replaced_photograph_is_decoded_anew(samples: list[Sample]) -> None:
    before = _batches(samples, DiskCache())
    Image.new("RGB", (60, 60), (9, 9, 9)).save(samples[3].path)
    after = _batches(samples, DiskCache())
    assert after != before
    assert after == _batches(samples, None)


def test_what_is_replaced_while_it_is_decoded_is_not_kept(samples: list[Sample]) -> None:
    cache = DiskCache()
    loader = Loader(samples, PREPROCESS, 4, cache=cache)
    shelf = cache.shelf(loader.samples, PREPROCESS)
    assert shelf.get(0) is None
    Image.new("RGB", (60, 60), (9, 9, 9)).save(samples[0].path)
    shelf.put(0, np.zeros((16, 16, 3), np.uint8))
    assert DiskCache().shelf(loader.samples, PREPROCESS).get(0) is None


@pytest.mark.parametrize("kind", [DiskCache, PixelCache])
def test_within_a_run_photographs_that_vanish_or_are_replaced_stay_what_they_were(
    samples: list[Sample], kind: Callable[[], Cache]
) -> None:
    loader = Loader(samples, PREPROCESS, 9, cache=kind())
    before = next(loader.epoch(0)).pixels.copy()
    samples[2].path.unlink()
    samples[3].path.write_bytes(b"no photo")
    Image.new("RGB", (60, 60), (9, 9, 9)).save(samples[4].path)
    np.testing.assert_array_equal(next(loader.epoch(1)).pixels, before)


def test_damaged_entries_are_decoded_again(samples: list[Sample], home: Path) -> None:
    plain = _batches(samples, DiskCache())
    (content,) = home.rglob("pixels.bin")
    content.write_bytes(bytes(content.stat().st_size))
    assert _batches(samples, DiskCache()) == plain
    assert _batches(samples, DiskCache()) == plain


WRITER = """
import sys
from collections.abc import Callable
from pathlib import Path
import numpy as np
from mobilenets.data.cache.store import PixelStore
store = PixelStore(Path(sys.argv[1]))
for i in range(200):
    key = bytes([i % 100]) * 16
    place = store.find(key)
    if place is None:
        store.add(key, np.full((3 + i % 100, 5, 3), i % 100, np.uint8))
    else:
        assert (store.read(place) == i % 100).all()
"""


def test_concurrent_runs_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "pixels")]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    store = PixelStore(tmp_path / "pixels")
    for i in range(100):
        place = store.find(bytes([i]) * 16)
        assert place is not None
        np.testing.assert_array_equal(store.read(place), np.full((3 + i, 5, 3), i, np.uint8))


def test_a_run_that_is_killed_leaves_what_it_had_entered(tmp_path: Path) -> None:
    code = WRITER + "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "pixels")])
    store = PixelStore(tmp_path / "pixels")
    assert all(store.find(bytes([i]) * 16) is not None for i in range(100))
    assert store.add(b"k" * 16, np.zeros((1, 1, 3), np.uint8)) is not None


def test_a_full_disk_is_told_once_and_costs_nothing_else(samples: list[Sample], capfd) -> None:
    plain = _batches(samples, None)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A file-size limit of the process is what a full disk looks like to it: a write that fails.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        cache = DiskCache()
        big = Loader(samples, Preprocess(size=128), 9, cache=cache)
        kept = [next(big.epoch(epoch)).pixels for epoch in (0, 1)]
        assert _batches(samples, cache) == plain
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    np.testing.assert_array_equal(kept[0], next(Loader(samples, Preprocess(size=128), 9).epoch(0)).pixels)
    np.testing.assert_array_equal(kept[0], kept[1])
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 1, told
    assert "File too large" in told[0]


def test_room_is_left_for_others(samples: list[Sample], monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.setattr(store_module, "RESERVE", 2**60)  # no disk has as much left
    assert _batches(samples, DiskCache()) == _batches(samples, None)
    (told,) = capfd.readouterr().err.splitlines()
    assert "are left on this disk" in told


def test_a_cache_folder_that_cannot_be_used_is_told(samples: list[Sample], home: Path, capfd) -> None:
    home.write_text("a file where the folder should be")
    assert _batches(samples, DiskCache()) == _batches(samples, None)
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_a_cleared_cache_is_made_anew_beside_a_run_that_still_uses_the_old(samples: list[Sample], cli) -> None:
    cache = DiskCache()
    plain = _batches(samples, cache)
    assert "pixels.bin" in cli("cache").stdout
    assert "0.0 MB freed" not in cli("cache", "--clear").stdout
    assert "pixels.bin" not in cli("cache").stdout
    assert _batches(samples, DiskCache()) == plain
    assert _batches(samples, cache) == plain


def test_a_store_opens_again_in_another_process(tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "pixels")
    store.add(b"k" * 16, np.ones((2, 2, 3), np.uint8))
    other = pickle.loads(pickle.dumps(store))  # as the start method `spawn` does
    place = other.find(b"k" * 16)
    assert place is not None
    assert (other.read(place) == 1).all()


def test_a_key_tells_photographs_and_what_was_made_of_them_apart(samples: list[Sample]) -> None:
    kinds = [("RGB", 24), ("L", 24), PREPROCESS, Preprocess(size=17), Preprocess(size=16, crop=1.0)]
    keys = {key_of(sample, kind) for sample in samples for kind in kinds}
    assert len(keys) == len(samples) * len(kinds)
    assert key_of(Sample(samples[0].path.with_name("gone.jpg"), 0), PREPROCESS) is None


@pytest.mark.parametrize(
    ("mode", "expected", "kind"),
    [
        ("off", 1, type(None)),
        ("ram", 2**60, PixelCache),
        ("disk", 1, DiskCache),
        ("auto", DEFAULT_BYTES, PixelCache),
        ("auto", DEFAULT_BYTES + 1, DiskCache),
        ("auto", 2**60, PixelCache),
    ],
)
def test_small_data_is_kept_in_memory_and_large_data_on_disk(mode: str, expected: int, kind: type) -> None:
    assert isinstance(open_cache(mode, expected), kind)
