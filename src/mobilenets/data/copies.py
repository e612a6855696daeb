"""What copies of a photo, byte for byte, do to the labels and the figures of a training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mobilenets.data.manifest import Manifest
from mobilenets.data.sources.survey import count_text


def copy_lines(listed: Manifest, *, has_boxes: bool = False) -> list[str]:
    """A warning for copies with different labels, and one for copies of training photos among those that measure.

    `has_boxes`: labels are drawn by hand, and no two alike.

    Examples
    --------
    >>> import numpy as np
    >>> names, same = ["cat/1.jpg", "dog/2.jpg"], np.ones((2, 32), np.uint8)
    >>> listed = Manifest(names, ["cat", "dog"], ["train", "val"], np.array([9, 9]), same, ["/photos"] * 2)
    >>> for line in copy_lines(listed):
    ...     print(line)
    warning: 1 photo has copies with another label (cat/1.jpg 'cat', dog/2.jpg 'dog'); 'audit' lists them
    warning: 1 photo of val is a copy of a training photo (dog/2.jpg of cat/1.jpg): too easy; 'audit' lists them
    """
    rows_of: dict[bytes, list[int]] = {}
    for i in np.flatnonzero(listed.hashed).tolist():
        rows_of.setdefault(listed.digests[i].tobytes(), []).append(i)
    copies = [rows for rows in rows_of.values() if len(rows) > 1]
    lines = []
    torn = [pair for rows in copies if (pair := _first_two(rows, listed.labels)) is not None]
    if torn and not has_boxes:
        one, other = ((listed.paths[i], listed.labels[i]) for i in torn[0])
        lines.append(
            f"warning: {count_text(len(torn))} {'has' if len(torn) == 1 else 'have'} copies with another label "
            f"({one[0]} {one[1]!r}, {other[0]} {other[1]!r}); 'audit' lists them"
        )
    for split in ("val", "test"):
        leaks = [
            (rows_of_training[0], i)
            for rows in copies
            if (rows_of_training := [i for i in rows if listed.splits[i] == "train"])
            for i in rows
            if listed.splits[i] == split
        ]
        if leaks:
            trained, measured = (listed.paths[i] for i in leaks[0])
            are = "is a copy of a training photo" if len(leaks) == 1 else "are copies of training photos"
            lines.append(
                f"warning: {count_text(len(leaks))} of {split} {are} ({measured} of {trained}): too easy; "
                "'audit' lists them"
            )
    return lines


def _first_two(rows: Sequence[int], labels: Sequence[str]) -> tuple[int, int] | None:
    """Two rows with different labels; None where all are labelled alike."""
    return next(((rows[0], i) for i in rows if labels[i] != labels[rows[0]]), None)
