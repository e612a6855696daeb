"""Batches of pixels from photographs: decoded ahead by threads, identical for any number of them.

Pillow releases the interpreter lock while it decodes and resizes, so threads suffice, and share one cache
(`benchmarks/input.py` compares them with processes).
"""

from __future__ import annotations

import copy
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenets.data.augment import Augment, View
from mobilenets.data.cache.images import Cache, Shelf
from mobilenets.data.sample import Sample
from mobilenets.data.samples import Indices, Samples
from mobilenets.errors import UsageError
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.decode import UnreadableImage

log = logging.getLogger(__name__)

WORKERS = 2
PREFETCH = 2  # batches

# Random crops are taken from a picture whose short side is at least this multiple of the input's; pixels of a larger
# one are averaged first. Crops of 0.44 of the area and more are then never enlarged, and a 12-megapixel photograph
# takes 0.6 MB of the cache instead of 9.
CROP_MARGIN = 1.5
NO_FRAME = np.array([1, 0, 0, 0, 1, 0], np.float32)
MAX_LOOKED_AT = 8  # photographs, to tell how large the pixels of all will be
MAX_SKIPPED_LINES = 1000  # of a drive that is lost nobody wants a line for each of a million photographs

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Batch:
    """uint8 pixels (N, size, size, C), int64 labels (N,) and which samples of the loader these are, int64 (N,).

    With `after`, the pixels are float16 activations (N, h, w, C) behind that many blocks of the network. `frames`
    float32 (N, 6): where they show the photographs, as `crops.Frame`; None where nothing was augmented.
    """

    pixels: NDArray[Any]
    labels: Indices
    indices: Indices
    after: int | None = None
    frames: NDArray[np.float32] | None = None


class Skipped:
    """Photographs that cannot be read: each is told once."""

    def __init__(self) -> None:
        self._messages: set[str] = set()
        self._lock = threading.Lock()

    def add(self, message: str) -> None:
        """Say that a photograph is left out, and why."""
        with self._lock:
            if message in self._messages or len(self._messages) > MAX_SKIPPED_LINES:
                return
            self._messages.add(message)
            more = len(self._messages) > MAX_SKIPPED_LINES
        log.warning("%s", "skipped more photos that cannot be read" if more else f"skipped {message}")


