"""What a network saw in some photographs, as an exported file gives it beside the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mobilenets.features.neighbours import Features


class Embeddings(NamedTuple):
    """What a network saw in N photographs.

    Attributes
    ----------
    features
        float32 (N, D), each of length 1: the vectors before the classifier, divided by their lengths.
    lengths
        float32 (N, 1): these.
    means
        float32 (N, C): of each channel of an earlier map the mean over its places.
    """

    features: Features
    lengths: Features
    means: Features

    @classmethod
    def of(cls, features: Features, lengths: Features | None = None, means: Features | None = None) -> Embeddings:
        """Of outputs of a file, some of which give features alone."""
        return cls(
            features,
            np.ones((len(features), 1), np.float32) if lengths is None else lengths,
            np.zeros((len(features), 0), np.float32) if means is None else means,
        )

    @classmethod
    def joined(cls, parts: Sequence[Embeddings]) -> Embeddings:
        """One after another."""
        return cls(*map(np.concatenate, zip(*parts, strict=True)))

    @property
    def vectors(self) -> Features:
        """What the classifier sees, float32 (N, D)."""
        result: Features = self.features * self.lengths
        return result
