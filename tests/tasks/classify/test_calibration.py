"""Temperature scaling, reliability bins and the accuracy-against-coverage curve."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.errors import UserError
from mobilenets.tasks.classify.calibration import (
    calibrate,
    coverage,
    fit_temperature,
    reliability,
    scale,
    threshold_for,
)
from mobilenets.tasks.classify.metrics import calibration_error, log_loss


def overconfident(seed: int, n: int, classes: int = 3, by: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from a softmax, and probabilities of `by` times its logits."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(n, classes))
    true = scale(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), 1.0)
    labels = np.array([rng.choice(classes, p=row) for row in true])
    return scale(true, 1 / by), labels


PREDICTIONS = st.builds(overconfident, st.integers(0, 10**6), st.integers(2, 80), st.integers(2, 6), st.floats(0.3, 4))


@given(predictions=PREDICTIONS)
def test_a_temperature_of_one_changes_nothing_and_none_changes_the_answer(
    predictions: tuple[np.ndarray, np.ndarray],
) -> None:
    probabilities, _ = predictions
    assert np.allclose(scale(probabilities, 1.0), probabilities, atol=1e-9)
    for temperature in (0.5, 3.0):
        assert np.allclose(scale(probabilities, temperature).sum(1), 1)
        assert (scale(probabilities, temperature).argmax(1) == probabilities.argmax(1)).all()


@given(seed=st.integers(0, 10**4))
def test_no_other_temperature_has_less_log_loss(seed: int) -> None:
    probabilities, labels = overconfident(seed, 60)
    ours = log_loss(scale(probabilities, fit_temperature(probabilities, labels)), labels)
    others = [log_loss(scale(probabilities, t), labels) for t in np.geomspace(0.05, 20, 150)]
    assert ours <= min(others) + 1e-12


def test_where_every_answer_is_right_the_coldest_temperature_is_taken() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    assert fit_temperature(probabilities, np.array([0, 1, 0])) == 0.05


@pytest.mark.parametrize("sure", [0.9, 0.99, 0.999999])
def test_where_all_mistakes_are_sure_the_temperature_makes_confidence_as_low_as_accuracy(sure: float) -> None:
    """Of four answers one is wrong; the log loss of metrics.json is flat there, as it is bounded."""
    probabilities = np.array([[sure, 1 - sure]] * 4)
    temperature = fit_temperature(probabilities, np.array([0, 0, 0, 1]))
    assert scale(probabilities, temperature)[0] == pytest.approx([0.75, 0.25], abs=1e-5)


def test_without_scipy_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(UserError, match="scipy"):
        fit_temperature(*overconfident(0, 60))


def test_overconfidence_by_a_factor_is_found_and_undone() -> None:
    probabilities, labels = overconfident(0, 4000, by=3.0)
    result = calibrate(probabilities, labels)
    assert result.temperature == pytest.approx(3.0, rel=0.1)
    assert result.before > 0.1
    assert result.after is not None
    assert result.after < 0.03


def test_no_photograph_is_scaled_by_a_temperature_it_helped_to_fit() -> None:
    """With one half's labels spoiled, the other half is scaled by what was learned from the spoiled ones."""
    probabilities, labels = overconfident(1, 400, classes=2, by=1.0)
    spoiled = labels.copy()
    order = np.argsort(labels, kind="stable")
    assert calibrate(probabilities, labels).before == calibration_error(probabilities, labels)
    halves = {}
    for name, half in (("even", order[::2]), ("odd", order[1::2])):
        halves[name] = fit_temperature(probabilities[half], labels[half])
    assert halves["even"] != halves["odd"]
    scaled = np.empty_like(probabilities)
    scaled[order[::2]] = scale(probabilities[order[::2]], halves["odd"])
    scaled[order[1::2]] = scale(probabilities[order[1::2]], halves["even"])
    assert calibrate(probabilities, spoiled).after == pytest.approx(calibration_error(scaled, labels))


def test_a_bin_holds_the_confidences_up_to_its_upper_end() -> None:
    sure = np.array([0.55, 0.6, 0.61, 1.0])
    bins = reliability(np.stack([sure, 1 - sure], 1), np.array([0, 1, 0, 0]), 10)
    assert [k for k, each in enumerate(bins) if each] == [5, 6, 9]
    assert [(each.n, each.accuracy) for each in bins if each] == [(2, 0.5), (1, 1.0), (1, 1.0)]


def test_too_few_photographs_fit_no_temperature() -> None:
    result = calibrate(*overconfident(0, 20))
    assert (result.after, result.temperature) == (None, None)


@given(predictions=PREDICTIONS)
def test_the_bins_are_those_of_the_calibration_error(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    bins = reliability(*predictions)
    assert sum(b.n for b in bins if b) == len(predictions[1])
    gap = sum(b.n * abs(b.accuracy - b.confidence) for b in bins if b) / len(predictions[1])
    assert gap == pytest.approx(calibration_error(*predictions), abs=1e-9)


@given(predictions=PREDICTIONS, precision=st.floats(0.3, 1))
def test_a_threshold_keeps_its_promise_and_no_lower_one_does(
    predictions: tuple[np.ndarray, np.ndarray], precision: float
) -> None:
    probabilities, labels = predictions
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    found = threshold_for(coverage(probabilities, labels), precision)
    kept = {t: right[confidence >= t].mean() for t in confidence}
    if found is None:
        assert max(kept.values()) < precision
        return
    threshold, share = found
    assert kept[threshold] >= precision
    assert share == pytest.approx((confidence >= threshold).mean())
    assert all(kept[t] < precision for t in confidence if t < threshold)


def test_answering_everything_has_the_accuracy_of_all() -> None:
    probabilities, labels = overconfident(2, 100)
    curve = coverage(probabilities, labels)
    assert curve.coverage[-1] == 1
    assert curve.accuracy[-1] == pytest.approx((probabilities.argmax(1) == labels).mean())
    assert (np.diff(curve.coverage) > 0).all()


def test_equal_confidences_are_answered_together() -> None:
    curve = coverage(np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]]), np.array([0, 1, 0]))
    assert curve.coverage == pytest.approx([2 / 3, 1])
    assert curve.accuracy == pytest.approx([1 / 2, 2 / 3])