class Loader:
    """The batches of an epoch, in an order and with augmentations that depend on (seed, epoch) alone.

    Without `augment` the evaluation preprocess is applied. `shuffle` draws a new order for every epoch,
    `balanced` draws every class equally often, with replacement; `drop_last` leaves out an incomplete batch.
    `workers`: threads; 0 decodes in the caller's. `prefetch`: batches decoded ahead; 0 where the arithmetic runs
    on the same cores, as its threads would all wait for the one that has to share its core. `rank` of `world_size`
    processes: each gets its part of every batch; a batch too small for a part of it is left out of that part.

    With `skipped`, a photograph that cannot be read is told there. In training the next one of the epoch is
    shown in its place, so that batches keep their size; an evaluation goes without it. Otherwise it is an error.
    `points`: by label the places (M, 2) in its photographs, 0 to 1, of which a crop shows one at least.
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
        cache: Cache | None = None,
        skipped: Skipped | None = None,
        points: Sequence[NDArray[np.floating]] | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if workers is not None and workers < 0:
            raise UsageError(f"workers: {workers} is negative; use 0 or more")
        self.samples = Samples.of(samples)
        self.labels = self.samples.labels
        self.preprocess, self.augment, self.skipped, self.points = preprocess, augment, skipped, points
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self.drop_last, self.balanced = drop_last, balanced
        self.workers = WORKERS if workers is None else workers
        self.prefetch = prefetch
        # Short side of the pictures that crops are taken from.
        self.working_size = round(CROP_MARGIN * preprocess.size)
        kind = (preprocess.mode, self.working_size, preprocess.range, preprocess.fit) if augment else preprocess
        self._shelf: Shelf | None = cache.shelf(self.samples, kind) if cache else None
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        """Batches per epoch."""
        whole, rest = divmod(len(self.samples), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def order(self, epoch: int) -> Indices:
        """Indices of the epoch's samples."""
        rng = np.random.default_rng((self.seed, epoch))
        if self.balanced:
            weight = 1 / np.bincount(self.labels)[self.labels]
            return rng.choice(len(self.labels), len(self.labels), p=weight / weight.sum())
        return rng.permutation(len(self.labels)) if self.shuffle else np.arange(len(self.labels))

    def jobs(self, start_batch: int = 0) -> list[range]:
        """The positions in the epoch's order that each batch, or this process's part of it, shows."""
        positions = range(len(self.labels))
        batches = (positions[i * self.batch_size :][: self.batch_size] for i in range(start_batch, len(self)))
        return [part for batch in batches if (part := _part(batch, self.rank, self.world_size))]

    def in_order(self) -> Loader:
        """The same photographs and augmentations, each photograph once, in its place, for this process alone."""
        other = copy.copy(self)
        other.shuffle = other.balanced = other.drop_last = False
        other.rank, other.world_size = 0, 1
        return other

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The epoch's batches from `start_batch` on.

        Raises
        ------
        UnreadableImage
            A photograph cannot be read, and there is no `skipped`; or none can be.
        """
        order = self.order(epoch)
        jobs = self.jobs(start_batch)
        for views in _in_order(lambda i: self._shown(order, epoch, i), jobs, self.workers, self.prefetch):
            shown = [view for view in views if view is not None]
            if shown:
                indices = np.array([index for index, _ in shown], np.int64)
                pixels = np.stack([view.pixels for _, view in shown])
                frames = np.stack([view.frame for _, view in shown]) if self.augment else None
                yield Batch(pixels, self.labels[indices], indices, frames=frames)

    def _shown(self, order: Indices, epoch: int, position: int) -> tuple[int, View] | None:
        """What is shown at a position of the epoch: the index of the sample and its pixels."""
        in_training = self.augment is not None or self.shuffle or self.balanced
        first: UnreadableImage | None = None
        for step in range(len(order) if in_training else 1):
            index = int(order[(position + step) % len(order)])
            try:
                return index, self._view(index, epoch, position)
            except UnreadableImage as error:
                if self.skipped is None:
                    raise
                self.skipped.add(str(error))
                first = first or error
        if in_training and first is not None:
            raise first
        return None

    def _view(self, index: int, epoch: int, position: int) -> View:
        pixels = self._shelf.get(index) if self._shelf else None
        if pixels is None:
            pixels = self._pixels(index)
            if self._shelf:
                self._shelf.put(index, pixels)
        if self.augment is None:
            return View(pixels, NO_FRAME)
        # By position, not by index: sampling with replacement shows one picture twice, differently.
        rng = np.random.default_rng((self.seed, epoch, position))
        grey = pixels.shape[2] == 1
        image = Image.fromarray(pixels[:, :, 0] if grey else pixels)
        points = self.points[int(self.labels[index])] if self.points is not None else None
        return self.augment(image, self.preprocess, rng, points)

    def _pixels(self, index: int) -> Pixels:
        """What is kept of a photograph: for evaluation what the network sees, (size, size, C).

        For augmentation the whole picture, no larger than random crops of it need; the same without a cache.
        """
        if self.augment is None:
            return self.preprocess.pixels(self.preprocess.read(self.samples[index].open()))
        image = self.preprocess.read(self.samples[index].open(), min_side=self.working_size).image
        factors = self.preprocess.reducible(*image.size, self.working_size)
        image = image.reduce(factors) if factors != (1, 1) else image
        return np.asarray(image).reshape(image.height, image.width, -1)

    def expected_bytes(self) -> int:
        """About how many bytes a cache of all its pixels takes, from a few photographs that can be read."""
        sizes = []
        for index in np.linspace(0, len(self.samples) - 1, min(len(self.samples), MAX_LOOKED_AT)).astype(int).tolist():
            try:
                sizes.append(self._pixels(index).nbytes)
            except UnreadableImage:
                continue
        return round(len(self.samples) * sum(sizes) / max(len(sizes), 1))


def _part(batch: range, rank: int, world_size: int) -> range:
    return batch[len(batch) * rank // world_size : len(batch) * (rank + 1) // world_size]


def _in_order(
    work: Callable[[int], tuple[int, View] | None], jobs: Sequence[Sequence[int]], workers: int, prefetch: int
) -> Iterator[list[tuple[int, View] | None]]:
    """`work` over the items of each job, in order, `prefetch` jobs ahead."""
    if workers == 0:
        yield from ([work(item) for item in job] for job in jobs)
        return
    pending: deque[list[Future[tuple[int, View] | None]]] = deque()
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
