"""Good ones only: what label texts say, where a threshold lies, and what an answer is."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from mobilenets.arch import build
from mobilenets.arch.patches import PatchHead, cut_for
from mobilenets.model_card import ModelCard
from mobilenets.preprocess import Preprocess
from mobilenets.tasks import TASKS, task_of
from mobilenets.tasks.anomaly import Anomaly
from mobilenets.tasks.anomaly.metrics import ACCEPTED, choose_threshold, score

TEXTS = ("defect: crack", "defect: dirt", "part")
SCORES = np.array([0.9, 0.4, 0.2, 0.6, 0.1], np.float32)
LABELS = np.array([0, 1, 2, 2, 2])
IS_DEFECT = np.array([True, True, False, False, False])


def outputs_of(scores: np.ndarray) -> np.ndarray:
    """Rows with these scores and maps of 2 × 2."""
    return np.concatenate([scores[:, None], np.tile(scores[:, None] / 2, (1, 4))], 1).astype(np.float32)


def test_figures_are_those_of_scikit_learn() -> None:
    figures = score(SCORES, IS_DEFECT, LABELS, TEXTS, 0.5)
    flagged = SCORES >= 0.5
    assert figures["auroc"] == pytest.approx(roc_auc_score(IS_DEFECT, SCORES))
    assert figures["f1"] == pytest.approx(f1_score(IS_DEFECT, flagged))
    assert figures["accuracy"] == pytest.approx((flagged == IS_DEFECT).mean())
    assert (figures["good_accepted"], figures["defects_found"]) == (pytest.approx(2 / 3), 0.5)
    assert figures["per_class"]["defect: crack"] == {"flagged": 1.0, "score": pytest.approx(0.9), "n": 1}


def test_without_defects_there_is_no_auroc() -> None:
    figures = score(SCORES[2:], IS_DEFECT[2:], LABELS[2:], TEXTS, 0.5)
    assert (figures["auroc"], figures["defects_found"], figures["f1"]) == (None, None, None)
    assert list(figures["per_class"]) == ["part"]


@given(st.lists(st.tuples(st.sampled_from(np.linspace(0.1, 0.9, 17).tolist()), st.booleans()), min_size=1, max_size=30))
def test_no_threshold_has_a_better_f1_than_the_chosen_one(rows: list[tuple[float, bool]]) -> None:
    scores, is_defect = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    if not is_defect.any():
        return
    chosen = f1_score(is_defect, scores >= choose_threshold(scores, is_defect))
    assert all(chosen >= f1_score(is_defect, scores >= t) - 1e-12 for t in scores)


def test_without_defects_the_threshold_lets_99_of_100_good_ones_pass() -> None:
    scores = np.random.default_rng(0).permutation(np.linspace(0.2, 0.6, 300))
    threshold = choose_threshold(scores, np.zeros(300, bool))
    assert (scores < threshold).mean() == ACCEPTED
    assert np.abs(scores - threshold).min() == pytest.approx(0.2 / 299)  # in the middle between two of them


def test_of_few_good_ones_all_pass() -> None:
    scores = np.array([0.3, 0.5, 0.4])
    assert scores.max() < choose_threshold(scores, np.zeros(3, bool)) <= 1


def test_a_trained_model_takes_every_other_name_for_a_defect() -> None:
    net = cut_for(build("mobilenet_v2"), PatchHead((12,), 8, 10))
    card = ModelCard("mobilenet_v2", net, ("part",), Preprocess(size=64), task="anomaly", thresholds=(0.5,))
    task = task_of(ModelCard.from_json(card.to_json()))
    assert task.targets(["part", "crack", "defect: dirt"])[:, 0].tolist() == [0, 1, 1]
    assert task.classes(["crack"]) == ("part",)
    assert [(end.name, end.shape) for end in task.ends(card)] == [("score", (1,)), ("map", (4, 4))]


def test_what_a_file_gives_apart_is_one_row_for_each_photo() -> None:
    rows = np.random.default_rng(0).random((3, 1 + 4 * 4), np.float32)
    ends = TASKS["anomaly"].head(torch.from_numpy(rows))
    np.testing.assert_array_equal(TASKS["anomaly"].finished(*(end.numpy() for end in ends)), rows)


def test_an_answer_says_whether_and_where() -> None:
    row = np.array([0.6, 0.1, 0.2, 0.3, 0.9], np.float32)
    answer = Anomaly(("part",), (0.55,)).answer("a.jpg", row, ("part",))
    assert (answer.label, answer.is_defect, answer.strangest) == ("defect", True, (0.75, 0.75))
    assert answer.to_dict()["map"] == [[0.1, 0.2], [0.3, 0.9]]
    assert "75% from the left" in answer.lines(("part",))[0]
    good = Anomaly(("part",), (0.65,)).answer("a.jpg", row, ("part",))
    assert (good.label, good.cells(1)) == ("part", {"label": "part", "score": "0.600000"})


def test_two_files_agree_where_photos_are_on_the_same_side() -> None:
    task = Anomaly(("part",), (0.5,))
    ours, theirs = outputs_of(SCORES), outputs_of(SCORES + np.float32(0.11) * (np.float32(0.4) == SCORES))
    agreement, difference = task.compare(ours, theirs)
    assert (agreement, difference) == (0.8, pytest.approx(0.11))


def test_validation_settles_the_threshold() -> None:
    task = TASKS["anomaly"].settled(outputs_of(SCORES), LABELS, TEXTS)
    assert 0.2 < task.thresholds[0] < 0.4  # one false alarm, and both defects
    assert task.validate(outputs_of(SCORES), LABELS, TEXTS)[1] == 0.8
