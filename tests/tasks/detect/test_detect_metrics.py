"""Figures of detection are COCO's: pycocotools gives the same to nine digits."""

import contextlib
import io

import numpy as np
import pytest

from mobilenets.tasks.detect import metrics
from mobilenets.tasks.detect.matching import SIZES, average_precision, match_class, recall_of

CLASSES = 4
PHOTOS = 60
PYCOCOTOOLS = {  # what pycocotools 2.0.11 says of `_data()`; `pytest -m reference` asks it again
    "mAP": 0.136285726991, "mAP50": 0.258316575600, "mAP75": 0.134087076834,
    "mAP_small": 0.003997524752, "mAP_medium": 0.066707578355, "mAP_large": 0.242441998239,
    "AR1": 0.206441760910, "AR10": 0.498573573574, "AR100": 0.498573573574,
    "AR_small": 0.020833333333, "AR_medium": 0.299131944444, "AR_large": 0.667846298438,
}  # fmt: skip


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner, side = rng.uniform(0, 0.8, (count, 2)), rng.uniform(0.01, 0.4, (count, 2))
    return np.concatenate([corner, np.minimum(corner + side, 1)], 1)


def _data(seed: int = 0, found_in_all: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Random boxes, most of them near a true one, with crowds, equal scores and photos without an object."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((PHOTOS, 8, 6))
    truth[..., 4] = -1
    found = np.zeros((PHOTOS, 40, 6))
    found[..., 5] = -1
    for i in range(PHOTOS):
        count = rng.integers(0, 9) if i % 6 else 0
        truth[i, :count, :4] = _boxes(rng, count)
        truth[i, :count, 4] = rng.integers(0, CLASSES, count)
        truth[i, :count, 5] = rng.random(count) < 0.15
        each = found_in_all // PHOTOS
        rows = _boxes(rng, each)
        classes = rng.integers(0, CLASSES, each)
        if count:
            of = rng.integers(0, count, each)
            near = rng.random(each) < 0.7
            rows[near] = (truth[i, of, :4] + rng.normal(0, 0.015, (each, 4)))[near]
            rows[:, 2:] = np.maximum(rows[:, 2:], rows[:, :2] + 0.005)
            classes[near] = truth[i, of, 4][near]
        found[i, :each, :4], found[i, :each, 5] = rows, classes
        found[i, :each, 4] = rng.integers(1, 21, each) / 20  # many equal ones
    return found, truth


@pytest.mark.reference
def test_the_figures_are_those_of_pycocotools() -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="pip install pycocotools")
    from pycocotools.cocoeval import COCOeval

    found, truth = _data()
    images = [{"id": i + 1, "width": 1, "height": 1} for i in range(PHOTOS)]
    annotations = [
        {
            "id": len(truth[0]) * i + j + 1, "image_id": i + 1, "category_id": int(row[4]) + 1, "iscrowd": int(row[5]),
            "bbox": [row[0], row[1], row[2] - row[0], row[3] - row[1]], "area": (row[2] - row[0]) * (row[3] - row[1]),
        }
        for i, rows in enumerate(truth) for j, row in enumerate(rows) if row[4] >= 0
    ]  # fmt: skip
    results = [
        {
            "image_id": i + 1, "category_id": int(row[5]) + 1, "score": row[4],
            "bbox": [row[0], row[1], row[2] - row[0], row[3] - row[1]],
        }
        for i, rows in enumerate(found) for row in rows if row[5] >= 0
    ]  # fmt: skip
    assert len(results) >= 960
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = coco.COCO()
        theirs.dataset = {
            "images": images, "annotations": annotations, "info": {},
            "categories": [{"id": k + 1, "name": str(k)} for k in range(CLASSES)],
        }  # fmt: skip
        theirs.createIndex()
        evaluation = COCOeval(theirs, theirs.loadRes(results), "bbox")
        evaluation.params.areaRng = [[low**2, min(high, 1e3) ** 2] for low, high in SIZES.values()]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    np.testing.assert_allclose(_figures(found, truth), evaluation.stats, rtol=0, atol=1e-9)
    np.testing.assert_allclose(list(PYCOCOTOOLS.values()), evaluation.stats, rtol=0, atol=1e-9)


