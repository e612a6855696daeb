"""The linear probe: a logistic head on frozen features, in seconds.

Below some eight hundred photographs this is as good as fine-tuning (1805.08974, §4.7), and always the
right first measurement.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from torch import nn

from mobilenets.tasks.classify.metrics import log_loss, softmax
from mobilenets.training.recipe import ProbeRecipe

MAX_STEPS = 300
ENOUGH_HELD_OUT = 100  # rows that tell one strength from another


@dataclass(frozen=True)
class Head:
    """A linear classifier on features: `weight` float32 (K, D), `bias` float32 (K,), and the C chosen."""

    weight: np.ndarray
    bias: np.ndarray
    strength: float

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Softmax of the logits, float32 (N, K), of features (N, D)."""
        return softmax(x @ self.weight.T + self.bias)

    @torch.no_grad()
    def put_into(self, classifier: nn.Linear, labels: np.ndarray | None = None) -> None:
        """Make it the network's classifier; with `labels` int (K,), the rows of these classes only."""
        rows = slice(None) if labels is None else torch.from_numpy(labels)
        classifier.weight[rows] = torch.from_numpy(self.weight)
        classifier.bias[rows] = torch.from_numpy(self.bias)


def fit_head(x: np.ndarray, y: np.ndarray, recipe: ProbeRecipe, seed: int, balanced: bool = False) -> Head:
    """The head for features `x` float32 (N, D) and labels `y` int (N,) with classes 0…K-1 all present.

    Its regularisation is chosen by log loss on a stratified part of `x`, or parts, and then applied to all of it.
    """
    return fit(x, y, choose_strength(x, y, recipe, seed, balanced), balanced)


def choose_strength(x: np.ndarray, y: np.ndarray, recipe: ProbeRecipe, seed: int, balanced: bool) -> float:
    """The strength with the least log loss on a held-out part.

    A part of few rows says little: each is then held out in turn, and the geometric mean of what they choose is taken.
    Of a class with a single row nothing is held out.
    """
    counts = np.bincount(y)
    (several,), (single,) = (counts[y] > 1).nonzero(), (counts[y] == 1).nonzero()
    if len(counts) - len(single) < 2 or recipe.holdout * len(several) < len(counts):
        return recipe.strengths[len(recipe.strengths) // 2]  # too few to hold a part out

    def best(part: np.ndarray, rest: np.ndarray) -> float:
        part = np.concatenate([part, single])
        return _best_strength(x[part], y[part], x[rest], y[rest], recipe.strengths, balanced)

    if recipe.holdout * len(several) >= ENOUGH_HELD_OUT:
        return best(*train_test_split(several, test_size=recipe.holdout, stratify=y[several], random_state=seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer rows than there are parts
        parts = StratifiedKFold(round(1 / recipe.holdout), shuffle=True, random_state=seed)
        return geometric_mean(best(several[part], several[rest]) for part, rest in parts.split(several, y[several]))


def _best_strength(
    part: np.ndarray,
    part_y: np.ndarray,
    rest: np.ndarray,
    rest_y: np.ndarray,
    strengths: Sequence[float],
    balanced: bool,
) -> float:
    """The strength with which a head for a `part` has the least log loss on the `rest`.

    From the strongest regularisation on, each fit starts from the one before; once two in a row are worse than the
    best, weaker ones only overfit more.
    """
    mean, std = standardisation(part)
    part, rest = (part - mean) / std, (rest - mean) / std
    solver = _solver(balanced, warm_start=True, tol=1e-3)  # a ranking needs no last digits
    losses: dict[float, float] = {}
    for strength in sorted(strengths):
        _fit(solver.set_params(C=strength), part, part_y)
        losses[strength] = log_loss(solver.predict_proba(rest), rest_y)
        if min(losses.values()) < min(list(losses.values())[-2:]):
            break
    return min(losses, key=lambda c: losses[c])


def fit(x: np.ndarray, y: np.ndarray, strength: float, balanced: bool) -> Head:
    """The head of one `strength` for features `x` float32 (N, D) and labels `y` int (N,), classes 0…K-1 all present."""
    mean, std = standardisation(x)
    solver = _solver(balanced, C=strength)
    _fit(solver, (x - mean) / std, y)
    weight, bias = solver.coef_, solver.intercept_
    if len(weight) == 1:  # two classes: scikit-learn keeps one row, the logit difference
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight = weight / std  # the standardisation becomes part of the head
    return Head(weight.astype(np.float32), (bias - weight @ mean).astype(np.float32), strength)


def standardisation(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of every feature, float32 (D,), none of them 0."""
    return x.mean(0), x.std(0) + 1e-6


def _solver(balanced: bool, **options: Any) -> LogisticRegression:
    return LogisticRegression(max_iter=MAX_STEPS, class_weight="balanced" if balanced else None, **options)


def _fit(solver: LogisticRegression, x: np.ndarray, y: np.ndarray) -> None:
    """Fit without scikit-learn's doubts: the bound on steps is meant, and many classes of few rows are no numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        solver.fit(x, y)
