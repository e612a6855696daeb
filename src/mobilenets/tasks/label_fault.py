"""Something wrong with labels, as a task finds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


def few(kind: str, counts: Mapping[str, int], enough: int, unit: str, units: str) -> Iterator[LabelFault]:
    """A fault of this `kind` for each name that `counts` has fewer than `enough` of, as `unit` or `units`.

    Examples
    --------
    >>> [(fault.why, fault.score) for fault in few("box_few", {"dog": 30, "cat": 5}, 20, "box", "boxes")]
    [('cat: 5 boxes', 0.75)]
    """
    for name, count in sorted(counts.items()):
        if count < enough:
            yield LabelFault(kind, None, 1 - count / enough, f"{name}: {count} {unit if count == 1 else units}")
