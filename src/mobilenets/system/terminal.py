"""Text and tables in the columns of a terminal.

Our own, as the library for it (wcwidth 0.9) takes 6 MB and a fifth of a second to import: more than all of `--help`.
"""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import category, combining, east_asian_width


def columns(text: str) -> int:
    """Columns of a terminal that `text` takes: Chinese and Japanese characters take two, marks over letters none."""
    return sum(_width(c) for c in text)


def _width(character: str) -> int:
    if combining(character) or category(character) in ("Mn", "Me", "Cf"):  # accents, vowel signs, joiners
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def padded(text: str, width: int, align: str = "l") -> str:
    """`text` and spaces up to `width` columns: behind it, or before it where `align` is "r"."""
    room = " " * (width - columns(text))
    return room + text if align == "r" else text + room


def shortened(text: str, width: int) -> str:
    """`text` in at most `width` columns, its end replaced by an ellipsis where it is longer."""
    if columns(text) <= width:
        return text
    while columns(text) >= width:
        text = text[:-1]
    return f"{text}…"


def table(rows: Sequence[Sequence[str]], align: str, gap: int = 2) -> list[str]:
    """A line for each row, every column as wide as its widest cell.

    Parameters
    ----------
    rows
        Cells of equal number; a header is a row.
    align
        A letter for each column, "l" or "r"; the last one stands for all further columns.
    gap
        Spaces between two columns.

    Examples
    --------
    >>> print(*table([("class", "n"), ("雏菊", "12"), ("rose", "7")], "lr"), sep="\\n")
    class   n
    雏菊   12
    rose    7
    """
    sides = align + align[-1] * (len(rows[0]) - len(align))
    widths = [max(map(columns, cells)) for cells in zip(*rows, strict=True)]
    return [(" " * gap).join(map(padded, row, widths, sides)).rstrip() for row in rows]
