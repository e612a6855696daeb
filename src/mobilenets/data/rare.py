"""Classes that are too rare to be validated, or empty: kept, left out or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from mobilenets.data.samples import Samples, Splits
from mobilenets.data.sources.survey import Survey, count_text, named
from mobilenets.errors import DataError, UsageError

Rare = Literal["keep", "drop", "refuse"]
CHOICES: tuple[Rare, ...] = ("keep", "drop", "refuse")


def settle_rare(data: Path, splits: Splits, rare: Rare) -> Splits:
    """`splits` with the classes that have no validation photograph treated as `rare` says; a note names them.

    Raises
    ------
    UserError
        There are such classes and `rare` is "refuse", or fewer than two others and it is "drop".
    """
    count = len(splits.classes)
    trained = np.bincount(splits.train.labels, minlength=count)
    few = np.flatnonzero(np.bincount(splits.val.labels, minlength=count) == 0).tolist()
    if not few:
        return splits
    what = named([f"{splits.classes[k]!r} ({count_text(int(trained[k]))})" for k in few])
    own = "its" if len(few) == 1 else "their"
    if rare == "refuse":
        raise UsageError(
            f"{data}: no validation image of {what}; each class needs 2 (one to train, one to validate); add some, or "
            "choose --rare keep or drop"
        )
    if rare == "keep":
        splits.survey.note(
            f"warning: no validation photo of {what}: trained on, but without figures of {own} own "
            "(--rare drop leaves such classes out)"
        )
        return splits
    kept = [k for k in range(count) if k not in few]
    if len(kept) < 2:
        raise UsageError(f"{data}: --rare drop leaves out {what}, and fewer than two classes remain; add photos")
    splits.survey.note(f"left out as too rare (--rare drop): {what}")
    return only(splits, kept)


def only(splits: Splits, kept: Sequence[int]) -> Splits:
    """The splits with those classes only, numbered anew."""
    classes = tuple(splits.classes[k] for k in kept)

    def own(samples: Samples) -> Samples:
        return samples.take(np.isin(samples.labels, kept)).numbered(classes)

    return replace(splits, classes=classes, train=own(splits.train), val=own(splits.val), test=own(splits.test))


def check_empty(survey: Survey, rare: Rare) -> None:
    """Refuse class folders without a photograph: a class that silently goes missing is noticed by nobody.

    Raises
    ------
    UserError
        There is one, and `rare` is not "drop", with which a note names it.
    """
    empty = survey.empty
    if not empty:
        return
    if rare == "drop":
        survey.note(f"{named(empty, 3)}: left out")
        return
    more = f" (and {len(empty) - 1} more folders)" if len(empty) > 1 else ""
    raise DataError(
        f"{empty[0]}{more}; add some, move the folder away if it is no class, or leave it out with --rare drop"
    )
