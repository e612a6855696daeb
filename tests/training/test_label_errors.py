"""Labels that a probe contradicts: found where they were flipped, repeatable, refused where nothing can be said."""

import numpy as np
import pytest

from mobilenets.errors import UserError
from mobilenets.training.probe.label_errors import cross_validated, find_label_errors


def clusters(n: int = 120, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return (4 * np.eye(classes)[y] @ rng.normal(size=(classes, 16)) + rng.normal(size=(n, 16))).astype(np.float32), y


def test_flipped_labels_are_found_with_the_class_they_look_like() -> None:
    x, y = clusters(240)
    flipped = np.arange(0, 240, 12)
    truth = dict(zip(flipped.tolist(), y[flipped].tolist(), strict=True))
    y[flipped] = (y[flipped] + 1) % 3
    found = {d.index: d for d in find_label_errors(x, y, np.arange(len(y)))}
    right = found.keys() & truth.keys()
    # Those below the average confidence of the other class are left alone: that is what "confident" means.
    assert len(right) >= 0.7 * len(flipped)
    assert len(right) >= 0.9 * len(found)
    assert all(found[i].suggested == truth[i] and 0.5 < found[i].score <= 1 for i in right)


def test_the_same_seed_doubts_the_same() -> None:
    x, y = clusters()
    y[:5] = (y[:5] + 1) % 3
    assert find_label_errors(x, y, np.arange(len(y)), seed=3) == find_label_errors(x, y, np.arange(len(y)), seed=3)


def test_a_twin_of_its_group_does_not_vouch_for_a_wrong_label() -> None:
    x, y = clusters(60)
    groups = np.arange(len(y))
    x[1], y[0], y[1], groups[1] = x[0], 1, 1, 0  # a shot of class 0 and its copy, both labelled 1
    assert cross_validated(x, y, groups, 0)[0, 1] < 0.5


def test_class_numbers_need_not_be_without_gaps() -> None:
    x, y = clusters()
    sparse = np.array([0, 4, 7])[y]
    sparse[0] = 4
    assert {d.suggested for d in find_label_errors(x, sparse, np.arange(len(y)))} <= {0, 4, 7}


def test_too_few_pictures_of_a_class_are_told() -> None:
    x, y = clusters(40)
    keep = (y != 2) | (np.cumsum(y == 2) <= 3)
    with pytest.raises(UserError, match="3 different photos"):
        find_label_errors(x[keep], y[keep], np.arange(int(keep.sum())))
