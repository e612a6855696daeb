"""Which columns of a CSV are a box, and what their four numbers are: corners, or a place and two sides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mobilenets.errors import DataError
from mobilenets.preprocess.formats import is_image

CORNERS = ("xmin", "ymin", "xmax", "ymax")
LEFT = ("left", "top", "width", "height")
CENTRE = ("x_center", "y_center", "width", "height")

Four = tuple[float, float, float, float]
Form = tuple[str, str, str, str]
Size = tuple[float, float]

# Letters and digits only, without capitals, as `csv_format` compares names.
_CORNERS = (
    "xmin x1 left minx bboxxmin boxxmin bboxx1 bboxleft boxleft roix1 xtl",
    "ymin y1 top miny bboxymin boxymin bboxy1 bboxtop boxtop roiy1 ytl",
    "xmax x2 right maxx bboxxmax boxxmax bboxx2 bboxright boxright roix2 xbr",
    "ymax y2 bottom maxy bboxymax boxymax bboxy2 bboxbottom boxbottom roiy2 ybr",
)
_FROM_ZERO = ("x0 bboxx0", "y0 bboxy0", "x1 bboxx1", "y1 bboxy1")
_SIDES = ("w bboxw boxw bboxwidth boxwidth", "h bboxh boxh bboxheight boxheight")
_CENTRES = (
    "xcenter centerx xcentre xc cx bboxxcenter bboxcx",
    "ycenter centery ycentre yc cy bboxycenter bboxcy",
)
_PLACES: tuple[tuple[tuple[str, str], tuple[Form, ...], bool], ...] = (  # names of a corner, and what it may be
    (_CORNERS[:2], (LEFT,), True),
    (_CENTRES, (CENTRE,), True),
    (("bboxx boxx", "bboxy boxy"), (LEFT, CENTRE), True),
    (("x", "y"), (LEFT, CENTRE), False),
)
_WHOLE = "bbox boundingbox box bndbox bboxes"
_OTHERS = {  # what may stand beside a box
    "width": "imagewidth imgwidth photowidth width",
    "height": "imageheight imgheight photoheight height",
    "ignore": "ignore difficult iscrowd crowd isgroupof",
}

KEYS = ("box 1", "box 2", "box 3", "box 4")  # what the columns of its numbers are called among a row's values
CELL = "box"

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_CELL = re.compile(rf"[\[(]?\s*({_NUMBER})[\s,;]+({_NUMBER})[\s,;]+({_NUMBER})[\s,;]+({_NUMBER})\s*[\])]?")
_ROUNDING = 0.01  # of a side of the photo, or a pixel, that a box may reach over its edge


@dataclass(frozen=True)
class BoxColumns:
    """Where the numbers of a box are: `at`, by the names of `KEYS` or `CELL`, and the photo's size and flag by theirs.

    `names`: what the CSV calls them. `forms`: what they may be; `sure`: the first, where nothing speaks against it.
    """

    at: Mapping[str, int]
    names: tuple[str, ...]
    forms: tuple[Form, ...] = (CORNERS,)
    sure: bool = True


def find_boxes(keys: Sequence[str], header: Sequence[str], rows: Sequence[Sequence[str]]) -> BoxColumns | None:
    """The columns of a box among `header`, compared by their `keys`; None where there is none.

    `rows`: some of the table's; that columns whose names say less are numbers is seen by them.

    Examples
    --------
    >>> names = ["path", "label", "xmin", "ymin", "xmax", "ymax"]
    >>> find_boxes(names, names, []).names
    ('xmin', 'ymin', 'xmax', 'ymax')
    >>> names = ["path", "label", "x", "y", "w", "h"]
    >>> find_boxes(names, names, [["im.png", "dog", "4", "5", "10", "20"]]).forms
    (('left', 'top', 'width', 'height'), ('x_center', 'y_center', 'width', 'height'))
    >>> find_boxes(["path", "label", "width", "height"], [], []) is None
    True
    """
    for names in (_FROM_ZERO, _CORNERS):
        if found := _positions(keys, names):
            return _columns(keys, header, found, (CORNERS,), True)
    if not {*_CORNERS[2].split(), *_CORNERS[3].split()}.isdisjoint(keys):
        return None  # of corners one is missing; width and height are the photo's
    for corner, forms, sure in _PLACES:
        for sides in (_SIDES, ("width", "height")):
            found = _positions(keys, (*corner, *sides))
            if found and _are(_is_number, rows, found):
                return _columns(keys, header, found, forms, sure)
    found = _positions(keys, (_WHOLE,))
    if found and _are(_CELL.fullmatch, rows, found):
        return _columns(keys, header, found, (LEFT, CORNERS), False)
    return None


def without_header(first: Sequence[str]) -> BoxColumns | None:
    """The columns of a table that begins at once as keras-retinanet's do: path, corners, label."""
    texts = [text.strip() for text in first]
    if len(texts) == 6 and is_image(texts[0]) and (all(map(_is_number, texts[1:5])) or not any(texts[1:])):
        return BoxColumns(dict(zip(KEYS, range(1, 5), strict=True)), CORNERS)
    return None


