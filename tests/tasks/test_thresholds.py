"""What reaches its threshold is there, in answers and in figures alike."""

from __future__ import annotations

import numpy as np

from mobilenets.tasks.anomaly import Anomaly
from mobilenets.tasks.detect import Detect
from mobilenets.tasks.detect.answers import FoundObject
from mobilenets.tasks.multilabel import Multilabel

AT, BELOW = 0.5, 0.4375  # numbers that float32 holds exactly


def test_a_label_is_there_from_its_threshold_on() -> None:
    task = Multilabel(("cat", "dog"), (AT, AT))
    outputs = np.array([[AT, BELOW]], np.float32)
    assert task.answer(None, outputs[0], ("cat", "dog")).labels == ("cat",)
    assert task.record(outputs[0], ("cat", "dog"))[0] == "cat"
    assert task.score(outputs, np.array([0]), ["cat"])["exact_match"] == 1


def test_a_defect_begins_at_the_threshold() -> None:
    task = Anomaly(("good",), (AT,))
    outputs = np.array([[AT, AT], [BELOW, BELOW]], np.float32)
    assert [task.answer(None, row, ("good",)).label for row in outputs] == ["defect", "good"]
    figures = task.score(outputs, np.array([1, 0]), ["good", "crack"])
    assert (figures["defects_found"], figures["good_accepted"]) == (1, 1)
    assert task.compare(outputs, outputs - 0.001)[0] == 0.5


def test_an_object_is_shown_from_its_threshold_on() -> None:
    task = Detect(("dog",), (AT,))
    outputs = np.array([[[0, 0, 0.5, 0.5, AT, 0], [0.5, 0.5, 1, 1, BELOW, 0]]], np.float32)
    assert task.answer(None, outputs[0], ("dog",)).objects == (FoundObject("dog", AT, [0.0, 0.0, 0.5, 0.5]),)
    figures = task.score(outputs, np.array([0]), ['[["dog", 0.0, 0.0, 0.5, 0.5]]'])
    assert figures["confusion_with_background"] == [[1, 0], [0, 0]]
