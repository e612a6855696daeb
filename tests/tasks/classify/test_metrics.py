"""Metrics against scikit-learn, published formulas, and what must hold for any predictions."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as reference

from mobilenets.tasks.classify.metrics import auroc, calibration_error, log_loss, score, top_k, wilson

KEYS = {
    "accuracy", "accuracy_ci95", "balanced_accuracy", "macro_f1", "top5", "log_loss", "ece", "n", "classes",
    "per_class", "confusion",
}  # fmt: skip


def random_predictions(seed: int, n: int, classes: int, skill: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities float32 (n, classes) that favour the truth, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), labels] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return probabilities.astype(np.float32), labels


def names(count: int) -> list[str]:
    return [f"class {k}" for k in range(count)]


PREDICTIONS = st.tuples(st.integers(0, 10**6), st.integers(1, 60), st.integers(2, 8), st.floats(-2, 4)).map(
    lambda values: random_predictions(*values)
)


@given(predictions=PREDICTIONS)
def test_every_figure_is_scikit_learns(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = predictions
    count = probabilities.shape[1]
    answers = probabilities.argmax(1)
    result = score(probabilities, labels, names(count))
    there = np.unique(labels)
    precision, recall, f1, n = reference.precision_recall_fscore_support(
        labels, answers, labels=range(count), zero_division=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # answers outside the classes that occur, and rounded float32 sums
        assert result["accuracy"] == pytest.approx(reference.accuracy_score(labels, answers))
        assert result["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(labels, answers))
        assert result["macro_f1"] == pytest.approx(reference.f1_score(labels, answers, labels=there, average="macro"))
        expected = reference.log_loss(labels, probabilities.astype(float), labels=range(count))
        assert result["log_loss"] == pytest.approx(expected, rel=1e-4)
        if count > 5:
            top5 = reference.top_k_accuracy_score(labels, probabilities, k=5, labels=range(count))
            assert result["top5"] == pytest.approx(top5)
    assert result["confusion"] == reference.confusion_matrix(labels, answers, labels=range(count)).tolist()
    for k, name in enumerate(names(count)):
        row = result["per_class"][name]
        figures = [row["precision"], row["recall"], row["f1"]]
        assert figures == ([None] * 3 if n[k] == 0 else pytest.approx([precision[k], recall[k], f1[k]]))
        assert row["n"] == n[k]


@given(predictions=PREDICTIONS)
def test_what_must_hold_for_any_predictions(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = predictions
    result = score(probabilities, labels, names(probabilities.shape[1]))
    low, high = result["accuracy_ci95"]
    assert 0 <= low <= result["accuracy"] <= high <= 1
    assert np.sum(result["confusion"]) == result["n"] == len(labels)
    assert result["accuracy"] <= (result["top5"] or 1)
    assert 0 <= result["ece"] <= 1
    assert result["log_loss"] >= 0
    assert json.loads(json.dumps(result)) == result


@given(predictions=PREDICTIONS, seed=st.integers(0, 1000))
def test_the_order_of_the_images_does_not_matter(predictions: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    probabilities, labels = predictions
    order = np.random.default_rng(seed).permutation(len(labels))
    once = score(probabilities, labels, names(probabilities.shape[1]))
    again = score(probabilities[order], labels[order], names(probabilities.shape[1]))
    for key in ("accuracy", "balanced_accuracy", "macro_f1", "ece", "log_loss"):
        assert again[key] == pytest.approx(once[key], abs=1e-6)
    assert again["confusion"] == once["confusion"]


def test_the_keys_are_those_of_metrics_json() -> None:
    probabilities, labels = random_predictions(0, 30, 3)
    result = score(probabilities, labels, ("a", "b", "c"))
    assert result.keys() == KEYS
    assert result["classes"] == ["a", "b", "c"]
    assert result["per_class"].keys() == {"a", "b", "c"}
    assert result["top5"] is None


def test_confusion_has_the_truth_in_rows() -> None:
    probabilities = np.eye(3)[[0, 1, 1]]
    assert score(probabilities, np.array([0, 0, 2]), names(3))["confusion"] == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_two_classes_also_have_an_auroc() -> None:
    probabilities, labels = random_predictions(1, 80, 2)
    result = score(probabilities, labels, ("no", "yes"))
    assert result["auroc"] == pytest.approx(reference.roc_auc_score(labels, probabilities[:, 1]))


@given(
    scores=st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9]), min_size=2, max_size=30),
    seed=st.integers(0, 100),
)
def test_auroc_counts_ties_half_as_scikit_learn_does(scores: list[float], seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 2, len(scores))
    labels[:2] = 0, 1
    assert auroc(np.array(scores), labels) == pytest.approx(reference.roc_auc_score(labels, scores))


def test_auroc_is_unknown_where_one_class_is_absent() -> None:
    assert auroc(np.array([0.1, 0.9]), np.array([1, 1])) is None


@given(n=st.integers(1, 3000), data=st.data())
def test_the_interval_is_wilsons(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_perfect_score_on_few_images_is_not_certain() -> None:
    assert wilson(5, 5)[0] == pytest.approx(0.5655, abs=1e-4)


def test_calibration_error_of_a_worked_example() -> None:
    # Confidence 0.8 three times, right once: |1/3 - 0.8|. Confidence 0.6 once, right: |1 - 0.6|. Weighted 3:1.
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [0.4, 0.6]])
    labels = np.array([0, 1, 1, 1])
    assert calibration_error(probabilities, labels) == pytest.approx(0.75 * (0.8 - 1 / 3) + 0.25 * 0.4)


def test_certain_and_right_is_perfectly_calibrated() -> None:
    assert calibration_error(np.eye(4), np.arange(4)) == 0


def test_a_probability_of_zero_for_the_truth_costs_a_finite_loss() -> None:
    assert log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(27.63, abs=0.01)


def test_top_k_with_all_classes_is_always_right() -> None:
    probabilities, labels = random_predictions(2, 40, 6)
    assert top_k(probabilities, labels, 6) == 1
    assert top_k(probabilities, labels, 1) == (probabilities.argmax(1) == labels).mean()
