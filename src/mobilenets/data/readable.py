"""Which photographs can be read, found out before training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from mobilenets.data.loader import WORKERS, Skipped
from mobilenets.data.rare import Rare
from mobilenets.data.sample import Sample
from mobilenets.data.samples import Indices, Samples, Splits
from mobilenets.data.sources.survey import UNREADABLE, Survey, named
from mobilenets.errors import DataError, UserError
from mobilenets.preprocess import decode
from mobilenets.preprocess.formats import CLOSED, SNIFFED, kind_of, reads, sniff
from mobilenets.system.progress import Progress

# Up to this many, every file is decoded once before training; with more, training must begin before all were opened.
MAX_CHECKED = 5_000
_MAX_TRIED = 1_000  # of a class

_Failure = tuple[str, str, str]  # message, reason, path
Measure = Callable[[Sample], bool]
"""Reads a photograph for a purpose of its own; False where it could not."""


def readable(
    samples: Sequence[Sample], workers: int = WORKERS, survey: Survey | None = None, measure: Measure | None = None
) -> tuple[Samples, list[str]]:
    """The samples whose file decodes, and a message for each of the others, which are counted in `survey`.

    `measure`: reads those that are opened, for a purpose of its own; what it could read is not opened again.

    Files are decoded at reduced scale where the format allows. Of more than 5,000 samples only one of each class
    is looked for: what else cannot be read is for the loader to find, but a class of which none of the first
    1,000 can be read is left out. Where nearly each sample has a label of its own, as boxes, about 5,000 are looked at.
    """
    samples = Samples.of(samples)
    whole = len(samples) <= MAX_CHECKED
    jobs = np.arange(len(samples)).reshape(-1, 1) if whole else _by_class(samples)
    usable = np.ones(len(samples), np.bool_)
    messages: list[str] = []

    def failures(job: Indices) -> list[_Failure]:
        found = []
        for index in job[:_MAX_TRIED].tolist():
            sample = samples[index]
            problem = None if measure is not None and measure(sample) else _problem(sample)
            if problem is None:
                break
            found.append(problem)
        return found

    survey = Survey() if survey is None else survey
    title, unit = ("checking images", "image") if whole else ("checking classes", "class")
    with Progress(title, len(jobs), unit) as progress, ThreadPoolExecutor(workers) as pool:
        for job, found in zip(jobs, pool.map(failures, jobs), strict=True):
            messages += [problem for problem, _, _ in found]
            for _, reason, path in found:
                survey.leave_out(reason, path)
            usable[job] = len(found) < min(len(job), _MAX_TRIED)
            progress.advance()
    return samples.take(usable), messages


def readable_splits(splits: Splits, skipped: Skipped, rare: Rare = "keep", measure: Measure | None = None) -> Splits:
    """The splits with the training and validation photographs that can be read; each of the others is told once.

    `rare`: as for `read_splits`; only with "keep" a class may be left without validation photographs. `measure`: as for
    `readable`, where each photograph is opened.

    Raises
    ------
    UserError
        A class of which no training photograph is left, or, as said, none to validate.
    """

    if len(splits.train) + len(splits.val) + len(splits.test) > MAX_CHECKED:
        measure = None

    def kept(samples: Samples, split: str) -> Samples:
        usable, failures = readable(samples, survey=splits.survey, measure=measure)
        for failure in failures:
            skipped.add(failure)
        lost = sorted({*samples.labels.tolist()} - {*usable.labels.tolist()})
        if not splits.objective.task.labels_are_classes:  # of other tasks no photograph is the only one of its label
            if len(usable) == 0 and len(samples):
                raise DataError(f"no readable image is left for {split}; replace the files named")
            return usable
        if lost and (split == "train" or rare != "keep" or len(usable) == 0):
            raise DataError(
                f"{splits.classes[lost[0]]}: no readable image is left for {split}; replace the files named, or leave "
                "the class out"
            )
        if lost:
            names = named([repr(splits.classes[k]) for k in lost])
            splits.survey.note(f"warning: no validation photo of {names} can be read: without figures of its own")
        return usable

    return replace(splits, train=kept(splits.train, "train"), val=kept(splits.val, "val"))


def _by_class(samples: Samples) -> list[Indices]:
    """The indices of each class that has samples; where most are of one sample, of about `MAX_CHECKED` classes."""
    order = np.argsort(samples.labels, kind="stable")
    own = np.split(order, 1 + np.flatnonzero(np.diff(samples.labels[order])))
    return own[:: -(-len(own) // MAX_CHECKED)] if 2 * len(own) > len(samples) else own


def _problem(sample: Sample) -> _Failure | None:
    try:
        decode.read(sample.open(), min_side=1)
    except UserError as error:
        return str(error), _reason(sample), str(sample.path)
    return None


def _reason(sample: Sample) -> str:
    """Why a photograph cannot be read: what it is in truth, where it is no picture; else that it is damaged."""
    try:
        source = sample.open()
    except UserError:
        return UNREADABLE
    kind = kind_of(source) if isinstance(source, Path) else sniff(source.read(SNIFFED))
    return UNREADABLE if reads(kind) or kind == CLOSED else kind
