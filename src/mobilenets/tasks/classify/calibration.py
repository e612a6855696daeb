"""How far stated probabilities can be relied on, and when to say "not sure". numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.errors import MissingExtraError
from mobilenets.tasks.classify.metrics import (
    ECE_BINS,
    FloatArray,
    IntArray,
    calibration_error,
    confidence_bins,
    softmax,
)

_COLDEST, _HOTTEST = 0.05, 20.0  # temperatures looked at: beyond them probabilities are 0 and 1, or all equal


@dataclass(frozen=True)
class Bin:
    """Photographs whose confidence lies in one bin: their number, mean confidence and fraction of right answers."""

    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class TemperatureScaling:
    """Calibration error before and after temperature scaling, each photograph scaled by the other half's temperature.

    `temperature` is fitted on all photographs: the one to use on new ones. None, with `after`, where there are too few.
    """

    before: float
    after: float | None
    temperature: float | None


@dataclass(frozen=True)
class Coverage:
    """Answering only above a threshold: arrays over the photographs, from the most to the least confident.

    `threshold` is the confidence of each, `coverage` the fraction of photographs at or above it, `accuracy` the
    fraction of those that is right.
    """

    threshold: NDArray[np.float64]
    coverage: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def scale(probabilities: FloatArray, temperature: float) -> NDArray[np.float64]:
    """Probabilities (N, K) with their logits divided by `temperature` (Guo et al. 2017, 1706.04599, §4.2).

    The logits are known up to a constant per row, which the softmax takes out.

    Examples
    --------
    >>> scale(np.array([[0.9, 0.1]]), 2.0).round(2).tolist()
    [[0.75, 0.25]]
    """
    return softmax(_logits(probabilities) / temperature)


def _logits(probabilities: FloatArray) -> NDArray[np.float64]:
    result: NDArray[np.float64] = np.log(np.clip(np.asarray(probabilities, np.float64), 1e-12, 1))
    return result


def fit_temperature(probabilities: FloatArray, labels: IntArray) -> float:
    """The temperature with the least log loss, 0.05 to 20.

    Parameters
    ----------
    probabilities
        (N, K), of images that were not trained on.
    labels
        (N,), the truth of each: 0…K-1.

    Raises
    ------
    UserError
        scipy is not installed.

    Examples
    --------
    >>> sure = np.array([[0.99, 0.01]] * 4)  # of four answers three are right: 0.75 would be true
    >>> temperature = fit_temperature(sure, np.array([0, 0, 0, 1]))
    >>> scale(sure, temperature)[0].round(2).tolist()
    [0.75, 0.25]
    """
    try:
        from scipy.optimize import minimize_scalar  # where it is used: what predicts and evaluates does without
    except ModuleNotFoundError:
        raise MissingExtraError("temperature scaling needs scipy; run: pip install 'mobilenets[train]'") from None

    logits = _logits(probabilities)
    truth = logits[np.arange(len(labels)), labels]

    def loss(inverse: float) -> float:
        """As `log_loss` of `scale`, without its bound: flat where every mistake is sure, it would have no minimum."""
        scaled = logits * inverse
        highest = scaled.max(1)
        return float((highest + np.log(np.exp(scaled - highest[:, None]).sum(1)) - truth * inverse).mean())

    # Over 1 / temperature the loss is convex.
    found = minimize_scalar(loss, bounds=(1 / _HOTTEST, 1 / _COLDEST), method="bounded", options={"xatol": 1e-9})
    if loss(1 / _COLDEST) <= found.fun:  # all answers are right: the loss falls to the end, or is zero before it
        return _COLDEST
    return 1 / float(found.x)


def calibrate(probabilities: FloatArray, labels: IntArray, min_images: int = 40) -> TemperatureScaling:
    """Temperature scaling measured on photographs it was not fitted on.

    One half (every second image of each class) gives the temperature for the other, and the other way round.

    Parameters
    ----------
    probabilities
        (N, K), of images that were not trained on.
    labels
        (N,), the truth of each: 0…K-1.
    min_images
        Below this number nothing is fitted.

    Raises
    ------
    UserError
        scipy is not installed.

    Examples
    --------
    >>> calibrate(np.array([[0.99, 0.01]] * 4), np.array([0, 0, 0, 1])).temperature is None  # too few
    True
    """
    before = calibration_error(probabilities, labels)
    if len(labels) < min_images:
        return TemperatureScaling(before, None, None)
    order = np.argsort(labels, kind="stable")
    half = np.zeros(len(labels), bool)
    half[order[::2]] = True
    scaled = np.empty(probabilities.shape)
    for fitted, scored in ((half, ~half), (~half, half)):
        scaled[scored] = scale(probabilities[scored], fit_temperature(probabilities[fitted], labels[fitted]))
    return TemperatureScaling(before, calibration_error(scaled, labels), fit_temperature(probabilities, labels))


def reliability(probabilities: FloatArray, labels: IntArray, bins: int = ECE_BINS) -> list[Bin | None]:
    """The bins of the calibration error, from confidence 0 to 1; None where there is no photograph."""
    confidence, right, index = confidence_bins(probabilities, labels, bins)
    members = [index == k for k in range(bins)]
    return [
        Bin(int(m.sum()), float(confidence[m].mean()), float(right[m].mean())) if m.any() else None for m in members
    ]


def coverage(probabilities: FloatArray, labels: IntArray) -> Coverage:
    """Accuracy against the fraction of photographs answered; equal confidences are answered or refused together.

    Examples
    --------
    >>> curve = coverage(np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]]), np.array([0, 0, 1]))
    >>> curve.coverage.round(2).tolist(), curve.accuracy.round(2).tolist()
    ([0.33, 0.67, 1.0], [1.0, 1.0, 0.67])
    """
    confidence: NDArray[Any] = probabilities.max(1).astype(np.float64)
    order = np.argsort(-confidence, kind="stable")
    ranked, right = confidence[order], (probabilities.argmax(1) == labels)[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # of each run of equal confidences
    count = last + 1
    return Coverage(ranked[last], count / len(ranked), right.cumsum()[last] / count)


def threshold_for(curve: Coverage, precision: float) -> tuple[float, float] | None:
    """The threshold that answers most while at least `precision` of the answers are right, and its coverage.

    None where no threshold does.

    Examples
    --------
    >>> curve = coverage(np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]]), np.array([0, 0, 1]))
    >>> threshold, answered = threshold_for(curve, precision=0.95)
    >>> threshold, round(answered, 2)
    (0.8, 0.67)
    """
    enough = np.flatnonzero(curve.accuracy >= precision)
    if not len(enough):
        return None
    best = enough[-1]
    return float(curve.threshold[best]), float(curve.coverage[best])
