"""What a data set holds, in a few lines: a table of classes and parts, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.samples import Samples, Splits
from mobilenets.data.sources.survey import Survey
from mobilenets.system.terminal import shortened, table
from mobilenets.tasks import TASKS

MAX_ROWS = 20
_SHOWN = 5  # of the largest classes, and of the smallest, where there are more
_WIDEST = 40  # columns of a name


def overview(splits: Splits) -> list[str]:
    """The table of what is trained on, and what was left out or guessed, one line each."""
    by_split = {"train": splits.train, "val": splits.val, "test": splits.test}
    by_split = {name: samples for name, samples in by_split.items() if len(samples)}
    return _table_and_lines(splits.classes, by_split, splits.survey)


def splits_overview(classes: Sequence[str], splits: Mapping[str, Samples], survey: Survey) -> list[str]:
    """The same of data as it lies there; "" is the name of what belongs to no part."""
    order = sorted(splits, key=lambda split: ("train", "", "val", "test").index(split))
    return _table_and_lines(classes, {split or "images": splits[split] for split in order}, survey)


def _table_and_lines(texts: Sequence[str], by_split: Mapping[str, Samples], survey: Survey) -> list[str]:
    """The table, of classes or of what the label texts are made of, and the lines of the survey."""
    task = TASKS[survey.task]
    if task.labels_are_classes:
        return [*class_table(texts, by_split), *survey.lines()]
    totals = [len(samples) for samples in by_split.values()]
    members = task.members(texts)
    counts = [np.bincount(samples.labels, minlength=len(members)) @ members for samples in by_split.values()]
    rows = _count_table(task.name, task.classes(texts), [*by_split], np.stack(counts, axis=1), _row("photos", totals))
    return [*rows, *survey.lines()]


def class_table(classes: Sequence[str], splits: Mapping[str, Samples]) -> list[str]:
    """Counts of photographs, a row for each class and a column for each part, in the columns of a terminal.

    Of more than 20 classes the five largest and the five smallest are shown.
    """
    counts = np.stack([np.bincount(samples.labels, minlength=len(classes)) for samples in splits.values()], axis=1)
    return _count_table("", classes, [*splits], counts, _row(f"{len(classes):,} classes", counts.sum(0).tolist()))


def _count_table(
    title: str, classes: Sequence[str], parts: Sequence[str], counts: NDArray[np.int64], last: tuple[str, ...]
) -> list[str]:
    rows = [_row(name, numbers) for name, numbers in zip(classes, counts.tolist(), strict=True)]
    between = []
    if len(classes) > MAX_ROWS:
        order = np.argsort(-counts.sum(1), kind="stable")
        largest, smallest = ([rows[k] for k in some.tolist()] for some in (order[:_SHOWN], order[-_SHOWN:]))
        rest = counts[order[_SHOWN:-_SHOWN]].sum(1)
        between = [f"… {len(rest):,} more, of {rest.min():,} to {rest.max():,} each"]
        rows = [*largest, *smallest]
    header, *lines = table([(title, *parts), *rows, last], "lr")
    return [header, *lines[:_SHOWN], *between, *lines[_SHOWN:]]


def _row(name: str, numbers: Sequence[int]) -> tuple[str, ...]:
    return (shortened(name, _WIDEST), *(f"{n:,}" for n in numbers))
