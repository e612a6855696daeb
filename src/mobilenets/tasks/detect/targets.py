"""A label text is the list of a photo's boxes as JSON, sorted; what the network is to say has a row for each of them.

`[["dog", 0.1, 0.2, 0.5, 0.9], ["cat", 0.4, 0, 0.6, 0.25, "ignore"]]`: class, left, top, right and bottom edge relative
to the upright photo, 0 to 1; `"ignore"`: neither right nor wrong to find (`difficult`, `iscrowd`). `[]`: no objects.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobilenets.errors import DataError
from mobilenets.tasks.names import check_known, membership, rarest, union
from mobilenets.tasks.task import Labels

NO_OBJECTS = "[]"
COLUMNS = 6  # of a target's row: x1 y1 x2 y2 class flag
NONE = -1  # the class of a row that is no box
DECIMALS = 6  # a hundredth of a pixel of a photo 10,000 pixels wide

# Of one photo. Python's reader of CSV takes fields up to 131,072 characters, and data.csv has the text in one.
MAX_BOXES = 2_000
MAX_TEXT = 120_000
MAX_PARSED = 8_000_000  # characters of a text that is looked into at all
# All rows of `targets`, filled up to those of the photo with the most boxes: 2.4 GB.
MAX_ROWS = 100_000_000

_FLAG = "ignore"
_NUMBERS = frozenset({int, float})
_FORM = '["class", x1, y1, x2, y2]'


class Box(NamedTuple):
    """An object of the class `name` between two corners, 0 to 1 from the upper left; `ignore`: it does not count."""

    name: str
    x1: float
    y1: float
    x2: float
    y2: float
    ignore: bool = False


def text_of(boxes: Iterable[Box]) -> str:
    """The label text of a photo with these boxes.

    Examples
    --------
    >>> text_of([Box("dog", 0.5, 0.25, 1.0, 0.75), Box("cat", 0.0, 0.0, 1 / 3, 1.0, ignore=True)])
    '[["cat",0,0,0.333333,1,"ignore"],["dog",0.5,0.25,1,0.75]]'
    >>> text_of([])
    '[]'
    """
    rows = [[b.name, *map(_rounded, b[1:5]), *([_FLAG] if b.ignore else [])] for b in sorted(boxes)]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def boxes_of(text: str) -> tuple[Box, ...]:
    """The boxes of a label text.

    Raises
    ------
    DataError
        It is none: the line says what is wrong with it.

    Examples
    --------
    >>> boxes_of('[["dog", 0.5, 0.25, 1, 0.75]]')
    (Box(name='dog', x1=0.5, y1=0.25, x2=1.0, y2=0.75, ignore=False),)
    >>> boxes_of('[["dog", 10, 20, 30, 40]]')
    Traceback (most recent call last):
    mobilenets.errors.DataError: the box ["dog", 10, 20, 30, 40] is not within 0 to 1 of the photo's sides; \
divide by its width and height
    """
    if len(text) > MAX_PARSED:
        raise DataError(f"boxes of {len(text):,} characters; at most {MAX_PARSED:,} are read")
    try:
        rows = json.loads(text, parse_constant=float)
    except (ValueError, RecursionError):
        raise DataError(f"boxes are {_shown(text)}; give a JSON list of {_FORM}, [] where there are none") from None
    if not isinstance(rows, list):
        raise DataError(f"boxes are {_shown(text)}; give a JSON list of {_FORM}, [] where there are none")
    return tuple(_quickly(row) or _box(row) for row in rows)


def names_of(text: str) -> tuple[str, ...]:
    """The classes of a label text that have a box that counts, sorted.

    Examples
    --------
    >>> names_of('[["dog", 0, 0, 1, 1], ["dog", 0, 0, 0.5, 1], ["cat", 0, 0, 1, 1, "ignore"]]')
    ('dog',)
    """
    return tuple(sorted({box.name for box in boxes_of(text) if not box.ignore}))


def classes_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Every class that has a box that counts, sorted.

    Examples
    --------
    >>> classes_of(['[["dog", 0, 0, 1, 1]]', '[["cat", 0, 0, 1, 1]]', "[]"])
    ('cat', 'dog')
    """
    return union(map(names_of, texts))


