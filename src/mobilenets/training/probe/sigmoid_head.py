"""A linear probe for labels that do not exclude each other: a regularised logistic regression for each.

Their losses are added up, which leaves each its own optimum, and descended together: one product of matrices for all
labels in each step, where one regression after another takes as many times as long as there are labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from mobilenets.tasks.multilabel.metrics import log_loss
from mobilenets.training.probe.head import MAX_STEPS, Head, standardisation
from mobilenets.training.recipe import ProbeRecipe

_RANKED, _EXACT = 1e-3, 1e-4  # largest slope at the end; a ranking needs no last digits


@dataclass(frozen=True)
class SigmoidHead(Head):
    """A linear layer whose outputs are judged each by itself."""

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Sigmoid of the logits, float32 (N, K), of features (N, D)."""
        return _sigmoid(x @ self.weight.T + self.bias)


def fit_sigmoid_head(
    x: np.ndarray, truth: np.ndarray, recipe: ProbeRecipe, seed: int, balanced: bool = False
) -> SigmoidHead:
    """The head for features `x` float32 (N, D) and labels `truth` bool (N, K).

    One regularisation for all labels is chosen by the mean log loss on a part of `x` and then applied to all of it.
    `balanced`: photographs with and without a label count alike.
    """
    strength = _choose_strength(x, truth, recipe, seed, balanced)
    mean, std = standardisation(x)
    rows = _fitted((x - mean) / std, truth, strength, balanced, _EXACT)
    weight = rows[:, :-1] / std  # the standardisation becomes part of the head
    bias = rows[:, -1] - weight @ mean
    return SigmoidHead(weight.astype(np.float32), bias.astype(np.float32), strength)


def _choose_strength(x: np.ndarray, truth: np.ndarray, recipe: ProbeRecipe, seed: int, balanced: bool) -> float:
    """As of classes: from the strongest regularisation on, until two in a row are worse than the best."""
    held = round(recipe.holdout * len(x))
    if held < 2 or len(x) - held < 2:
        return recipe.strengths[len(recipe.strengths) // 2]  # too few to hold a part out
    order = np.random.default_rng(seed).permutation(len(x))
    rest, part = order[:held], order[held:]
    mean, std = standardisation(x[part])
    z, rest_z = (x[part] - mean) / std, (x[rest] - mean) / std
    losses: dict[float, float] = {}
    rows: np.ndarray | None = None
    for strength in sorted(recipe.strengths):
        rows = _fitted(z, truth[part], strength, balanced, _RANKED, rows)
        losses[strength] = log_loss(_sigmoid(_logits(rest_z, rows)), truth[rest])
        if min(losses.values()) < min(list(losses.values())[-2:]):
            break
    return min(losses, key=lambda c: losses[c])


def _fitted(
    z: np.ndarray, truth: np.ndarray, strength: float, balanced: bool, slope: float, start: np.ndarray | None = None
) -> np.ndarray:
    """Weights and bias of each label, float64 (K, D + 1), for standardised features `z` (N, D).

    Of each label the mean loss plus |w|² / (2 C N), as scikit-learn has it; bias is free.
    """
    count, classes = truth.shape
    target = truth.astype(z.dtype)
    penalty = 1 / (strength * count)
    sample_weight = np.full_like(target, 1 / count)
    if balanced:
        positive = np.clip(truth.sum(0), 1, count - 1)
        sample_weight = np.where(truth, 1 / (2 * positive), 1 / (2 * (count - positive))).astype(z.dtype)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        rows = flat.reshape(classes, -1).astype(z.dtype)
        logits = _logits(z, rows)
        losses = sample_weight * (np.logaddexp(0, logits) - target * logits)
        residual = sample_weight * (_sigmoid(logits) - target)
        weight = rows[:, :-1].astype(np.float64)
        gradient = np.concatenate([residual.T @ z + penalty * weight, residual.sum(0)[:, None]], axis=1)
        value = losses.sum(dtype=np.float64) + penalty / 2 * np.square(weight).sum()
        return float(value), gradient.astype(np.float64).ravel()

    first = np.zeros((classes, z.shape[1] + 1)) if start is None else start
    options = {"maxiter": MAX_STEPS, "gtol": slope, "ftol": 64 * np.finfo(float).eps}
    found = minimize(loss, first.ravel(), jac=True, method="L-BFGS-B", options=options)
    result: np.ndarray = found.x.reshape(classes, -1)
    return result


def _logits(z: np.ndarray, rows: np.ndarray) -> np.ndarray:
    logits: np.ndarray = z @ rows[:, :-1].T.astype(z.dtype) + rows[:, -1].astype(z.dtype)
    return logits


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    """Without overflow, in the precision of the logits."""
    result: np.ndarray = 0.5 * (1 + np.tanh(0.5 * logits))
    return result
