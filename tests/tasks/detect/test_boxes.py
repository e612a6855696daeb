"""Boxes are said by their distance from anchors and back, and of overlapping ones those with the best scores stay."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.tasks.detect.boxes import corners, decode, detections, encode, padded, suppress

side, place = st.floats(0.03125, 1, width=32), st.floats(-0.25, 1.25, width=32)
box = st.tuples(place, place, side, side)


@given(st.lists(st.tuples(box, box), min_size=1, max_size=8))
def test_a_box_comes_back_from_its_distance_to_any_anchor(pairs: list[tuple[tuple[float, ...], ...]]) -> None:
    boxes, anchors = (np.array([pair[i] for pair in pairs], np.float32) for i in (0, 1))
    again = decode(encode(corners(boxes), anchors), anchors)
    assert again == pytest.approx(corners(boxes), abs=2e-5)


def test_the_distances_are_those_of_the_paper_times_ten_and_five() -> None:
    """1512.02325, eq. 2, with torchvision's and TensorFlow's weights."""
    wanted, anchor = np.array([[0.1, 0.3, 0.7, 0.4]], np.float32), np.array([[0.5, 0.5, 0.2, 0.4]], np.float32)
    expected = [10 * (0.4 - 0.5) / 0.2, 10 * (0.35 - 0.5) / 0.4, 5 * math.log(0.6 / 0.2), 5 * math.log(0.1 / 0.4)]
    assert encode(wanted, anchor)[0] == pytest.approx(expected, abs=1e-5)


def test_no_answer_of_a_network_makes_a_side_overflow() -> None:
    anchor = np.array([[0.5, 0.5, 0.1, 0.2]], np.float32)
    found = decode(np.array([[0, 0, 1e6, 1e6]], np.float32), anchor)[0]
    assert found[2:] - found[:2] == pytest.approx([0.1 * 62.5, 0.2 * 62.5], rel=1e-5)


def _slowly(boxes: np.ndarray, scores: np.ndarray, max_overlap: float) -> list[int]:
    """Suppression as its definition reads: the best of what is left, then all that overlaps it is gone."""

    def iou(a: np.ndarray, b: np.ndarray) -> float:
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        common = max(width, 0) * max(height, 0)
        areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
        return common / (areas - common) if areas > common else 0.0

    left, kept = list(range(len(boxes))), []
    while left:
        best = max(left, key=lambda i: (scores[i], -i))
        kept.append(best)
        left = [i for i in left if i != best and iou(boxes[best], boxes[i]) <= max_overlap]
    return kept


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("max_overlap", [0.0, 0.3, 0.55, 1.0])
def test_suppression_keeps_what_its_definition_keeps(seed: int, max_overlap: float) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 0.6, (60, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.05, 0.4, (60, 2))], 1)
    scores = rng.integers(0, 20, 60) / 20  # with ties
    boxes, scores = boxes.astype(np.float32), scores.astype(np.float32)
    assert suppress(boxes, scores, max_overlap).tolist() == _slowly(boxes.astype(np.float64), scores, max_overlap)


def test_boxes_of_different_classes_do_not_suppress_each_other() -> None:
    boxes = np.array([[0, 0, 0.5, 0.5]] * 2, np.float32)
    scores = np.array([[0.9, 0.2, 0.0], [0.8, 0.3, 0.0]], np.float32)
    assert detections(boxes, scores)[:, 4:].tolist() == [[np.float32(0.9), 0], [np.float32(0.3), 1]]


def test_what_scores_no_more_than_the_limit_is_left_out() -> None:
    boxes = np.array([[0, 0, 0.2, 0.2], [0.5, 0.5, 0.9, 0.9]], np.float32)
    scores = np.array([[0.5], [0.25]], np.float32)
    assert len(detections(boxes, scores, min_score=0.25)) == 1
    assert detections(boxes, scores, min_score=0.5).shape == (0, 6)


def test_only_so_many_candidates_of_a_class_and_so_many_boxes_are_kept_the_best_first() -> None:
    edges = np.linspace(0, 0.9, 50, dtype=np.float32)
    boxes = np.stack([edges, edges, edges + 0.01, edges + 0.01], 1)  # none overlaps another
    scores = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, 100)).reshape(50, 2).astype(np.float32)
    found = detections(boxes, scores, max_candidates=10, max_boxes=15)
    assert len(found) == 15
    assert (np.diff(found[:, 4]) <= 0).all()
    best = np.sort(np.concatenate([np.sort(scores[:, k])[-10:] for k in (0, 1)]))[::-1][:15]
    assert found[:, 4].tolist() == best.tolist()


@pytest.mark.parametrize("max_boxes", [1, 7, 40, 1000])
def test_of_many_classes_those_are_kept_that_one_class_after_the_other_keeps(max_boxes: int) -> None:
    rng = np.random.default_rng(3)
    corner = rng.uniform(0, 0.7, (400, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.1, 0.3, (400, 2))], 1).astype(np.float32)
    scores = (rng.integers(0, 50, (400, 6)) / 50).astype(np.float32)  # with ties
    expected = []
    for number in range(6):
        own = np.argsort(-scores[:, number], kind="stable")[:30]
        for i in own[_slowly(boxes[own].astype(np.float64), scores[own, number], 0.4)]:
            expected.append((-scores[i, number], number, i))
    found = detections(boxes, scores, max_candidates=30, max_overlap=0.4, max_boxes=max_boxes)
    best = sorted(expected, key=lambda row: row[:2])[:max_boxes]
    assert found[:, 4:].tolist() == [[-score, number] for score, number, _ in best]
    assert sorted(map(tuple, found[:, :4])) == sorted(tuple(boxes[i]) for *_, i in best)


def test_boxes_are_cut_at_the_edges_of_the_photo() -> None:
    found = detections(np.array([[-0.2, 0.5, 1.3, 2]], np.float32), np.ones((1, 1), np.float32))
    assert found[0, :4].tolist() == [0, 0.5, 1, 1]


def test_rows_are_filled_up_with_no_class() -> None:
    found = np.array([[0, 0, 1, 1, 0.5, 2]], np.float32)
    rows = padded(found, 3)
    assert rows.tolist() == [[0, 0, 1, 1, 0.5, 2], [0, 0, 0, 0, 0, -1], [0, 0, 0, 0, 0, -1]]
    assert padded(np.repeat(found, 5, 0), 3).shape == (3, 6)
