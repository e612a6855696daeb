"""What a network sees in an image, as numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenets.preprocess import Preprocess


@dataclass(frozen=True)
class FeatureExtractor:
    """Of a network: `extract` turns uint8 pixels (N, H, W, C) of `preprocess` into float32 features (N, D)."""

    preprocess: Preprocess
    extract: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
