"""How well defects are told from good ones, and from which score on a photo is one. numpy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.tasks.classify.metrics import auroc, wilson

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

ACCEPTED = 0.99  # of held-out good ones, where no defects say better


def choose_threshold(scores: Floats, is_defect: Bools) -> float:
    """From which score on a photo is a defect: by the best F1, or, without defects, so that 99 % of the good pass.

    It lies in the middle of two scores that are far apart, so that no photo changes sides by another rounding.

    Parameters
    ----------
    scores
        float (N,), 0 to 1, of held-out photos, good ones among them.
    is_defect
        bool (N,).

    Examples
    --------
    >>> scores = np.array([0.1, 0.2, 0.3, 0.7, 0.8])
    >>> choose_threshold(scores, scores > 0.5), round(choose_threshold(scores[:3], np.zeros(3, bool)), 3)
    (0.5, 0.35)
    """
    order = np.argsort(scores, kind="stable")
    values, defect = scores[order].astype(np.float64), is_defect[order]
    if not defect.any():
        last = math.ceil(ACCEPTED * len(values)) - 1
        if last + 1 < len(values):
            return float((values[last] + values[last + 1]) / 2)
        # All pass: by half of what the two strangest differ, as the next good one may be as much stranger.
        margin = (values[-1] - values[-2]) / 2 if len(values) > 1 else 0.0
        return float(min(1.0, values[-1] + max(margin, 0.01)))
    lower, upper = np.concatenate([[0.0], values]), np.concatenate([values, [1.0]])
    found = np.concatenate([[defect.sum()], defect.sum() - np.cumsum(defect)])  # with a threshold in each gap
    flagged = len(values) - np.arange(len(values) + 1)
    f1 = 2 * found / (flagged + defect.sum())
    gaps = np.where(upper > lower, upper - lower, -1.0)  # equal scores cannot be told apart
    best = f1[gaps > 0].max(initial=0.0)
    chosen = int(np.where((f1 >= best - 1e-12), gaps, -1.0).argmax())
    return float((lower[chosen] + upper[chosen]) / 2)


def score(
    scores: Floats, is_defect: Bools, labels: NDArray[np.int64], texts: Sequence[str], threshold: float
) -> dict[str, Any]:
    """The content of metrics.json.

    Parameters
    ----------
    scores
        float (N,), N ≥ 1.
    is_defect
        bool (N,), which of the photos have one.
    labels, texts
        Of each photo the number of its label text.
    threshold
        From which score on it is called a defect.

    Returns
    -------
    dict
        `accuracy`: the fraction on the right side of the threshold, with its 95 % interval; `auroc`: of a good one and
        a defect, how often the defect is the stranger; `good_accepted` and `defects_found`: the fractions of either on
        their side; `f1` of the defects. Those that need photos which are not there are None. `per_class`: of each label
        text the fraction `flagged` as defects, the median `score` and `n`.

    Examples
    --------
    >>> scores, is_defect = np.array([0.1, 0.6, 0.9]), np.array([False, False, True])
    >>> figures = score(scores, is_defect, np.array([1, 1, 0]), ["defect", "good"], 0.5)
    >>> figures["auroc"], figures["good_accepted"], figures["defects_found"]
    (1.0, 0.5, 1.0)
    """
    flagged, count = scores >= threshold, len(scores)
    right = int((flagged == is_defect).sum())
    good, bad = int((~is_defect).sum()), int(is_defect.sum())
    hits = int((flagged & is_defect).sum())
    return {
        "accuracy": right / count,
        "accuracy_ci95": list(wilson(right, count)),
        "auroc": auroc(scores, is_defect.astype(np.int64)) if good and bad else None,
        "good_accepted": float((~flagged[~is_defect]).mean()) if good else None,
        "defects_found": hits / bad if bad else None,
        "f1": 2 * hits / (int(flagged.sum()) + bad) if bad else None,
        "threshold": threshold,
        "n": count,
        "good": good,
        "defects": bad,
        "per_class": {
            text: {
                "flagged": float(flagged[labels == k].mean()),
                "score": float(np.median(scores[labels == k])),
                "n": int((labels == k).sum()),
            }
            for k, text in enumerate(texts)
            if (labels == k).any()
        },
    }
