"""Batches of pixels from photographs: decoded ahead by threads, identical for any number of them.

Pillow releases the interpreter lock while it decodes and resizes, so threads suffice, and share one cache.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
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
        # A random crop shows a part of the picture at full size: keep more pixels than its centre view needs.
        self._at_least = round(1.5 * preprocess.resize_side) if augment else preprocess.resize_side

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
        parts = [order[i * self.batch_size :][: self.batch_size] for i in range(start_batch, len(self))]
        positions = range(start_batch * self.batch_size, len(order), self.batch_size)
        jobs = [list(enumerate(part, start)) for part, start in zip(parts, positions, strict=False)]
        views = _in_order(lambda job: self._view(job[1], epoch, job[0]), jobs, self.workers, self.prefetch)
        for part, pixels in zip(parts, views, strict=True):
            yield Batch(np.stack(pixels), self.labels[part])

    def _view(self, index: int, epoch: int, position: int) -> NDArray[np.uint8]:
        image = self._decoded(self.samples[index])
        if self.augment is None:
            return self.preprocess.pixels(image)
        # By position, not by index: sampling with replacement shows one picture twice, differently.
        return self.augment(image, self.preprocess, np.random.default_rng((self.seed, epoch, position)))

    def _decoded(self, sample: Sample) -> Image.Image:
        kept = self.cache.get(sample.path, self._at_least) if self.cache else None
        if kept is not None:
            return kept
        mode: Any = self.preprocess.mode
        image = images.read(sample.path, at_least=self._at_least, mode=mode)
        if self.cache:
            self.cache.put(sample.path, self._at_least, image)
        return image


def _in_order(
    work: Callable[[Any], NDArray[np.uint8]], jobs: Sequence[Sequence[Any]], workers: int, prefetch: int
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
