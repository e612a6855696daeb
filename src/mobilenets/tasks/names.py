"""Sets of names that photos have, as labels or of their objects, and names that are refused: one code for all tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenets.errors import DataError
from mobilenets.tasks.task import UNKNOWN, Labels

_MAX_UNKNOWN, _MAX_KNOWN = 5, 10  # names in a message


def union(sets: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Every name that occurs, sorted.

    Examples
    --------
    >>> union([["dog"], ["cat", "dog"], []])
    ('cat', 'dog')
    """
    return tuple(sorted({name for names in sets for name in names}))


def membership(sets: Sequence[Iterable[str]], classes: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the K classes each of the V sets has, bool (V, K); a name that is no class is passed over.

    Examples
    --------
    >>> membership([["cat", "dog"], []], ["cat", "dog"]).tolist()
    [[True, True], [False, False]]
    """
    number = {name: k for k, name in enumerate(classes)}
    result = np.zeros((len(sets), len(classes)), np.bool_)
    for row, names in zip(result, sets, strict=True):
        row[[number[name] for name in names if name in number]] = True
    return result


def numbered(sets: Iterable[Iterable[str]], classes: Sequence[str]) -> list[int]:
    """The number of each set, `UNKNOWN` where it has a name that is no class.

    Examples
    --------
    >>> numbered([["dog"], ["cow"], []], ["cat", "dog"])
    [0, -1, 2]
    """
    known = set(classes)
    return [k if known.issuperset(names) else UNKNOWN for k, names in enumerate(sets)]


def rarest(members: NDArray[np.bool_], counts: Labels) -> Labels:
    """Of each label text (V,) the rank of its rarest class, the last one for those without any.

    `counts` (V,): how many photos have each text. Photos whose rarest class is the same are divided in
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


def check_known(data: Path, kind: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Refuse `names` of `data` that a model does not know; `known` empty: there is no model. `kind`: what they are.

    Raises
    ------
    DataError
        As said.

    Examples
    --------
    >>> check_known(Path("list.csv"), "label", ["cow"], ["cat", "dog"])
    Traceback (most recent call last):
    mobilenets.errors.DataError: list.csv: has the label 'cow', which is not among cat, dog
    """
    unknown = [name for name in names if known and name not in known]
    if unknown:
        shown = ", ".join(map(repr, unknown[:_MAX_UNKNOWN]))
        raise DataError(f"{data}: has the {kind} {shown}, which is not among {', '.join(known[:_MAX_KNOWN])}")


def check_encodable(data: Path, name: str) -> None:
    """Refuse a class called after a folder whose name is no text: on Linux any bytes are, as Latin-1 of an old archive.

    Raises
    ------
    DataError
        As said.

    Examples
    --------
    >>> check_encodable(Path("photos"), "ros\\udce9")
    Traceback (most recent call last):
    mobilenets.errors.DataError: photos: the class name 'ros\\udce9' is not UTF-8 and cannot be stored; rename it
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{data}: the class name {name!a} is not UTF-8 and cannot be stored; rename it") from None
