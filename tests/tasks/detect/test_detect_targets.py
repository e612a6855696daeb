"""Label texts of boxes: written, read and refused; what they ask of a network."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.errors import DataError
from mobilenets.tasks.detect import Detect, metrics, targets
from mobilenets.tasks.detect.targets import Box, boxes_of, check, text_of

DOG, CAT = '[["dog",0.1,0.2,0.5,0.9]]', '[["cat",0,0,1,1],["dog",0.1,0.2,0.5,0.9]]'
DATA = Path("list.csv")

steps = st.integers(0, 999_999)


@st.composite
def some_boxes(draw: st.DrawFn) -> list[Box]:
    found = []
    for name in draw(st.lists(st.sampled_from(["dog", "黄花", 'a "b", c', "x|y"]), max_size=5)):
        x, y = draw(steps), draw(steps)
        x2, y2 = draw(st.integers(x + 1, 1_000_000)), draw(st.integers(y + 1, 1_000_000))
        found.append(Box(name, x / 1e6, y / 1e6, x2 / 1e6, y2 / 1e6, draw(st.booleans())))
    return found


@given(some_boxes())
def test_what_is_written_is_read_as_it_was(boxes: list[Box]) -> None:
    text = text_of(boxes)
    assert sorted(boxes_of(text)) == sorted(boxes)
    assert text_of(reversed(boxes)) == text, "the order of boxes says nothing"
    assert len(json.loads(text)) == len(boxes), "it is JSON"


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=12))
def test_any_other_json_is_refused_in_a_line_or_is_boxes(value: object) -> None:
    for text in (json.dumps(value), json.dumps([value]), str(value)):
        boxes, refusal = (), "line"
        try:
            boxes = boxes_of(text)
        except DataError as error:
            refusal = str(error)
        assert len(refusal.splitlines()) == 1
        assert len(refusal) < 300
        assert all(0 <= b.x1 < b.x2 <= 1 and 0 <= b.y1 < b.y2 <= 1 for b in boxes)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("dog", "boxes are 'dog'; give a JSON list"),
        ('{"dog": 1}', "give a JSON list"),
        ("[" * 100_000, "give a JSON list"),
        ("[" + "9" * 5_000 + "]", "give a JSON list"),
        ('[["dog", 0, 0, 1]]', r'the box \["dog", 0, 0, 1\] is none'),
        ('[["dog", 0, 0, 1, 1, "difficult"]]', "is none; write"),
        ('[["dog", 0, 0, 1, 1, "ignore", "ignore"]]', "is none; write"),
        ("[[7, 0, 0, 1, 1]]", "is none; write"),
        ('[["dog", 0, 0, 1, true]]', "no numbers"),
        ('[["dog", 0, 0, 1, "1"]]', "no numbers"),
        ('[["dog", 0, 0, 1, NaN]]', "not within 0 to 1"),
        ('[["dog", 0, 0, 1, 1e999]]', "not within 0 to 1"),
        ('[["dog", -0.01, 0, 1, 1]]', "not within 0 to 1"),
        ('[["dog", 0.5, 0, 0.5, 1]]', "no area"),
        ('[["dog", 0.5, 0, 0.4, 1]]', "no area"),
    ],
)
def test_what_is_no_box_is_refused_and_named(text: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        boxes_of(text)
    with pytest.raises(DataError, match=f"^list.csv: .*{problem}"):
        check(DATA, [DOG, text], 2)


def test_targets_are_rows_of_six_filled_up_to_the_photo_with_the_most_boxes() -> None:
    found = targets.targets([DOG, "[]", CAT], ("cat", "dog"))
    assert found.dtype == np.float32
    assert found.shape == (3, 2 * targets.COLUMNS)
    dog, none, cat = [0.1, 0.2, 0.5, 0.9, 1, 0], [0, 0, 0, 0, -1, 0], [0, 0, 1, 1, 0, 0]
    np.testing.assert_allclose(found, [[*dog, *none], [*none, *none], [*cat, *dog]], rtol=1e-6)


def test_of_photos_without_any_object_a_target_is_one_row_without_a_class() -> None:
    assert targets.targets(["[]"], ("dog",)).tolist() == [[0, 0, 0, 0, -1, 0]]
    assert targets.targets([], ("dog",)).shape == (0, 6)


def test_a_box_that_does_not_count_is_flagged_and_makes_no_class() -> None:
    crowd = '[["bus",0,0,1,1,"ignore"],["dog",0,0,0.5,1],["dog",0.5,0,1,1,"ignore"]]'
    assert targets.classes_of([crowd]) == ("dog",)
    rows = targets.targets([crowd], ("dog",)).reshape(-1, 6)
    assert rows[:, 4:].tolist() == [[0, 0], [0, 1]], "of the class bus there is nothing that counts"


def test_photos_are_divided_by_their_rarest_class_and_those_without_objects_by_themselves() -> None:
    texts = [DOG, CAT, "[]", '[["dog",0,0,1,1],["bus",0,0,1,1,"ignore"]]']
    assert targets.strata(texts, np.array([4, 2, 3, 1])).tolist() == [1, 0, 2, 1]


def test_classes_that_a_model_does_not_know_are_named() -> None:
    check(DATA, [DOG], 1, known=("cat", "dog"))
    check(DATA, ["[]"], 1, known=("cat",))  # to measure false alarms
    with pytest.raises(DataError, match=r"list.csv: has the class 'dog', which is not among cat"):
        check(DATA, [CAT], 1, known=("cat",))


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\ud800", "a\u2028b"])
def test_a_class_whose_name_is_no_text_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="rename it"):
        check(DATA, [json.dumps([[name, 0, 0, 1, 1]])], 1)


def test_a_photo_with_too_many_boxes_is_to_be_cut_and_every_text_that_passes_fits_a_csv(tmp_path: Path) -> None:
    def crowd(count: int, name: str = "tree") -> str:
        return text_of(Box(name, k / 1e6, 0.123456, 0.987654, 0.987654) for k in range(count))

    with pytest.raises(DataError, match=r"a photo has 2,001 boxes.*--tile"):
        check(DATA, [crowd(targets.MAX_BOXES + 1)], 1)
    with pytest.raises(DataError, match=r"characters of text.*--tile"):
        check(DATA, [crowd(1_999, "a name of many words")], 1)
    check(DATA, [crowd(targets.MAX_BOXES + 1)], 1, known=("tree",))  # a model finds them in tiles
    text = crowd(targets.MAX_BOXES)
    check(DATA, [text], 1)
    with (tmp_path / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerow([text])
    with (tmp_path / "data.csv").open(newline="") as file:
        assert next(csv.reader(file)) == [text]


def test_targets_that_would_fill_the_memory_are_refused_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MAX_ROWS", 5)
    check(DATA, ["[]", CAT], 2)
    with pytest.raises(DataError, match="too much memory; cut them into tiles"):
        check(DATA, ["[]", CAT, DOG], 3)


def test_the_truth_of_photos_is_that_of_their_texts_whichever_are_asked_for() -> None:
    texts = (CAT, "[]", '[["cat",0,0,0.5,1],["dog",0.1,0.2,0.5,0.9]]', '[["cat",0,0,1,1,"ignore"]]')
    labels = np.array([2, 0, 3, 0])
    found = np.zeros((4, 1, targets.COLUMNS), np.float32)
    task = Detect()
    expected = task.targets(texts).reshape(len(texts), -1, targets.COLUMNS)[labels]
    for _ in range(2):  # the second time from what was kept
        assert task.score(found, labels, texts) == metrics.score(found, expected, ("cat", "dog"), np.full(2, 0.5))
    assert task.score(found[:1], np.array([1]), texts)["boxes"] == 0
