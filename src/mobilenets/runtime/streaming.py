"""Pictures through an engine, one batch after another, in threads: in order and in constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import numpy as np

from mobilenets.runtime.base import Engine, Pixels, available_cores
from mobilenets.runtime.row import Failure

S = TypeVar("S")  # what a picture is made of
N = TypeVar("N")  # what an engine takes of one
R = TypeVar("R")  # what is wanted of each
Compute = Callable[[Engine, Pixels], Iterable[R]]  # of pixels (N, H, W, C) of one size


def stream(
    compute: Callable[[list[N]], Iterator[R]],
    input_of: Callable[[S], N | Failure],
    sources: Iterable[S],
    batch: int,
    workers: int | None,
) -> Iterator[tuple[S, R | Failure]]:
    """Each source with what is computed of it, or why it cannot be read.

    `workers` threads (None: one per core) each decode `batch` pictures and run them.
    """
    from concurrent.futures import Future, ThreadPoolExecutor  # not for a single picture

    workers = workers or available_cores()
    remaining = iter(sources)
    pending: deque[Future[list[tuple[S, R | Failure]]]] = deque()

    def run(group: list[S]) -> list[tuple[S, R | Failure]]:
        inputs = [input_of(source) for source in group]
        rows = compute([one for one in inputs if not isinstance(one, Failure)])
        found = (one if isinstance(one, Failure) else next(rows) for one in inputs)
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
