"""A label text is the set of a photograph's labels, sorted; what the network is to say is 1 for each of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenets.errors import DataError
from mobilenets.tasks.names import check_known, membership, union

SEPARATOR = "|"  # no name has it
NO_LABELS = SEPARATOR


def text_of(names: Iterable[str]) -> str:
    """The label text of a set of labels.

    Examples
    --------
    >>> text_of(["dog", "cat", "dog"]), text_of([])
    ('cat|dog', '|')
    """
    return SEPARATOR.join(sorted(set(names))) or NO_LABELS


def names_of(text: str) -> tuple[str, ...]:
    """The labels of a label text.

    Examples
    --------
    >>> names_of("cat|dog"), names_of("cat"), names_of("|")
    (('cat', 'dog'), ('cat',), ())
    """
    return tuple(filter(None, text.split(SEPARATOR)))


def classes_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Every label that occurs, sorted.

    Examples
    --------
    >>> classes_of(["dog", "cat|dog", "|"])
    ('cat', 'dog')
    """
    return union(map(names_of, texts))


def members(texts: Sequence[str], classes: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the K classes each of the V label texts has, bool (V, K).

    Examples
    --------
    >>> members(["cat|dog", "|"], ["cat", "dog"]).tolist()
    [[True, True], [False, False]]
    """
    return membership([names_of(text) for text in texts], classes)


def check(data: Path, texts: Sequence[str], images: int, known: Sequence[str] = ()) -> None:
    """Refuse labels that nothing can be learned from, or that are not among those `known` to a model.

    Raises
    ------
    DataError
        As said.

    Examples
    --------
    >>> check(Path("list.csv"), ["|"], 12)
    Traceback (most recent call last):
    mobilenets.errors.DataError: list.csv: none of its 12 photos has a label; give some of them labels
    """
    found = classes_of(texts)
    if not found and not known:
        count = "its one photo has no" if images == 1 else f"none of its {images:,} photos has a"
        raise DataError(f"{data}: {count} label; give some of them labels")
    bad = next((name for name in found if any(unicodedata.category(c) in ("Cc", "Cs") for c in name)), None)
    if bad is not None:
        raise DataError(f"{data}: the label {bad!a} has a character that is no text in it; rename it")
    check_known(data, "label", found, known)
