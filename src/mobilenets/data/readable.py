"""Which photographs can be read, found out before training."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from mobilenets.data.loader import WORKERS, Skipped
from mobilenets.data.sample import Indices, Sample, Samples, Splits
from mobilenets.errors import UserError
from mobilenets.preprocess import decode
from mobilenets.progress import Progress

# Up to this many, every file is decoded once before training; with more, training must begin before all were opened.
MOST_CHECKED = 5_000
_MOST_TRIED = 1_000  # of a class


def readable(samples: Sequence[Sample], workers: int = WORKERS) -> tuple[Samples, list[str]]:
    """The samples whose file decodes, and a message for each of the others.

    Files are decoded at reduced scale where the format allows. Of more than 5,000 samples only one of each class
    is looked for: what else cannot be read is for the loader to find, but a class of which none of the first
    1,000 can be read is left out.
    """
    samples = Samples.of(samples)
    whole = len(samples) <= MOST_CHECKED
    jobs = np.arange(len(samples)).reshape(-1, 1) if whole else _by_class(samples)
    usable = np.ones(len(samples), np.bool_)
    messages: list[str] = []

    def failures(job: Indices) -> list[str]:
        found = []
        for index in job[:_MOST_TRIED].tolist():
            problem = _problem(samples[index])
            if problem is None:
                break
            found.append(problem)
        return found

    title, unit = ("checking images", "image") if whole else ("checking classes", "class")
    with Progress(title, len(jobs), unit) as progress, ThreadPoolExecutor(workers) as pool:
        for job, found in zip(jobs, pool.map(failures, jobs), strict=True):
            messages += found
            usable[job] = len(found) < min(len(job), _MOST_TRIED)
            progress.advance()
    return samples.take(usable), messages


def readable_splits(splits: Splits, skipped: Skipped) -> Splits:
    """The splits with the training and validation photographs that can be read; each of the others is told once.

    Raises:
        UserError: a class of which none is left in one of the two.
    """

    def kept(samples: Samples, part: str) -> Samples:
        usable, failures = readable(samples)
        for failure in failures:
            skipped.tell(failure)
        for k in sorted(set(range(len(splits.classes))) - set(usable.labels.tolist())):
            raise UserError(f"{splits.classes[k]}: no readable image is left for {part}; replace the files named")
        return usable

    return replace(splits, train=kept(splits.train, "train"), val=kept(splits.val, "val"))


def _by_class(samples: Samples) -> list[Indices]:
    """The indices of each class that has samples."""
    order = np.argsort(samples.labels, kind="stable")
    return np.split(order, 1 + np.flatnonzero(np.diff(samples.labels[order])))


def _problem(sample: Sample) -> str | None:
    try:
        decode.read(sample.open(), at_least=1)
    except UserError as error:
        return str(error)
    return None
