"""What an exported file gives, and what is done behind it."""

from __future__ import annotations

from typing import NamedTuple


class End(NamedTuple):
    """What an exported file gives: the name, the shape for one photo and the dtype of one of its outputs."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


class Suppression(NamedTuple):
    """Which of overlapping boxes stay: those of a score above `min_score`, of two of a class whose IoU is above
    `max_overlap` the one with the higher score, and at most `max_boxes` in all.
    """

    min_score: float
    max_overlap: float
    max_boxes: int
