"""Labels that are several in one: what a classifier, which gives a photograph one class, must not read as a class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_LIST = re.compile(r"[\[{(].*[\]})]", re.DOTALL)
_SHOWN = 3


def find_several(names: Sequence[str]) -> tuple[str, str] | None:
    """The first of these labels that is several labels, and how one sees it; None where each is one.

    A list is; and labels joined by a comma, a semicolon or a bar where the parts are labels by themselves or
    part of others, too. A class may have a comma in its name: "rose, red".
    """
    known = set(names)
    joined = {name: parts for name in names if len(parts := _parts(name)) > 1}
    shared = Counter(part for parts in joined.values() for part in set(parts))
    for name in names:
        if _LIST.fullmatch(name):
            return name, "it is a list"
    for name, parts in joined.items():
        alone = [part for part in parts if part in known]
        if alone:
            return name, f"{alone[0]!r} is a label, too"
        again = [part for part in parts if shared[part] > 1]
        if again and (", " not in name or all(shared[part] > 1 for part in parts)):
            return name, f"{again[0]!r} is part of other labels, too"
    return None


def label_notes(names: Sequence[str]) -> list[str]:
    """What looks like several labels and is read as one."""
    known = set(names)
    joined = [name for name in names if len(_parts(name)) > 1]
    words = [name for name in names if len(parts := re.split(r"[\s/+&]+", name)) > 1 and known.issuperset(parts)]
    lines = []
    if joined:
        lines.append(f"{_listed(joined)}: read as one class each, comma and all")
    if words:
        lines.append(f"{_listed(words)}: read as a class of its own, though its parts are labels, too")
    return lines


def _parts(name: str) -> list[str]:
    parts = [part.strip() for part in re.split("[,;|]", name)]
    return parts if all(parts) else [name]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(repr(name) for name in names[:_SHOWN])}{more}"