def are_boxes(keys: Sequence[str]) -> bool:
    """Whether columns that nobody reads are boxes in another form.

    Examples
    --------
    >>> are_boxes(["bbox"]), are_boxes(["width", "height"])
    (True, False)
    """
    return not set(_WHOLE.split()).isdisjoint(keys)


def choose_form(
    where: object, columns: BoxColumns, boxes: Sequence[tuple[str, Four, Size | None]]
) -> tuple[Form, str | None]:
    """What the numbers of `boxes` are, and what is told of it where the columns' names do not say it.

    `boxes`: of each what a message calls it, its numbers, and the sides of its photo where they are known: 1 and 1 of
    numbers relative to it.

    Raises
    ------
    DataError
        They may be either, or none.
    """
    if len(columns.forms) == 1:
        return columns.forms[0], None
    wrong = [next((name for name, four, size in boxes if not _fits(form, four, size)), None) for form in columns.forms]
    first, other = columns.forms
    called = ", ".join(columns.names)
    if (wrong[0] is None) != (wrong[1] is None) or (columns.sure and wrong[0] is None):
        if wrong[0] is None and (columns.sure or wrong[1] is None):
            return first, None
        read, against, name = (first, other, wrong[1]) if wrong[0] is None else (other, first, wrong[0])
        return read, f"{called} read as {', '.join(read)}: as {', '.join(against)} {name} would be none in the photo"
    may = "may be either" if wrong[0] is None else f"are neither, as {wrong[0]} and {wrong[1]} show"
    raise DataError(
        f"{where}: boxes by {called}: {', '.join(first)}, or {', '.join(other)}? They {may}; name four columns so, or "
        "delete them where whole photos are classified"
    )


def corners_of(form: Form, four: Four) -> Four:
    """Left, top, right and bottom edge of a box.

    Examples
    --------
    >>> corners_of(LEFT, (1, 2, 10, 20)), corners_of(CENTRE, (10, 20, 4, 8))
    ((1, 2, 11, 22), (8.0, 16.0, 12.0, 24.0))
    """
    a, b, c, d = four
    if form == LEFT:
        return a, b, a + c, b + d
    if form == CENTRE:
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return four


def numbers_of(text: str) -> tuple[str, ...] | None:
    """The four numbers in a cell, as they are written; None of other text.

    Examples
    --------
    >>> numbers_of("[834.0, 222.0, 56.0, 36.0]")
    ('834.0', '222.0', '56.0', '36.0')
    """
    match = _CELL.fullmatch(text)
    return match.groups() if match else None


def _fits(form: Form, four: Four, size: Size | None) -> bool:
    """Whether a box has an area and lies within the photo, if its numbers are in this form."""
    x1, y1, x2, y2 = corners_of(form, four)
    over = _ROUNDING if size == (1, 1) else 1.0
    inside = size is None or (x2 <= size[0] + over and y2 <= size[1] + over)
    return x1 < x2 and y1 < y2 and min(x1, y1) >= -over and inside


def _positions(keys: Sequence[str], names: Iterable[str]) -> list[int]:
    """The first column of each of some names, which are in order of preference; none, if one is not there."""
    found = [next((keys.index(name) for name in of.split() if name in keys), None) for of in names]
    return [] if None in found else [k for k in found if k is not None]


def _columns(
    keys: Sequence[str], header: Sequence[str], found: Sequence[int], forms: tuple[Form, ...], sure: bool
) -> BoxColumns:
    at = dict(zip(KEYS if len(found) == len(KEYS) else (CELL,), found, strict=True))
    for name, names in _OTHERS.items():
        k = next((keys.index(key) for key in names.split() if key in keys), None)
        if k is not None and k not in found:
            at[name] = k
    return BoxColumns(at, tuple(header[k].strip() for k in found), forms, sure)


def _are(what: Callable[[str], object], rows: Sequence[Sequence[str]], columns: Sequence[int]) -> bool:
    """Whether all values of some columns are `what`, but for those that are missing, and one is."""
    values = [row[k].strip() for row in rows for k in columns if k < len(row) and row[k].strip()]
    return bool(values) and all(map(what, values))


def _is_number(text: str) -> bool:
    return re.fullmatch(_NUMBER, text) is not None
