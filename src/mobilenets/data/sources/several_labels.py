"""Labels that are several in one: how they are told from a class with a comma in its name, and taken apart."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from mobilenets.data.samples import Samples
from mobilenets.data.sources.survey import count_text
from mobilenets.tasks.multilabel.targets import NO_LABELS, classes_of, names_of, text_of

_LIST = re.compile(r"[\[{(].*[\]})]", re.DOTALL)
_QUOTED = re.compile(r"""\[\s*(["']).*\1\s*\]""")
_SEPARATORS = "|;,"  # the first of them that occurs is the one; what follows it may be part of a name
_SHOWN = 3
_MISSING = {"nan", "none", "null", "nil", "n/a", "#n/a", "na", "<na>"}


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


def taken_apart(names: Sequence[str]) -> list[str]:
    """The label text of each of these labels, which are lists, or joined by what separates them.

    Examples
    --------
    >>> taken_apart(["cat; dog", "cat", '["dog", "cat"]', "dog, small"])
    ['cat|dog', 'cat', 'cat|dog', 'dog, small']
    """
    separator = next((sign for sign in _SEPARATORS if any(sign in name for name in names if name != NO_LABELS)), ",")
    return [text_of(_items(name) if _LIST.fullmatch(name) else _stripped(name.split(separator))) for name in names]


def without_lists(names: Sequence[str]) -> list[str]:
    """These labels; of one that is a list of one label in quotes, that label.

    Examples
    --------
    >>> without_lists(["['cat']", '["dog"]', "dog", "(sick)", "['cat', 'dog']"])
    ['cat', 'dog', 'dog', '(sick)', "['cat', 'dog']"]
    """
    items = {name: _items(name) for name in names if _QUOTED.fullmatch(name)}
    return [items[name][0] if len(items.get(name, ())) == 1 else name for name in names]


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
    if missing := [name for name in names if name.casefold() in _MISSING]:
        lines.append(f"{_listed(missing)}: read as a class, which programs write where a label is missing")
    return lines


def label_counts(samples: Samples) -> str:
    """How many labels photographs have, of label texts, in words."""
    counts = np.bincount(samples.labels, minlength=len(samples.names))
    sizes = np.array([len(names_of(text)) for text in samples.names])
    each, without = float(counts @ sizes) / max(1, len(samples)), int(counts[sizes == 0].sum())
    classes = classes_of(samples.names)
    return (
        f"several labels a photo: {len(classes):,} labels ({_listed(classes)}), {each:.1f} on each of "
        f"{count_text(len(samples))}, {without:,} without any"
    )


def _parts(name: str) -> list[str]:
    parts = [part.strip() for part in re.split(f"[{_SEPARATORS}]", name)]
    return parts if all(parts) else [name]


def _items(text: str) -> list[str]:
    """The items of a list as JSON, Label Studio or Python write it."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _stripped(re.split(f"[{_SEPARATORS}]", text[1:-1]))
    if isinstance(value, dict):
        value = next((item for item in value.values() if isinstance(item, list)), [])
    return _stripped([str(item) for item in value])


def _stripped(parts: Sequence[str]) -> list[str]:
    """Without white space and quotes around them; what is empty then is none."""
    return [part for text in parts if (part := text.strip().strip("'\"").strip())]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(repr(name) for name in names[:_SHOWN])}{more}"
