"""How right a classifier is, and how sure one can be of that. numpy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]

ECE_BINS = 15  # Guo et al. 2017 (1706.04599)
_Z95 = 1.959963984540054  # standard normal quantile at 0.975


def score(probabilities: FloatArray, labels: IntArray, classes: Sequence[str]) -> dict[str, Any]:
    """The content of metrics.json, from probabilities (N, K) and labels (N,) in 0…K-1, N ≥ 1.

    Parameters
    ----------
    probabilities
        (N, K), of each image and class.
    labels
        (N,), the truth of each image.
    classes
        K names, in the order of the probabilities.

    Returns
    -------
    dict
        Balanced accuracy is the mean recall, macro F1 the mean F1, over classes that occur in `labels`; figures of the
        others are None. `accuracy_ci95` is Wilson's interval, `ece` the expected calibration error over 15 bins of
        equal width, `auroc` (two classes only) that of the second class; `confusion` has the truth in rows.

    Examples
    --------
    >>> result = score(np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]]), np.array([0, 1, 1]), ("daisy", "rose"))
    >>> round(result["accuracy"], 3), result["balanced_accuracy"], result["confusion"]
    (0.667, 0.75, [[1, 0], [1, 1]])
    """
    count = len(classes)
    predicted = probabilities.argmax(1)
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    hits, truths, guesses = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    recall = _ratio(hits, truths)
    precision = _ratio(hits, guesses)
    f1 = _ratio(2 * hits, truths + guesses)
    there = truths > 0
    result: dict[str, Any] = {
        "accuracy": float(hits.sum() / len(labels)),
        "accuracy_ci95": list(wilson(int(hits.sum()), len(labels))),
        "balanced_accuracy": float(recall[there].mean()),
        "macro_f1": float(f1[there].mean()),
        "top5": top_k(probabilities, labels, 5) if count > 5 else None,
        "log_loss": log_loss(probabilities, labels),
        "ece": calibration_error(probabilities, labels),
        "n": len(labels),
        "classes": list(classes),
        "per_class": {
            name: {
                "precision": float(precision[k]) if there[k] else None,
                "recall": float(recall[k]) if there[k] else None,
                "f1": float(f1[k]) if there[k] else None,
                "n": int(truths[k]),
            }
            for k, name in enumerate(classes)
        },
        "confusion": confusion.tolist(),
    }
    if count == 2:
        result["auroc"] = auroc(probabilities[:, 1], labels)
    return result


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a fraction of `hits` in `n` ≥ 1 (Wilson 1927): right also near 0, 1 and for small n.

    Examples
    --------
    >>> low, high = wilson(45, 50)
    >>> round(low, 3), round(high, 3)
    (0.786, 0.957)
    """
    fraction, square = hits / n, _Z95**2
    middle = fraction + square / (2 * n)
    half = _Z95 * math.sqrt(fraction * (1 - fraction) / n + square / (4 * n * n))
    scale = 1 + square / n
    # At the ends both are equal but for rounding, which must not put the fraction outside its interval.
    return (middle - half) / scale if hits else 0.0, (middle + half) / scale if hits < n else 1.0


def log_loss(probabilities: FloatArray, labels: IntArray) -> float:
    """Mean negative log probability of the truth, in nats; probabilities below 1e-12 count as that.

    Examples
    --------
    >>> round(log_loss(np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([0, 1])), 4)
    0.6931
    """
    truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(truth, 1e-12, 1)).mean())


def accuracy(probabilities: FloatArray, labels: IntArray) -> float:
    """Fraction of images whose most probable class is the truth.

    Examples
    --------
    >>> accuracy(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1]))
    0.5
    """
    return float((probabilities.argmax(1) == labels).mean())


def compare(expected: FloatArray, found: FloatArray) -> tuple[float, float]:
    """Of two networks' probabilities (N, K) the fraction of images with the same class, and the largest difference.

    Examples
    --------
    >>> compare(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([[0.75, 0.25], [0.75, 0.25]]))
    (0.5, 0.5)
    """
    return float((expected.argmax(1) == found.argmax(1)).mean()), float(np.abs(expected - found).max())


def top_k(probabilities: FloatArray, labels: IntArray, k: int) -> float:
    """Fraction of images whose truth is among the `k` most probable classes.

    Examples
    --------
    >>> top_k(np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), np.array([1, 2]), 2)
    0.5
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((best == labels[:, None]).any(1).mean())


def calibration_error(probabilities: FloatArray, labels: IntArray, bins: int = ECE_BINS) -> float:
    """Mean distance of confidence and accuracy over bins of confidence, weighted by their images.

    Examples
    --------
    >>> round(calibration_error(np.array([[0.8, 0.2]] * 4), np.array([0, 0, 0, 1])), 4)  # 0.8 said, 0.75 right
    0.05
    """
    confidence, right, index = confidence_bins(probabilities, labels, bins)
    gap = np.bincount(index, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def confidence_bins(
    probabilities: FloatArray, labels: IntArray, bins: int = ECE_BINS
) -> tuple[NDArray[np.float64], NDArray[np.bool_], IntArray]:
    """Of each image (N,) its confidence, whether its answer is right, and its bin of equal width, 0…`bins`-1."""
    confidence = probabilities.max(1).astype(np.float64)
    right: NDArray[np.bool_] = probabilities.argmax(1) == labels
    return confidence, right, np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Probabilities (N, K) of logits (N, K), in their precision."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    result: NDArray[Any] = powers / powers.sum(1, keepdims=True)
    return result


def auroc(scores: FloatArray, labels: IntArray) -> float | None:
    """Probability that a random positive scores above a random negative; ties count half.

    None where only one of the two classes occurs.

    Examples
    --------
    >>> auroc(np.array([0.9, 0.4, 0.6, 0.1]), np.array([1, 1, 0, 0]))
    0.75
    """
    positive, negative = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    if not len(positive) or not len(negative):
        return None
    below = np.searchsorted(negative, positive, "left")
    not_above = np.searchsorted(negative, positive, "right")
    return float((below + not_above).sum() / (2 * len(positive) * len(negative)))


def _ratio(part: IntArray, whole: IntArray) -> NDArray[np.float64]:
    """`part / whole`, 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
