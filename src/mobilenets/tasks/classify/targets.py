"""Labels are class names; what the network is to say of one is 1 for its class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenets.errors import DataError
from mobilenets.tasks.names import check_encodable


def check(data: Path, classes: Sequence[str], images: int) -> None:
    """Refuse fewer than two classes, and names that are no text.

    Raises
    ------
    DataError
        As said.

    Examples
    --------
    >>> check(Path("photos"), ["rose"], 12)
    Traceback (most recent call last):
    mobilenets.errors.DataError: photos: only the class 'rose' (12 photos); a classifier needs at least two \
classes, one folder (or label) each
    """
    if len(classes) < 2:
        count = f"{images:,} photo{'' if images == 1 else 's'}"
        only = f"only the class {classes[0]!r} ({count})" if classes else "no training images"
        raise DataError(f"{data}: {only}; a classifier needs at least two classes, one folder (or label) each")
    for name in classes:
        check_encodable(data, name)


def one_hot(classes: int) -> NDArray[np.float32]:
    """The target of each class, float32 (K, K).

    Examples
    --------
    >>> one_hot(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return np.eye(classes, dtype=np.float32)
