"""Text in the columns of a terminal."""

from __future__ import annotations

from unicodedata import combining, east_asian_width


def columns(text: str) -> int:
    """Columns of a terminal that `text` takes: Chinese and Japanese characters take two, accents over letters none."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def padded(text: str, width: int) -> str:
    """`text` and spaces up to `width` columns."""
    return text + " " * (width - columns(text))
