"""Something wrong with labels, as a task finds it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelFault:
    """Something wrong with labels: its `kind`, as an audit calls it, how bad it is, 0 to 1, and why, in words.

    `label`: the number of the label text that has it; None: all of them together.
    """

    kind: str
    label: int | None
    score: float
    why: str
