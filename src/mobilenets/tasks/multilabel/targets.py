"""A label text is the set of a photograph's labels, sorted; what the network is to say is 1 for each of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenets.errors import DataError
from mobilenets.tasks.task import Labels

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
    return tuple(sorted({name for text in texts for name in names_of(text)}))


def members(texts: Sequence[str], classes: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the K classes each of the V label texts has, bool (V, K).

    Examples
    --------
    >>> members(["cat|dog", "|"], ["cat", "dog"]).tolist()
    [[True, True], [False, False]]
    """
    number = {name: k for k, name in enumerate(classes)}
    result = np.zeros((len(texts), len(classes)), np.bool_)
    for row, text in zip(result, texts, strict=True):
        row[[number[name] for name in names_of(text) if name in number]] = True
    return result


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
    names = classes_of(texts)
    if not names and not known:
        count = "its one photo has no" if images == 1 else f"none of its {images:,} photos has a"
        raise DataError(f"{data}: {count} label; give some of them labels")
    bad = next((name for name in names if any(unicodedata.category(c) in ("Cc", "Cs") for c in name)), None)
    if bad is not None:
        raise DataError(f"{data}: the label {bad!a} has a character that is no text in it; rename it")
    unknown = [name for name in names if known and name not in known]
    if unknown:
        raise DataError(
            f"{data}: has the label {', '.join(map(repr, unknown[:5]))}, which is not among {', '.join(known[:10])}"
        )


def rarest(members: NDArray[np.bool_], counts: Labels) -> Labels:
    """Of each label text (V,) the rank of its rarest class, the last one for those without any.

    `counts` (V,): how many photographs have each text. Photographs whose rarest class is the same are divided in
    proportion, the rarest class first: the first step of iterative stratification (Sechidis et al. 2011) for each
    class. Its second step, which makes up for a class what rarer ones left, matters only for classes that are common,
    and of these chance leaves enough on both sides.

    Examples
    --------
    >>> rarest(np.array([[True, True], [True, False], [False, False]]), np.array([2, 8, 5])).tolist()
    [0, 1, 2]
    """
    classes = members.shape[1]
    rank = np.empty(classes, np.int64)
    rank[np.argsort(counts @ members, kind="stable")] = np.arange(classes)
    result: Labels = np.where(members, rank, classes).min(1, initial=classes)
    return result
