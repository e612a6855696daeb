"""What is computed of one photo, or why there is nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mobilenets.features.index import Likeness
from mobilenets.runtime.base import Features
from mobilenets.tasks.task import Outputs


@dataclass(frozen=True)
class Failure:
    """A photo that could not be read.

    Attributes
    ----------
    path
        The file; None for one in memory.
    error
        Why, in one line that names the remedy.
    """

    path: str | None
    error: str


class Row(NamedTuple):
    """What is computed of one photo.

    Attributes
    ----------
    outputs, likeness, features
        float32 (W,), as the task has them; how like the training photos it is, None without an index; float32 (D,) of
        length 1, None where nothing is compared with them.
    size
        Width and height of the upright photo in pixels; None of what was computed of pixels alone.
    """

    outputs: Outputs
    likeness: Likeness | None = None
    features: Features | None = None
    size: tuple[int, int] | None = None
