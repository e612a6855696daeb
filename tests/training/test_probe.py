"""The logistic head: right on separable data, regularised on noise, softmax-consistent."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from mobilenets.training.probe.head import fit_head
from mobilenets.training.recipe import ProbeRecipe


def _clusters(classes: int, per_class: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, 20)) * 3
    labels = np.repeat(np.arange(classes), per_class)
    return (centres[labels] + rng.normal(size=(len(labels), 20)) * spread).astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 5])
def test_separable_clusters_are_told_apart(classes: int) -> None:
    x, y = _clusters(classes, 40, 1.0)
    head = fit_head(x[::2], y[::2], ProbeRecipe(), seed=0)
    probabilities = head.probabilities(x[1::2])
    assert head.weight.shape == (classes, 20)
    assert (probabilities.argmax(1) == y[1::2]).mean() > 0.97
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_are_those_of_scikit_learn(classes: int) -> None:
    x, y = _clusters(classes, 30, 4.0)
    head = fit_head(x, y, ProbeRecipe(strengths=(0.1,)), seed=0)
    mean, std = x.mean(0), x.std(0) + 1e-6
    reference = LogisticRegression(C=0.1, max_iter=300).fit((x - mean) / std, y).predict_proba((x - mean) / std)
    np.testing.assert_allclose(head.probabilities(x), reference, atol=1e-4)


def test_pure_noise_is_given_the_strongest_regularisation() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(600, 100)).astype(np.float32), rng.integers(0, 2, 600)
    recipe = ProbeRecipe()
    assert fit_head(x, y, recipe, seed=0).strength == min(recipe.strengths)


def test_of_few_photographs_each_part_is_held_out_in_turn_and_their_choices_are_averaged() -> None:
    x, y = _clusters(3, 15, 12.0)
    strengths = (1e-4, 1e-2, 1.0)
    chosen = []
    for part, rest in StratifiedKFold(5, shuffle=True, random_state=0).split(x, y):
        heads = [make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=300)) for c in strengths]
        losses = [log_loss(y[rest], head.fit(x[part], y[part]).predict_proba(x[rest])) for head in heads]
        chosen.append(strengths[int(np.argmin(losses))])
    assert len(set(chosen)) > 1
    strength = fit_head(x, y, ProbeRecipe(strengths=strengths), seed=0).strength
    np.testing.assert_allclose(strength, np.exp(np.log(chosen).mean()))


def test_a_class_of_two_among_few_photographs_is_learned_too() -> None:
    x, y = _clusters(3, 20, 0.5)
    some = np.flatnonzero((y < 2) | (np.cumsum(y == 2) <= 2))
    assert (fit_head(x[some], y[some], ProbeRecipe(), seed=0).probabilities(x).argmax(1) == y).mean() > 0.9


def test_two_photographs_a_class_are_enough() -> None:
    x, y = _clusters(3, 2, 0.5)
    head = fit_head(x, y, ProbeRecipe(), seed=0)
    assert (head.probabilities(x).argmax(1) == y).all()


@pytest.mark.filterwarnings("error")  # of scikit-learn, which takes many classes of few rows for numbers
def test_many_classes_of_a_photograph_each_are_learned_without_a_warning() -> None:
    x, y = _clusters(30, 1, 0.1)
    assert (fit_head(x, y, ProbeRecipe(), seed=0).probabilities(x).argmax(1) == y).all()


def test_the_same_seed_gives_the_same_head() -> None:
    x, y = _clusters(3, 30, 3.0)
    first, second = (fit_head(x, y, ProbeRecipe(), seed=3) for _ in range(2))
    assert first.strength == second.strength
    np.testing.assert_array_equal(first.weight, second.weight)


def test_the_head_becomes_the_networks_classifier() -> None:
    x, y = _clusters(3, 20, 1.0)
    head = fit_head(x, y, ProbeRecipe(), seed=0)
    layer = nn.Linear(20, 3)
    head.put_into(layer)
    np.testing.assert_array_equal(layer.weight.detach().numpy(), head.weight)
    np.testing.assert_array_equal(layer.bias.detach().numpy(), head.bias)


def test_a_class_of_one_photograph_leaves_the_choice_of_regularisation_to_the_others() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(601, 100)).astype(np.float32), np.append(rng.integers(0, 2, 600), 2)
    recipe = ProbeRecipe()
    head = fit_head(x, y, recipe, seed=0)
    assert head.weight.shape == (3, 100)
    assert head.strength == min(recipe.strengths)
