"""A place in a photo that an answer speaks of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """A box in the upright photo, and what is seen there.

    Attributes
    ----------
    label
        Its class.
    figure
        What stands behind the class, as a score.
    box
        Left, top, right and bottom edge, 0 to 1.

    Examples
    --------
    >>> Mark("dog", "0.75", (0.1, 0.2, 0.5, 0.9)).label
    'dog'
    """

    label: str
    figure: str
    box: tuple[float, float, float, float]
