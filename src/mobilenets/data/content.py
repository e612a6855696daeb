"""What tells the content of a photograph from any other: its size and the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.sample import Sample
from mobilenets.data.samples import Samples
from mobilenets.errors import UserError
from mobilenets.system.progress import Progress

DIGEST_BYTES = 32  # of a SHA-256
UNKNOWN_SIZE = -1  # of what was not read
_THREADS = 4  # reading waits for the disk, and hashing gives the interpreter's lock up
_BATCH = 256
_SHOWN_FROM = 2_000  # fewer are done before anybody wonders
_CHUNK = 2**20

Sizes = NDArray[np.int64]
Digests = NDArray[np.uint8]
Value = TypeVar("Value")


def content_digests(samples: Samples) -> tuple[Sizes, Digests]:
    """Size in bytes int64 (N,) and SHA-256 uint8 (N, 32) of every photograph's content; -1 and zeros if unreadable."""
    sizes, digests = np.full(len(samples), UNKNOWN_SIZE, np.int64), np.zeros((len(samples), DIGEST_BYTES), np.uint8)
    for i, (size, digest) in _in_threads(_content_digest, samples, "checking contents"):
        sizes[i] = size
        digests[i] = np.frombuffer(digest, np.uint8)
    return sizes, digests


def content_sizes(samples: Samples) -> Sizes:
    """Size in bytes of every photograph's content, int64 (N,), -1 where it cannot be told; files are not opened."""
    sizes = np.full(len(samples), UNKNOWN_SIZE, np.int64)
    for i, size in _in_threads(_content_size, samples, "checking sizes"):
        sizes[i] = size
    return sizes


def _in_threads(work: Callable[[Sample], Value], samples: Samples, title: str) -> Iterator[tuple[int, Value]]:
    """What `work` gives for every sample, with its index."""
    progress = Progress(title, len(samples), "image") if len(samples) >= _SHOWN_FROM else None
    with progress or nullcontext(), ThreadPoolExecutor(_THREADS) as pool:
        for begin in range(0, len(samples), _BATCH):
            batch = samples[begin : begin + _BATCH]
            yield from enumerate(pool.map(work, batch), begin)
            if progress:
                progress.advance(len(batch))


def _content_digest(sample: Sample) -> tuple[int, bytes]:
    digest, size = hashlib.sha256(), 0
    try:
        source = sample.open()
        if isinstance(source, Path):
            if not source.is_file():  # a pipe has no end, nor has /dev/zero
                return UNKNOWN_SIZE, bytes(DIGEST_BYTES)
            with source.open("rb", buffering=0) as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
        else:
            content = source.read()
            digest.update(content)
            size = len(content)
    except (OSError, UserError):  # whoever decodes it tells why
        return UNKNOWN_SIZE, bytes(DIGEST_BYTES)
    return size, digest.digest()


def _content_size(sample: Sample) -> int:
    try:
        if sample.member is None:
            return sample.path.stat().st_size
        source = sample.open()
        return UNKNOWN_SIZE if isinstance(source, Path) else len(source.read())
    except (OSError, UserError):
        return UNKNOWN_SIZE
