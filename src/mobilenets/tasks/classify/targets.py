"""Labels are class names; what the network is to say of one is 1 for its class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def one_hot(classes: int) -> NDArray[np.float32]:
    """The target of each class, float32 (K, K).

    Examples
    --------
    >>> one_hot(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return np.eye(classes, dtype=np.float32)
