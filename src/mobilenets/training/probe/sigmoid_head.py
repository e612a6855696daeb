"""A linear probe for labels that do not exclude each other: a regularised logistic regression for each.

Their losses are added up, which leaves each its own optimum, and descended together: one product of matrices for all
labels in each step, where one regression after another takes as many times as long as there are labels. Features are
turned to their principal axes and scaled by about the curvature of the loss along each, so that it is round and a few
dozen steps reach its lowest point, which stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from mobilenets.tasks.multilabel.metrics import log_loss
from mobilenets.training.probe.head import MAX_STEPS, Head, standardisation
from mobilenets.training.recipe import ProbeRecipe

_RANKED, _EXACT = 1e-3, 1e-4  # largest slope at the end; a ranking needs no last digits
_CURVATURE = 0.1  # of the loss, p (1 - p), about


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
    rows = _fitted(*_axes((x - mean) / std), truth, strength, balanced, _EXACT)
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
    axes, rest_z = _axes((x[part] - mean) / std), (x[rest] - mean) / std
    losses: dict[float, float] = {}
    for strength in sorted(recipe.strengths):
        rows = _fitted(*axes, truth[part], strength, balanced, _RANKED)
        losses[strength] = log_loss(_sigmoid(_logits(rest_z, rows)), truth[rest])
        if min(losses.values()) < min(list(losses.values())[-2:]):
            break
    return min(losses, key=lambda c: losses[c])


def _axes(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (N, D) along their principal axes, these axes (D, D), and the variance along each (D,)."""
    variances, axes = np.linalg.eigh(z.T @ z / len(z))
    return z @ axes, axes, np.maximum(variances, 0)


def _fitted(
    turned: np.ndarray,
    axes: np.ndarray,
    variances: np.ndarray,
    truth: np.ndarray,
    strength: float,
    balanced: bool,
    slope: float,
) -> np.ndarray:
    """Weights and bias of each label for standardised features, float (K, D + 1), which are given along their axes.

    Of each label the mean loss plus |w|² / (2 C N), as scikit-learn has it; bias is free.
    """
    count, classes = truth.shape
    target = truth.astype(turned.dtype)
    penalty = 1 / (strength * count)
    scale = (1 / np.sqrt(_CURVATURE * variances + penalty)).astype(turned.dtype)
    z, penalties = turned * scale, penalty * np.square(scale, dtype=np.float64)
    sample_weight = np.full_like(target, 1 / count)
    if balanced:
        positive = np.clip(truth.sum(0), 1, count - 1)
        sample_weight = np.where(truth, 1 / (2 * positive), 1 / (2 * (count - positive))).astype(z.dtype)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        rows = flat.reshape(classes, -1)
        logits = _logits(z, rows)
        losses = sample_weight * (np.logaddexp(0, logits) - target * logits)
        residual = sample_weight * (_sigmoid(logits) - target)
        pull = penalties * rows[:, :-1]
        gradient = np.concatenate([residual.T @ z + pull, residual.sum(0)[:, None]], axis=1)
        value = losses.sum(dtype=np.float64) + (pull * rows[:, :-1]).sum() / 2
        return float(value), gradient.ravel()

    options = {"maxiter": MAX_STEPS, "gtol": slope, "ftol": 64 * np.finfo(float).eps}
    start = np.zeros(classes * (z.shape[1] + 1))
    rows = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x.reshape(classes, -1)
    result: np.ndarray = np.concatenate([(rows[:, :-1] * scale) @ axes.T, rows[:, -1:]], axis=1)
    return result


def _logits(z: np.ndarray, rows: np.ndarray) -> np.ndarray:
    logits: np.ndarray = z @ rows[:, :-1].T.astype(z.dtype) + rows[:, -1].astype(z.dtype)
    return logits


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    """Without overflow, in the precision of the logits."""
    result: np.ndarray = 0.5 * (1 + np.tanh(0.5 * logits))
    return result
