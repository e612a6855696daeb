"""The last layer of a network, fitted to what the rest of it sees, as its task says (`Task.probe`)."""

from __future__ import annotations

import numpy as np
from torch import nn

from mobilenets.tasks.objective import Objective
from mobilenets.training.probe.head import Head, fit_head
from mobilenets.training.probe.sigmoid_head import fit_sigmoid_head
from mobilenets.training.recipe import ProbeRecipe


def fit_last_layer(
    objective: Objective, x: np.ndarray, y: np.ndarray, recipe: ProbeRecipe, seed: int, balanced: bool
) -> Head:
    """The head for features `x` float32 (N, D) and labels `y` int (N,), of which classes all have some."""
    if objective.task.probe == "sigmoid":
        return fit_sigmoid_head(x, objective.task.members(objective.texts)[y], recipe, seed, balanced)
    return fit_head(x, y, recipe, seed, balanced)


def refit_last_layer(
    classifier: nn.Linear, objective: Objective, x: np.ndarray, y: np.ndarray, seed: int, balanced: bool
) -> None:
    """Fit the rows of the classes that `x` and `y` say something of; the others, and those of no probe, stay."""
    task = objective.task
    if task.probe == "softmax":
        met, numbers = np.unique(y, return_inverse=True)
        if len(met) > 1:
            fit_head(x, numbers, ProbeRecipe(), seed, balanced).put_into(classifier, met)
    elif task.probe == "sigmoid":
        truth = task.members(objective.texts)[y]
        met = np.flatnonzero(truth.any(0) & ~truth.all(0))
        if len(met):
            fit_sigmoid_head(x, truth[:, met], ProbeRecipe(), seed, balanced).put_into(classifier, met)