def _figures(found: np.ndarray, truth: np.ndarray) -> list[float]:
    ours = metrics.score(found, truth, [str(k) for k in range(CLASSES)], np.full(CLASSES, 0.5))
    return [ours[name] for name in PYCOCOTOOLS]


def test_the_figures_are_those_that_pycocotools_gave() -> None:
    np.testing.assert_allclose(_figures(*_data()), list(PYCOCOTOOLS.values()), rtol=0, atol=1e-9)


def test_one_box_is_found_by_one_only() -> None:
    truth = np.array([[[0.1, 0.1, 0.5, 0.5, 0, 0]]])
    found = np.array([[[0.1, 0.1, 0.5, 0.5, 0.9, 0], [0.1, 0.1, 0.5, 0.49, 0.8, 0]]])
    matches = match_class(list(found), list(truth))
    assert matches.hits.sum(1).tolist() == [1] * 10
    assert matches.counted.all()
    assert average_precision(matches).tolist() == [1.0] * 10
    assert recall_of(matches, 1).tolist() == [1.0] * 10


def test_what_is_found_in_a_crowd_is_neither_right_nor_wrong() -> None:
    crowd = np.array([[[0.0, 0.0, 1.0, 1.0, 0, 1]]])
    found = np.array([[[0.1, 0.1, 0.3, 0.3, 0.9, 0], [0.5, 0.5, 0.8, 0.8, 0.8, 0]]])
    matches = match_class(list(found), list(crowd))
    assert not matches.counted.any()
    assert not matches.positives.any()
    assert np.isnan(average_precision(matches)).all()
    assert metrics.confusion_of(found, crowd, np.array([0.5])).tolist() == [[0, 0], [0, 0]]


def test_a_photo_without_objects_counts_by_its_false_alarms() -> None:
    nothing = np.array([[[0.0, 0.0, 0.0, 0.0, -1, 0]]])
    truth = np.concatenate([np.array([[[0.0, 0.0, 0.5, 0.5, 0, 0]]]), nothing])
    right, wrong = [0.0, 0.0, 0.5, 0.5, 0.6, 0], [0.5, 0.5, 0.9, 0.9, 0.8, 0]
    none = [0.0, 0.0, 0.0, 0.0, 0.0, -1]
    clean, noisy = np.array([[right], [none]]), np.array([[right], [wrong]])
    assert metrics.validate(clean, truth, 1)[1] == pytest.approx(1.0)
    assert metrics.validate(noisy, truth, 1)[1] == pytest.approx(0.5)
    assert metrics.validate(noisy, truth, 1)[0] > metrics.validate(clean, truth, 1)[0]
    assert metrics.false_alarms_at(noisy, truth, 1, 0.7) == 0.5


def test_more_than_a_hundred_boxes_of_a_photo_count() -> None:
    """As a photo in tiles may have; those of another photo are fewer."""
    corners = np.array([[x, y, x + 1, y + 1] for x in range(15) for y in range(10)]) / 15
    found = np.column_stack([corners, np.linspace(0.9, 0.5, 150), np.zeros(150)])
    truth = np.column_stack([corners, np.zeros(150), np.zeros(150)])
    figures = metrics.score(found[None], truth[None], ("tree",), np.array([0.5]))
    assert figures["mAP"] == pytest.approx(1)
    assert figures["AR100"] == pytest.approx(100 / 150)
    assert figures["confusion_with_background"] == [[150, 0], [0, 0]]


