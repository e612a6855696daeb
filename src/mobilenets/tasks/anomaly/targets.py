"""A label text is the name of the good ones, or says that a photo shows a defect and which kind of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenets.errors import DataError
from mobilenets.tasks.names import check_encodable

DEFECT = "defect"
GOOD = "good"  # what good ones are called that lie in no folder of their own
_KIND = f"{DEFECT}: "


def defect_text(kind: str = "") -> str:
    """The label text of a photo with a defect of this kind; "": of no named one.

    Examples
    --------
    >>> defect_text("crack"), defect_text()
    ('defect: crack', 'defect')
    """
    return f"{_KIND}{kind}" if kind else DEFECT


def defects(texts: Sequence[str], good: Sequence[str] = ()) -> NDArray[np.bool_]:
    """Which of the V label texts are of defects, bool (V,).

    `good`: what a model calls the good ones, so that all others are defects; none: those that say so.

    Examples
    --------
    >>> defects(["part", "defect: crack"]).tolist(), defects(["part", "crack"], ["part"]).tolist()
    ([False, True], [False, True])
    """
    if good:
        return np.array([text not in good for text in texts], np.bool_)
    return np.array([text == DEFECT or text.startswith(_KIND) for text in texts], np.bool_)


def check(data: Path, texts: Sequence[str], images: int, good: Sequence[str] = ()) -> None:
    """Refuse training photos of which no good ones can be learned; those that a model is asked about are all fit.

    Raises
    ------
    DataError
        As said.

    Examples
    --------
    >>> check(Path("parts"), ["good"], 1)
    Traceback (most recent call last):
    mobilenets.errors.DataError: parts: one photo of 'good'; good ones only need 2 or more (one says how much \
they differ)
    """
    if good:
        return
    if len(texts) != 1 or defects(texts)[0]:
        raise DataError(f"{data}: no good ones to learn from; give a folder with photos of good ones only")
    if images < 2:
        raise DataError(
            f"{data}: one photo of {texts[0]!r}; good ones only need 2 or more (one says how much they differ)"
        )
    check_encodable(data, texts[0])
