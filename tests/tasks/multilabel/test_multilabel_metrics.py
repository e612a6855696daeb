"""Figures and thresholds of sets of labels, beside scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from mobilenets.tasks.multilabel.metrics import ENOUGH_POSITIVES, choose_thresholds, mean_average_precision, score

NAMES = ("a", "b", "c")


def _random(count: int, digits: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities with many equal ones, and labels that they say something of; of "c" none."""
    rng = np.random.default_rng(0)
    truth = rng.random((count, 3)) < (0.5, 0.1, 0.0)
    return np.round(rng.random((count, 3)) * 0.7 + 0.3 * truth, digits).astype(np.float32), truth


@pytest.mark.parametrize("digits", [1, 6])
def test_average_precision_and_f1_are_those_of_scikit_learn(digits: int) -> None:
    probabilities, truth = _random(200, digits)
    figures = score(probabilities, truth, NAMES, np.array([0.5, 0.3, 0.5]))
    found = probabilities >= (0.5, 0.3, 0.5)
    expected = [average_precision_score(truth[:, k], probabilities[:, k]) for k in range(2)]
    assert [figures["per_class"][name]["ap"] for name in "ab"] == pytest.approx(expected)
    assert figures["mAP"] == mean_average_precision(probabilities, truth) == pytest.approx(np.mean(expected))
    assert figures["micro_f1"] == pytest.approx(f1_score(truth, found, average="micro"))
    assert figures["macro_f1"] == pytest.approx(f1_score(truth[:, :2], found[:, :2], average="macro"))
    assert figures["exact_match"] == (truth == found).all(1).mean()
    assert figures["per_class"]["c"]["ap"] is None, "no photo has it"


def test_intervals_hold_their_figures_and_shrink_with_more_photographs() -> None:
    widths = []
    for count in (50, 2000):
        probabilities, truth = _random(count, 6)
        figures = score(probabilities, truth, NAMES, np.full(3, 0.5))
        for name in ("mAP", "macro_f1", "micro_f1", "exact_match"):
            low, high = figures[f"{name}_ci95"]
            assert low <= figures[name] <= high
        widths.append(np.diff(figures["mAP_ci95"])[0])
    assert widths[1] < widths[0] / 3


def test_a_threshold_is_where_f1_is_best_and_within_bounds() -> None:
    truth = np.repeat([[True], [False]], 50, axis=0)
    for right, chosen in ((0.3, 0.3), (0.06, 0.06), (0.8, 0.5), (0.01, 0.5)):
        probabilities = np.where(truth, right, min(right / 2, 0.4))
        assert choose_thresholds(probabilities, truth).tolist() == [chosen]


def test_few_photographs_draw_a_threshold_towards_one_half() -> None:
    truth = np.repeat([[True], [False]], [ENOUGH_POSITIVES // 2, 90], axis=0)
    assert choose_thresholds(np.where(truth, 0.3, 0.1), truth).tolist() == [0.4]
    assert choose_thresholds(np.full((9, 1), 0.9), np.zeros((9, 1), bool)).tolist() == [0.5]
