"""How right sets of labels are, and how sure one can be of that. numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.tasks.bootstrap import DRAWS, draw_weights, interval95, mean_of_known
from mobilenets.tasks.classify.metrics import auroc, wilson

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

_SMALLEST = 1e-7  # of a probability, in the loss
GRID = np.round(np.arange(0.05, 0.951, 0.01), 2)  # thresholds tried: beyond them a label is always there, or never
ENOUGH_POSITIVES = 20  # with fewer a threshold is drawn towards one half


def score(probabilities: Floats, truth: Bools, classes: Sequence[str], thresholds: Floats) -> dict[str, Any]:
    """The content of metrics.json.

    Parameters
    ----------
    probabilities
        (N, K), N ≥ 1.
    truth
        (N, K), which labels each photograph has.
    classes
        K names.
    thresholds
        (K,), from which on a label is there.

    Returns
    -------
    dict
        `mAP`: mean over the labels that occur of the average precision, `macro_f1` the mean of their F1, `micro_f1`
        that of all decisions together, `exact_match` the fraction of photographs with every label right, `log_loss`
        the mean binary cross-entropy in nats. `…_ci95`: 95 % intervals, of exact match Wilson's, else by drawing the
        photographs anew 200 times. `per_class`: `ap`, `auroc`, `precision`, `recall`, `f1`, `threshold` and `n`, the
        photographs that have the label; None where none or all have it.

    Examples
    --------
    >>> truth = np.array([[True, False], [True, True], [False, False]])
    >>> figures = score(np.array([[0.9, 0.1], [0.8, 0.7], [0.3, 0.6]]), truth, ("cat", "dog"), np.array([0.5, 0.5]))
    >>> round(figures["mAP"], 3), round(figures["micro_f1"], 3), round(figures["exact_match"], 3)
    (1.0, 0.857, 0.667)
    """
    count, found = len(truth), probabilities >= thresholds
    positives = truth.sum(0)
    weights = draw_weights(count)
    hits, misses, alarms = (m.astype(np.float64) for m in (truth & found, truth & ~found, ~truth & found))

    def f1_of(rows: Floats) -> tuple[Floats, Floats]:
        """F1 of each class and of all decisions, (B, K) and (B,), with weights (B, N) of the photographs."""
        both, wrong = 2 * (rows @ hits), rows @ (misses + alarms)
        return _ratio(both, both + wrong), _ratio(both.sum(1), both.sum(1) + wrong.sum(1))

    whole = np.ones((1, count))
    precisions = average_precisions(probabilities, truth, whole)[0]
    drawn = average_precisions(probabilities, truth, weights)
    (f1,), micro = f1_of(whole)
    drawn_f1, drawn_micro = f1_of(weights)
    occurs = positives > 0
    right = int((found == truth).all(1).sum())
    return {
        "mAP": mean_of_known(precisions),
        "mAP_ci95": interval95(np.array([mean_of_known(row) for row in drawn])),
        "macro_f1": float(f1[occurs].mean()) if occurs.any() else 0.0,
        "macro_f1_ci95": interval95(drawn_f1[:, occurs].mean(1) if occurs.any() else np.zeros(DRAWS)),
        "micro_f1": float(micro[0]),
        "micro_f1_ci95": interval95(drawn_micro),
        "exact_match": right / count,
        "exact_match_ci95": list(wilson(right, count)),
        "log_loss": log_loss(probabilities, truth),
        "n": count,
        "labels_each": float(truth.sum(1).mean()),
        "classes": list(classes),
        "per_class": {
            name: {
                "ap": float(precisions[k]) if occurs[k] else None,
                "auroc": auroc(probabilities[:, k], truth[:, k].astype(np.int64)),
                "precision": float(hits[:, k].sum() / found[:, k].sum()) if found[:, k].any() else None,
                "recall": float(hits[:, k].sum() / positives[k]) if occurs[k] else None,
                "f1": float(f1[k]) if occurs[k] else None,
                "threshold": float(thresholds[k]),
                "n": int(positives[k]),
            }
            for k, name in enumerate(classes)
        },
    }


def average_precisions(probabilities: Floats, truth: Bools, weights: Floats) -> Floats:
    """Average precision of each label under each weighting (B, N) of the photographs, (B, K); NaN where none has it.

    The mean precision at each photograph that has the label, in the order of the probabilities; equal ones are at one
    place.

    Examples
    --------
    >>> average_precisions(np.array([[0.9], [0.8], [0.7]]), np.array([[True], [False], [True]]), np.ones((1, 3)))
    array([[0.83333333]])
    """
    result = np.empty((len(weights), truth.shape[1]))
    for k, (scores, there) in enumerate(zip(probabilities.T, truth.T, strict=True)):
        order = np.argsort(-scores, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
        ordered = weights[:, order]
        found, seen = (sums.cumsum(1)[:, ends] for sums in (ordered * there[order], ordered))
        gained = np.diff(found, axis=1, prepend=0)
        total = found[:, -1]
        result[:, k] = np.divide(
            (gained * _ratio(found, seen)).sum(1), total, out=np.full(len(weights), np.nan), where=total > 0
        )
    return result


def mean_average_precision(probabilities: Floats, truth: Bools) -> float:
    """The mean over the labels that occur; 0 where none does."""
    return mean_of_known(average_precisions(probabilities, truth, np.ones((1, len(truth))))[0])


def log_loss(probabilities: Floats, truth: Bools) -> float:
    """The mean binary cross-entropy over photographs and labels, in nats.

    Examples
    --------
    >>> round(log_loss(np.array([[0.5, 0.5]]), np.array([[True, False]])), 4)
    0.6931
    """
    return float(log_losses(probabilities, truth).mean())


def log_losses(probabilities: Floats, truth: Bools) -> Floats:
    """The binary cross-entropy of each photo and label (N, K), in nats."""
    right = np.where(truth, probabilities, 1 - probabilities).astype(np.float64)
    losses: Floats = -np.log(np.clip(right, _SMALLEST, 1))
    return losses


def choose_thresholds(probabilities: Floats, truth: Bools) -> Floats:
    """From which probability on each label is there: where its F1 is best, 0.05 to 0.95; float64 (K,).

    Of equally good ones the nearest to one half. With fewer than 20 photographs that have the label it is drawn towards
    one half, in proportion: the best of many thresholds on a few photographs is luck.

    Examples
    --------
    >>> truth = np.array([[True]] * 20 + [[False]] * 20)
    >>> choose_thresholds(np.where(truth, 0.3, 0.1), truth).tolist()
    [0.3]
    """
    result = np.full(truth.shape[1], 0.5)
    for k, (scores, there) in enumerate(zip(probabilities.T, truth.T, strict=True)):
        positives = int(there.sum())
        if positives in (0, len(there)):
            continue
        found = scores[:, None] >= GRID
        hits = (found & there[:, None]).sum(0)
        f1 = 2 * hits / (found.sum(0) + positives)
        best = np.flatnonzero(f1 >= f1.max() - 1e-12)
        chosen = GRID[best[np.argmin(np.abs(GRID[best] - 0.5))]]
        result[k] = round(0.5 + (chosen - 0.5) * min(1.0, positives / ENOUGH_POSITIVES), 2)
    return result


def compare(expected: Floats, found: Floats, thresholds: Floats) -> tuple[float, float]:
    """Of two networks' probabilities (N, K) the fraction of images with the same labels, and the largest difference.

    Examples
    --------
    >>> compare(np.array([[0.5, 0.2]]), np.array([[0.75, 0.2]]), np.array([0.5, 0.5]))
    (1.0, 0.25)
    """
    same = ((expected >= thresholds) == (found >= thresholds)).all(1)
    return float(same.mean()), float(np.abs(expected - found).max())


def _ratio(part: Floats, whole: Floats) -> Floats:
    """`part / whole`, 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)
