"""NMS inside a graph chooses the boxes that numpy does, in each engine that runs it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from mobilenets.exporting.nms import with_nms
from mobilenets.exporting.targets.onnx import OPSET
from mobilenets.runtime.engines.onnxruntime import make_session
from mobilenets.runtime.engines.openvino import compile_model
from mobilenets.tasks.detect.boxes import detections, padded
from mobilenets.tasks.ends import Suppression

Floats = NDArray[np.float32]
Run = Callable[[Floats, Floats], list[NDArray[np.generic]]]


def _graph(anchors: int, classes: int, max_boxes: int) -> bytes:
    """Boxes and scores as they come in, and NMS behind them."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", anchors, width])
        for name, width in (("all", 4), ("each", classes), ("boxes", 4), ("scores", classes))
    ]
    nodes = [helper.make_node("Identity", [a], [b]) for a, b in (("all", "boxes"), ("each", "scores"))]
    graph = helper.make_graph(nodes, "detector", ends[:2], ends[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    with_nms(model, Suppression(min_score=0.05, max_overlap=0.5, max_boxes=max_boxes))
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _onnxruntime(content: bytes) -> Run:
    session = make_session(content)
    return lambda boxes, scores: session.run(["boxes", "scores", "classes"], {"all": boxes, "each": scores})


def _openvino(content: bytes) -> Run:
    _, compiled = compile_model(content)
    return lambda boxes, scores: [np.array(value) for value in compiled([boxes, scores]).values()]


def _random(photos: int, anchors: int, classes: int, seed: int = 0, ties: bool = False) -> tuple[Floats, Floats]:
    """Boxes near one another, also beyond the photo, and scores, with `ties` some that are equal."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-0.1, 0.9, (photos, anchors, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.05, 0.4, (photos, anchors, 2))], 2)
    scores = rng.uniform(0, 1, (photos, anchors, classes)) ** 4
    return boxes.astype(np.float32), scores.round(2 if ties else 9).astype(np.float32)


def _in_numpy(boxes: Floats, scores: Floats, max_boxes: int) -> Floats:
    limits = {"min_score": 0.05, "max_candidates": None, "max_overlap": 0.5, "max_boxes": max_boxes}
    found = (detections(*photo, **limits) for photo in zip(boxes, scores, strict=True))
    return np.stack([padded(rows, max_boxes) for rows in found])


@pytest.mark.parametrize("engine", [_onnxruntime, _openvino])
@pytest.mark.parametrize(("anchors", "classes"), [(400, 1), (150, 7), (9, 3)])
def test_the_graph_chooses_the_boxes_that_numpy_chooses(
    engine: Callable[[bytes], Run], anchors: int, classes: int
) -> None:
    run = engine(_graph(anchors, classes, 100))
    for photos in (1, 3):
        boxes, scores = _random(photos, anchors, classes)
        found, score, number = run(boxes, scores)
        expected = _in_numpy(boxes, scores, 100)
        np.testing.assert_array_equal(number, expected[..., 5])
        np.testing.assert_array_equal(score, expected[..., 4])
        np.testing.assert_array_equal(found, expected[..., :4])
        assert (found.dtype, score.dtype, number.dtype) == (np.float32, np.float32, np.int64)


def test_of_equal_scores_the_lower_class_and_the_earlier_anchor_come_first() -> None:
    boxes, scores = _random(2, 200, 3, ties=True)
    found, score, number = _onnxruntime(_graph(200, 3, 100))(boxes, scores)
    np.testing.assert_array_equal(np.dstack([found, score, number]), _in_numpy(boxes, scores, 100))


def test_openvino_keeps_the_same_boxes_of_equal_scores_in_an_order_of_its_own() -> None:
    boxes, scores = _random(2, 40, 3, ties=True)
    rows = np.dstack(_openvino(_graph(40, 3, 200))(boxes, scores)).astype(np.float32)
    for ours, expected in zip(rows, _in_numpy(boxes, scores, 200), strict=True):
        assert sorted(map(tuple, ours)) == sorted(map(tuple, expected))
        assert (np.diff(ours[:, 4]) <= 0).all()


@pytest.mark.parametrize("engine", [_onnxruntime, _openvino])
def test_a_photo_without_objects_has_no_boxes_beside_one_that_has_some(engine: Callable[[bytes], Run]) -> None:
    boxes, scores = _random(2, 50, 2)
    scores[0] = 0.01
    found, score, number = engine(_graph(50, 2, 100))(boxes, scores)
    assert (number[0] == -1).all()
    assert not found[0].any()
    assert not score[0].any()
    assert (number[1] >= 0).any()
    found, score, number = engine(_graph(50, 2, 100))(boxes[:1], scores[:1])
    assert (number == -1).all()
    assert not found.any()


@pytest.mark.parametrize("engine", [_onnxruntime, _openvino])
def test_no_more_boxes_than_asked_for_and_those_are_the_best(engine: Callable[[bytes], Run]) -> None:
    boxes, scores = _random(2, 300, 4, seed=1)
    found, score, number = engine(_graph(300, 4, 5))(boxes, scores)
    assert number.shape == (2, 5)
    np.testing.assert_array_equal(np.dstack([found, score, number]), _in_numpy(boxes, scores, 5))
