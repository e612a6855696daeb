"""Likely wrong labels: where a probe that never saw a picture confidently says another class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from mobilenets.errors import DataError, MissingExtraError
from mobilenets.tasks.classify.label_errors import Doubt
from mobilenets.training.probe.head import choose_strength, fit
from mobilenets.training.recipe import ProbeRecipe

FOLDS = 5


def find_label_errors(
    features: NDArray[np.float32], labels: NDArray[np.int64], groups: NDArray[np.int64], seed: int = 0
) -> list[Doubt]:
    """Confident learning (Northcutt et al. 2021, 1911.00068) over cross-validated probabilities of a linear probe.

    Pictures of one group stay in one fold: a mislabelled shot must not vouch for its twin.

    Raises
    ------
    UserError
        cleanlab is not installed, or a class has too few pictures (or groups) for the folds.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ModuleNotFoundError:
        raise MissingExtraError("cleanlab is not installed; run: pip install 'mobilenets[audit]'") from None
    present, y = np.unique(labels, return_inverse=True)
    probabilities = cross_validated(features, y, groups, seed)
    # One process: a copy of everything for each of several would cost more than it saves.
    wrong = find_label_issues(y, probabilities, filter_by="both", n_jobs=1)
    return [
        Doubt(int(i), int(present[probabilities[i].argmax()]), float(1 - probabilities[i, y[i]]))
        for i in np.flatnonzero(wrong)
        if probabilities[i].argmax() != y[i]
    ]


def cross_validated(
    x: NDArray[np.float32], y: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> NDArray[np.float64]:
    """Probabilities (N, K) of each picture by a probe that was fitted without it and its group.

    Raises
    ------
    UserError
        A class in fewer than `FOLDS` groups.
    """
    fewest = min(len(np.unique(groups[y == k])) for k in range(int(y.max()) + 1))
    if fewest < FOLDS or y.max() == 0:
        raise DataError(f"the smallest class has {fewest} different photos; judging needs {FOLDS} and two classes")
    strength = choose_strength(x, y, ProbeRecipe(), seed, balanced=False)
    result = np.zeros((len(y), int(y.max()) + 1))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for rest, part in folds.split(x, y, groups):
        if len(np.unique(y[rest])) < result.shape[1]:
            raise DataError("a class stands in one group of near-identical photos; judging needs more of it")
        result[part] = fit(x[rest], y[rest], strength, balanced=False).probabilities(x[part])
    return result
