"""How known a photo is, in the answers of tasks that tell it: in JSON, in a table and in words."""

from __future__ import annotations

from typing import Any

UNKNOWN = "unknown"  # what stands in the place of a class, or of labels
KNOWN_COLUMNS = ["known", "nearest"]  # of a CSV, with an index
KNOWN_FIELDS = {"known": float, "nearest": list[str]}  # of JSON


def known_entries(known: float | None, nearest: tuple[str, ...]) -> dict[str, Any]:
    """What JSON has of it, by `KNOWN_FIELDS`; nothing without an index (`known` is None).

    Examples
    --------
    >>> known_entries(0.5, ("a.jpg",)), known_entries(None, ())
    ({'known': 0.5, 'nearest': ['a.jpg']}, {})
    """
    return {} if known is None else {"known": known, "nearest": list(nearest)}


def known_cells(known: float | None, nearest: tuple[str, ...]) -> dict[str, str]:
    """What a CSV has of it, by `KNOWN_COLUMNS`; nothing without an index."""
    return {} if known is None else dict(zip(KNOWN_COLUMNS, (f"{known:.6f}", nearest[0]), strict=True))


def unknown_line(known: float | None, nearest: tuple[str, ...]) -> str:
    """What a person reads of an unknown photo."""
    return f"{UNKNOWN} (known: {known:.3f}), most like {', '.join(nearest)}"
