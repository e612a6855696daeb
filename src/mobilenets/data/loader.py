"""Batches of pixels from photographs: decoded ahead by threads, identical for any number of them.

Pillow releases the interpreter lock while it decodes and resizes, so threads suffice, and share one cache.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenets import images
from mobilenets.data.augment import Augment
from mobilenets.data.cache import PixelCache
from mobilenets.data.sample import Sample
from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess
from mobilenets.progress import Progress

WORKERS = 2
PREFETCH = 2  # batches

# Random crops are taken from a picture whose short side is at least this multiple of the input's; pixels of a larger
# one are averaged first. Crops of 0.44 of the area and more are then never enlarged, and a 12-megapixel photograph
# takes 0.6 MB of the cache instead of 9.
CROP_MARGIN = 1.5


@dataclass(frozen=True)
class Batch:
    """uint8 pixels (N, size, size, C) and int64 labels (N,)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


class Loader:
    """The batches of an epoch, in an order and with augmentations that depend on (seed, epoch) alone.

    Without `augment` the evaluation preprocess is applied. `shuffle` draws a new order for every epoch,
    `balanced` draws every class equally often, with replacement; `drop_last` leaves out an incomplete batch.
    `workers`: threads; 0 decodes in the caller's. `prefetch`: batches decoded ahead; 0 where the arithmetic runs
    on the same cores, as its threads would all wait for the one that has to share its core.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        preprocess: Preprocess,
        batch_size: int,
        *,
        augment: Augment | None = None,
        seed: int = 0,
        workers: int | None = None,
        prefetch: int = PREFETCH,
        shuffle: bool = False,
        drop_last: bool = False,
        balanced: bool = False,
        cache: PixelCache | None = None,
    ) -> None:
        if workers is not None and workers < 0:
            raise UserError(f"workers: {workers} is negative; use 0 or more")
        self.samples = tuple(samples)
        self.labels: NDArray[np.int64] = np.array([s.label for s in samples], np.int64)
        self.preprocess, self.augment, self.cache = preprocess, augment, cache
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self.drop_last, self.balanced = drop_last, balanced
        self.workers = WORKERS if workers is None else workers
        self.prefetch = prefetch

    def __len__(self) -> int:
        """Batches per epoch."""
        whole, rest = divmod(len(self.samples), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Indices of the epoch's samples."""
        rng = np.random.default_rng((self.seed, epoch))
        if self.balanced:
            share = 1 / np.bincount(self.labels)[self.labels]
            return rng.choice(len(self.labels), len(self.labels), p=share / share.sum())
        return rng.permutation(len(self.labels)) if self.shuffle else np.arange(len(self.labels))

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The epoch's batches from `start_batch` on.

        Raises:
            UnreadableImage: a file that could be read before no longer can.
        """
        order = self.order(epoch)
        positions = range(len(order))
        jobs = [positions[i * self.batch_size :][: self.batch_size] for i in range(start_batch, len(self))]
        views = _in_order(lambda i: self._view(order[i], epoch, i), jobs, self.workers, self.prefetch)
        for job, pixels in zip(jobs, views, strict=True):
            yield Batch(np.stack(pixels), self.labels[order[job.start : job.stop]])

    def _view(self, index: int, epoch: int, position: int) -> NDArray[np.uint8]:
        path = self.samples[index].path
        if self.augment is None:
            return self._kept((path, self.preprocess), lambda: self.preprocess.pixels(self._read(path)))
        # By position, not by index: sampling with replacement shows one picture twice, differently.
        rng = np.random.default_rng((self.seed, epoch, position))
        return self.augment(self._to_crop(path), self.preprocess, rng)

    def _to_crop(self, path: Path) -> Image.Image:
        """The whole picture, no larger than random crops of it need, whether it comes from the cache or not."""
        at_least = round(CROP_MARGIN * self.preprocess.size)

        def pixels() -> NDArray[np.uint8]:
            image = self._read(path, at_least)
            factor = min(image.size) // at_least
            return np.asarray(image.reduce(factor) if factor > 1 else image)

        return Image.fromarray(self._kept((path, self.preprocess.mode, at_least), pixels))

    def _read(self, path: Path, at_least: int | None = None) -> Image.Image:
        mode: Any = self.preprocess.mode
        return images.read(path, at_least=at_least or self.preprocess.resize_side, mode=mode)

    def _kept(self, key: Hashable, make: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        if self.cache is None:
            return make()
        pixels = self.cache.get(key)
        if pixels is None:
            pixels = make()
            self.cache.put(key, pixels)
        return pixels


def _in_order(
    work: Callable[[int], NDArray[np.uint8]], jobs: Sequence[Sequence[int]], workers: int, prefetch: int
) -> Iterator[list[NDArray[np.uint8]]]:
    """`work` over the items of each job, in order, `prefetch` jobs ahead."""
    if workers == 0:
        yield from ([work(item) for item in job] for job in jobs)
        return
    pending: deque[list[Future[NDArray[np.uint8]]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for job in jobs:
                pending.append([pool.submit(work, item) for item in job])
                if len(pending) > prefetch:
                    yield [future.result() for future in pending.popleft()]
            while pending:
                yield [future.result() for future in pending.popleft()]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def readable(samples: Sequence[Sample], workers: int = WORKERS) -> tuple[tuple[Sample, ...], list[str]]:
    """The samples whose file decodes, and a message for each of the others.

    Every file is decoded once, at reduced scale where the format allows: training must not die of one in
    its third epoch.
    """

    def problem(sample: Sample) -> str | None:
        try:
            images.read(sample.path, at_least=1)
        except UserError as error:
            return str(error)
        return None

    problems: list[str | None] = []
    with Progress("checking images", len(samples), "image") as progress, ThreadPoolExecutor(workers) as pool:
        chunk = 64
        for i in range(math.ceil(len(samples) / chunk)):
            problems += pool.map(problem, samples[i * chunk :][:chunk])
            progress.advance(len(samples[i * chunk :][:chunk]))
    kept = tuple(s for s, found in zip(samples, problems, strict=True) if found is None)
    return kept, [found for found in problems if found is not None]