def test_the_confusion_says_which_class_was_taken_for_which_and_what_is_background() -> None:
    truth = np.array([[[0, 0, 0.4, 0.4, 0, 0], [0.5, 0.5, 1, 1, 1, 0], [0, 0.6, 0.3, 1, 1, 0]]])
    found = np.array(
        [[[0, 0, 0.4, 0.4, 0.9, 1], [0.5, 0.5, 1, 1, 0.9, 1], [0.6, 0, 0.9, 0.3, 0.9, 0], [0, 0.6, 0.3, 1, 0.1, 1]]]
    )
    assert metrics.confusion_of(found, truth, np.array([0.5, 0.5])).tolist() == [[0, 1, 0], [0, 1, 1], [1, 0, 0]]


def test_thresholds_are_where_f1_is_best() -> None:
    found, truth = _data(1)
    thresholds = metrics.choose_thresholds(found, truth, CLASSES)

    def f1(k: int, threshold: float) -> float:
        shown = found.copy()
        shown[..., 5] = np.where((found[..., 5] == k) & (found[..., 4] >= threshold), k, -1)
        ours = metrics.by_class(shown, truth, CLASSES)[k]
        matches = match_class(*ours, metrics.LOOSE)
        return 2 * matches.hits.sum() / (matches.counted.sum() + matches.positives.sum())

    for k, threshold in enumerate(thresholds):
        assert f1(k, threshold) == pytest.approx(max(f1(k, t) for t in np.arange(0.025, 1, 0.05)))


def test_an_interval_holds_the_figure_and_is_narrower_with_more_photos() -> None:
    found, truth = _data(2)
    few = metrics.score(found[:15], truth[:15], [str(k) for k in range(CLASSES)], np.full(CLASSES, 0.5))
    many = metrics.score(
        np.concatenate([found] * 3),
        np.concatenate([truth] * 3),
        [str(k) for k in range(CLASSES)],
        np.full(CLASSES, 0.5),
    )
    for figures in (few, many):
        assert figures["mAP_ci95"][0] <= figures["mAP"] <= figures["mAP_ci95"][1]
    assert np.ptp(many["mAP_ci95"]) < np.ptp(few["mAP_ci95"])


def test_boxes_of_a_network_that_is_sure_of_nothing_are_compared_all_the_same() -> None:
    sure = np.array([[[0, 0, 0.5, 0.5, 0.9, 0], [0.5, 0.5, 1, 1, 0.02, 0]]])
    other = sure.copy()
    other[0, 1, :4] = 0.1, 0.6, 0.4, 0.9
    assert metrics.compare(sure, other) == (1.0, 0.0), "of a low score beside a high one nobody is told"
    unsure = sure * [1, 1, 1, 1, 0.015, 1]
    moved, flatter = unsure.copy(), unsure * [1, 1, 1, 1, 0.9, 1]
    moved[0, 0, :4] = 0.1, 0.6, 0.4, 0.9
    assert metrics.compare(unsure, moved) == (0.0, 0.0)
    assert metrics.compare(unsure, flatter) == (1.0, pytest.approx(0.1 * 0.9 * 0.015))


def test_without_any_box_there_are_figures_all_the_same() -> None:
    nothing = np.zeros((2, 3, 6))
    nothing[..., 4:] = -1
    figures = metrics.score(nothing, nothing, ("dog",), np.array([0.5]))
    assert figures["mAP"] == 0.0
    assert figures["per_class"]["dog"]["ap"] is None
    assert metrics.choose_thresholds(nothing, nothing, 1).tolist() == [0.5]
    assert metrics.compare(nothing, nothing) == (1.0, 0.0)


@pytest.mark.parametrize(("iou", "whole", "at_75"), [(0.73, 0.5, 0.0), (0.76, 0.6, 1.0)])
def test_a_box_counts_at_each_limit_that_its_overlap_reaches(iou: float, whole: float, at_75: float) -> None:
    truth = np.array([[[0, 0, 0.5, 0.5, 0, 0]]])
    found = np.array([[[0, 0, 0.5, 0.5 * iou, 0.9, 0]]])
    figures = metrics.score(found, truth, ("dog",), np.array([0.5]))
    assert (figures["mAP50"], figures["mAP75"]) == (1.0, at_75)
    assert figures["mAP"] == pytest.approx(whole)
