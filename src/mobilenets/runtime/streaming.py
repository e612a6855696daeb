"""Pictures through an engine, one batch after another, in threads: in order and in constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import numpy as np

from mobilenets.runtime.base import Engine, Pixels, available_cores

S = TypeVar("S")  # what a picture is made of
F = TypeVar("F")  # why there is none
R = TypeVar("R")  # what is wanted of each
Compute = Callable[[Engine, Pixels], Iterable[R]]  # of pixels (N, H, W, C) of one size


def stream(
    compute: Compute[R],
    engine: Engine,
    pixels_of: Callable[[S], Pixels | F],
    sources: Iterable[S],
    batch: int,
    workers: int | None,
) -> Iterator[tuple[S, R | F]]:
    """Each source with what is computed of it, or why it has no pixels.

    `workers` threads (None: one per core) each decode `batch` pictures and run them.
    """
    from concurrent.futures import Future, ThreadPoolExecutor  # not for a single picture

    workers = workers or available_cores()
    remaining = iter(sources)
    pending: deque[Future[list[tuple[S, R | F]]]] = deque()

    def run(group: list[S]) -> list[tuple[S, R | F]]:
        decoded = [pixels_of(source) for source in group]
        rows = each(compute, engine, [pixels for pixels in decoded if isinstance(pixels, np.ndarray)])
        found = (next(rows) if isinstance(pixels, np.ndarray) else pixels for pixels in decoded)
        return list(zip(group, found, strict=True))

    with ThreadPoolExecutor(workers) as pool:
        try:
            while group := list(islice(remaining, batch)):
                pending.append(pool.submit(run, group))
                if len(pending) >= 2 * workers:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def each(compute: Compute[R], engine: Engine, images: list[Pixels]) -> Iterator[R]:
    """What is computed of each picture, together where they are of one size."""
    if engine.accepts_full_image:  # of sizes of their own
        return (row for image in images for row in compute(engine, image[None]))
    return iter(compute(engine, np.stack(images)) if images else ())