def members(texts: Sequence[str], classes: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the K classes each of the V label texts has a box of that counts, bool (V, K).

    Examples
    --------
    >>> members(['[["dog", 0, 0, 1, 1]]', "[]"], ["cat", "dog"]).tolist()
    [[False, True], [False, False]]
    """
    return membership([names_of(text) for text in texts], classes)


def counted(rows: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Which `rows` (..., 6) of `targets` are boxes that count, bool (...)."""
    result: NDArray[np.bool_] = (rows[..., 4] >= 0) & (rows[..., 5] == 0)
    return result


def targets(texts: Sequence[str], classes: Sequence[str]) -> NDArray[np.float32]:
    """The boxes of each of the V label texts, float32 (V, M * 6); M: of the text with the most, but 1 at least.

    A row of six: x1, y1, x2, y2 (0 to 1), the number of its class, and 1 where it does not count, else 0. Rows without
    a box have the class -1, and 0 elsewhere. A box that does not count, of a class that no other has, is left out.

    Examples
    --------
    >>> targets(['[["dog", 0.5, 0, 1, 1]]', "[]"], ["cat", "dog"]).tolist()
    [[0.5, 0.0, 1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, -1.0, 0.0]]
    """
    result = filled(box_rows(texts, classes))
    return result.reshape(len(texts), result.shape[1] * COLUMNS)


def box_rows(texts: Iterable[str], classes: Sequence[str]) -> list[NDArray[np.float32]]:
    """Of each label text the rows of `targets` that are boxes, float32 (G, 6)."""
    number = {name: k for k, name in enumerate(classes)}
    rows = ([(*b[1:5], number[b.name], b.ignore) for b in boxes_of(text) if b.name in number] for text in texts)
    return [np.array(row, np.float32).reshape(-1, COLUMNS) for row in rows]


def filled(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """`box_rows` as one array (V, M, 6), filled up with rows without a box; M: of the text with the most, at least 1.

    Examples
    --------
    >>> filled([np.ones((2, 6), np.float32), np.ones((0, 6), np.float32)])[..., 4].tolist()
    [[1.0, 1.0], [-1.0, -1.0]]
    """
    result = np.zeros((len(rows), max(map(len, rows), default=1) or 1, COLUMNS), np.float32)
    result[:, :, 4] = NONE
    for own, row in zip(result, rows, strict=True):
        own[: len(row)] = row
    return result


def strata(texts: Sequence[str], counts: Labels) -> Labels:
    """Of each label text (V,) the rank of its rarest class, the last one for photos without objects.

    `counts` (V,): how many photos have each text. Photos of the same rank are divided in proportion.

    Examples
    --------
    >>> dog, both = '[["dog", 0, 0, 1, 1]]', '[["cat", 0, 0, 1, 1], ["dog", 0, 0, 1, 1]]'
    >>> strata([dog, both, "[]"], np.array([5, 2, 9])).tolist()
    [1, 0, 2]
    """
    return rarest(members(texts, classes_of(texts)), counts)


def check(data: Path, texts: Sequence[str], images: int, known: Sequence[str] = ()) -> None:
    """Refuse label texts that are none or that nothing can be learned from; of a model, classes that are not `known`.

    A model may be asked about more boxes in a photo than one can be trained on.

    Raises
    ------
    DataError
        As said.

    Examples
    --------
    >>> check(Path("list.csv"), ["[]"], 12)
    Traceback (most recent call last):
    mobilenets.errors.DataError: list.csv: none of its 12 photos has a box; draw some
    """
    found: set[str] = set()
    longest = 0
    for text in texts:
        try:
            boxes = boxes_of(text)
        except DataError as error:
            raise DataError(f"{data}: {error}") from None
        if not known and (len(boxes) > MAX_BOXES or len(text) > MAX_TEXT):
            raise DataError(
                f"{data}: a photo has {len(boxes):,} boxes, of at most {MAX_BOXES:,} (and {MAX_TEXT:,} characters "
                "of text); cut it into tiles, as --tile 640 does"
            )
        longest = max(longest, len(boxes))
        found.update(box.name for box in boxes if not box.ignore)
    if longest * len(texts) > MAX_ROWS:
        raise DataError(
            f"{data}: one of its {len(texts):,} photos has {longest:,} boxes, and room for as many in each takes "
            "too much memory; cut them into tiles, as --tile 640 does"
        )
    if not found and not known:
        count = "its one photo has no" if images == 1 else f"none of its {images:,} photos has a"
        raise DataError(f"{data}: {count} box; draw some")
    bad = next((name for name in sorted(found) if not _is_text(name)), None)
    if bad is not None:
        raise DataError(f"{data}: the class {bad!a} is blank or has a character that is no text in it; rename it")
    check_known(data, "class", sorted(found), known)


def _quickly(row: Any) -> Box | None:
    """The usual item, of which a data set has a million; None of any other, which `_box` looks at one by one."""
    if type(row) is not list or len(row) != 5:
        return None
    name, x1, y1, x2, y2 = row
    if type(name) is not str or not _NUMBERS.issuperset((type(x1), type(y1), type(x2), type(y2))):
        return None
    return Box(name, float(x1), float(y1), float(x2), float(y2)) if 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1 else None


def _box(row: Any) -> Box:
    """One item of the list.

    Raises
    ------
    DataError
        It is no box.
    """
    is_list = isinstance(row, list)
    flag = row[5:] if is_list else []
    if not is_list or len(row) not in (5, 6) or not isinstance(row[0], str) or flag not in ([], [_FLAG]):
        raise DataError(f'the box {_json(row)} is none; write {_FORM}, and "{_FLAG}" behind it where it does not count')
    numbers = row[1:5]
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        raise DataError(f"the box {_json(row)} has corners that are no numbers; write {_FORM}")
    if not all(0 <= n <= 1 for n in numbers):
        raise DataError(
            f"the box {_json(row)} is not within 0 to 1 of the photo's sides; divide by its width and height"
        )
    x1, y1, x2, y2 = map(float, numbers)
    if x1 >= x2 or y1 >= y2:
        raise DataError(f"the box {_json(row)} has no area; write its upper left corner first, then the lower right")
    return Box(row[0], x1, y1, x2, y2, bool(flag))


def _rounded(value: float) -> float | int:
    """A coordinate as short as it can be written."""
    rounded = round(float(value), DECIMALS)
    return int(rounded) if rounded.is_integer() else rounded


def _is_text(name: str) -> bool:
    return bool(name.strip()) and not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name)


def _json(row: Any) -> str:
    return _shortened(json.dumps(row))


def _shown(text: str) -> str:
    return _shortened(repr(text[:80]))


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
