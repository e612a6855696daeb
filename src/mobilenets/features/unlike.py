"""How unlike the training photos a photo is.

Of a probe, whose features are those of published weights, it is the cosine distance of the features' square roots from
the nearest training photo, times a power of their length. A network that was fine-tuned overlooks what does not tell
its classes apart. Two measures are taken of it, each divided by what few known photos exceed, and the larger one
counts: the Euclidean distance of the roots from the same photo, and of an earlier map the Mahalanobis distance of the
means of its channels from all training photos (Lee et al. 2018, 1807.03888), which tells photos of quite another kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenets.features.embeddings import Embeddings
from mobilenets.features.images import ImageFeatures
from mobilenets.features.neighbours import Features, Neighbours, nearest, roots, signed_roots, widened

# Which fraction of the known photos is below 1 by each measure. The second is to say little of known ones: at 0.95 it
# took a point and a half from the AUROC of classes that were left out (`docs/decisions/026-…`).
LEVELS = (0.95, 0.99)
_POWER = 0.75  # from 0.5 to 1 it makes little difference
_FOLDS = 5  # that training photos are held out in, where few others are
_TINY = 1e-6  # what rounding may leave of a distance that is none


@dataclass(frozen=True)
class Spread:
    """Where training photos lie, by the roots of the means of a map's channels.

    Attributes
    ----------
    centre
        float32 (C,): their mean.
    whitening
        float32 (C, C): what makes their covariance, shrunk by Ledoit and Wolf, that of independent numbers.

    Examples
    --------
    >>> from mobilenets.features.unlike import Spread
    >>> rows = np.array([[1.0, 2.0], [1.0, 4.0], [1.0, 6.0]], np.float32)
    >>> spread = Spread.of(rows)
    >>> far, further = spread.distances(np.array([[1.0, 9.0], [4.0, 4.0]], np.float32))
    >>> bool(further > far > spread.distances(rows).max())
    True
    """

    centre: Features
    whitening: Features

    @classmethod
    def of(cls, means: NDArray[np.floating]) -> Spread:
        """Of training photos (N, C), one or more."""
        rows = signed_roots(np.asarray(means, np.float32)).astype(np.float64)
        centre = rows.mean(0)
        values, directions = np.linalg.eigh(_shrunk(rows - centre))
        whitening = directions / np.sqrt(np.maximum(values, _TINY * max(float(values.max(initial=0)), _TINY)))
        return cls(centre.astype(np.float32), np.ascontiguousarray(whitening.T, np.float32))

    def distances(self, means: Features) -> Features:
        """Of photos (N, C), float32 (N,)."""
        result: Features = np.linalg.norm((signed_roots(means) - self.centre) @ self.whitening.T, axis=1)
        return result


def _shrunk(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The covariance of centred rows (N, C), with the part of the identity that Ledoit and Wolf (2004) found best."""
    count, width = rows.shape
    covariance = rows.T @ rows / count
    mean = np.trace(covariance) / width
    apart = ((covariance - mean * np.eye(width)) ** 2).sum()
    noise = ((np.einsum("ij,ij->i", rows, rows) ** 2).sum() / count - (covariance**2).sum()) / count
    part = min(1.0, max(0.0, noise / apart)) if apart > 0 else 1.0
    result: NDArray[np.float64] = (1 - part) * covariance + part * mean * np.eye(width)
    return result


@dataclass(frozen=True)
class Reference:
    """Training photos, as others are compared with them.

    Attributes
    ----------
    rows
        float32 (M, D): the roots of their features, of length 1.
    lengths
        float32 (M,): the lengths of the roots before.
    spread
        Of an earlier map; None of a probe, whose features tell by themselves.
    """

    rows: Features
    lengths: Features
    spread: Spread | None

    @classmethod
    def of(cls, train: ImageFeatures, spread: Spread | None) -> Reference:
        """Of training photos."""
        return cls(roots(train.features), root_lengths(widened(train.features), train.lengths), spread)

    def measures(self, near: Neighbours, seen: Embeddings) -> Features:
        """Of photos that were `seen` (N of them), and their neighbours: float32 (N, 1), or (N, 2) by `spread`."""
        distances, lengths = near.distances[:, 0], root_lengths(seen.features, seen.lengths[:, 0])
        if self.spread is None:
            scaled: Features = distances * lengths**_POWER
            return scaled[:, None]
        theirs = self.lengths[near.rows[:, 0]]
        euclidean = np.sqrt((lengths - theirs) ** 2 + 2 * lengths * theirs * distances)
        return np.stack([euclidean, self.spread.distances(seen.means)], axis=1)


def root_lengths(features: Features, lengths: Features) -> Features:
    """Of features (N, D) of length 1, and the lengths (N,) they had: the lengths of the roots of what they were."""
    result: Features = np.sqrt(np.abs(features).sum(1) * lengths)
    return result


def known_measures(train: ImageFeatures, held_out: ImageFeatures, reference: Reference, *, own: bool) -> Features:
    """The measures of held-out photos; with `own` of the training photos behind them, each without its own group."""
    near = nearest(roots(held_out.features), reference.rows, 1, held_out.groups, train.groups)
    found = [reference.measures(near, held_out.embeddings)]
    if own:
        near = nearest(reference.rows, reference.rows, 1, train.groups, train.groups)
        measures = reference.measures(near, train.embeddings)
        if reference.spread is not None:
            measures[:, 1] = _in_folds(train)
        found.append(measures)
    return np.concatenate(found)


def _in_folds(train: ImageFeatures) -> Features:
    """The distances (N,) of training photos from the spread of those in other folds, where there are any."""
    fold = np.unique(train.groups, return_inverse=True)[1] % _FOLDS
    distances = np.full(len(train), np.inf, np.float32)
    for k in range(_FOLDS):
        if (fold == k).any() and (fold != k).any():
            distances[fold == k] = Spread.of(train.means[fold != k]).distances(train.embeddings.means[fold == k])
    return distances


def levels_of(measures: Features) -> Features:
    """What few known photos exceed, float32 (K,), of measures (N, K) of known photos; 1 where there are none."""
    if not len(measures):
        return np.ones(measures.shape[1], np.float32)
    pairs = zip(measures.T, LEVELS, strict=False)
    return np.maximum([np.quantile(one, level) for one, level in pairs], _TINY).astype(np.float32)


def largest(measures: Features, levels: Features) -> Features:
    """How unlike photos with these measures (N, K) are, float32 (N,); of known ones about a twentieth is above 1."""
    result: Features = (measures / levels).max(1)
    return result
