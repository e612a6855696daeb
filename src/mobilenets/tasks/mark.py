"""Where in a photo an answer speaks of something: boxes, heat, or nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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


class Placeless:
    """What speaks of a photo as a whole, as most answers do.

    Examples
    --------
    >>> Placeless().marks, Placeless().heat
    ((), None)
    """

    @property
    def marks(self) -> Sequence[Mark]:
        """No places."""
        return ()

    @property
    def heat(self) -> NDArray[np.float32] | None:
        """None."""
        return None
