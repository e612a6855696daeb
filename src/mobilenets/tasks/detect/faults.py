"""What can be wrong with boxes that can be learned from: drawn twice, tiny, few of a class, or none at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mobilenets.tasks.detect.targets import Box, boxes_of
from mobilenets.tasks.label_fault import LabelFault, few
from mobilenets.tasks.task import Labels

OUTSIDE, EMPTY, DOUBLED, SMALL = "box_outside", "box_empty", "box_doubled", "box_small"
FEW, NO_OBJECTS = "box_few", "no_objects"
KINDS = (OUTSIDE, EMPTY, DOUBLED, SMALL, FEW, NO_OBJECTS)
# What is said of a centre crop, which no detector uses, and of classes, of which a photo has several.
LEFT_OUT = ("cropped", "odd_aspect", "imbalance", "likely_mislabelled")

SAME = 0.9  # intersection over union of two boxes: people who draw one object twice agree that well
# A side of 8 pixels is a cell of the finest map, at stride 8: what is smaller has no cell of its own.
MIN_SIDE = 8
MIN_BOXES = 20  # of a class: a fifth of them validates, and of four boxes an average precision says nothing


def faults(texts: Sequence[str], counts: Labels, size: int) -> Iterator[LabelFault]:
    """What is wrong with the boxes of V label texts, of which `counts` (V,) photos each have one.

    `size`: side in pixels of the square that the network sees a whole photo in.

    Examples
    --------
    >>> twice = '[["dog", 0, 0, 0.5, 0.5], ["cat", 0, 0, 0.5, 0.51], ["dog", 0.9, 0.9, 0.91, 0.91]]'
    >>> [(fault.kind, fault.why) for fault in faults([twice], np.array([30]), 320)]
    [('box_doubled', 'cat and dog at one place'), ('box_small', '1 of 3 boxes is under 8 pixels at 320: dog')]
    """
    number: Counter[str] = Counter()
    for k, text in enumerate(texts):
        boxes = [box for box in boxes_of(text) if not box.ignore]
        for box in boxes:
            number[box.name] += int(counts[k])
        if not boxes:
            yield LabelFault(NO_OBJECTS, k, 0.5, "nothing is drawn on it")
            continue
        pairs = _same(boxes)
        if pairs:
            first, second = sorted((boxes[pairs[0][0]].name, boxes[pairs[0][1]].name))
            names = f"{first} twice" if first == second else f"{first} and {second}"
            more = f", and {len(pairs) - 1} more pairs" if len(pairs) > 1 else ""
            yield LabelFault(DOUBLED, k, 1 - 1 / (1 + len(pairs)), f"{names} at one place{more}")
        small = [box for box in boxes if _side(box) * size < MIN_SIDE]
        if small:
            verb = "is" if len(small) == 1 else "are"
            names = ", ".join(sorted({box.name for box in small})[:3])
            why = f"{len(small)} of {len(boxes)} boxes {verb} under {MIN_SIDE} pixels at {size}: {names}"
            yield LabelFault(SMALL, k, len(small) / len(boxes), why)
    yield from few(FEW, number, MIN_BOXES, "box", "boxes")


def shown(text: str) -> str:
    """The classes of the boxes of a label text, in words.

    Examples
    --------
    >>> shown('[["dog", 0, 0, 1, 1], ["cat", 0, 0, 1, 1]]'), shown("[]")
    ('cat, dog', 'nothing')
    """
    return ", ".join(sorted({box.name for box in boxes_of(text) if not box.ignore})) or "nothing"


def _side(box: Box) -> float:
    """The side of a square of the area of a box, as a fraction of the input, which is one."""
    return float(((box.x2 - box.x1) * (box.y2 - box.y1)) ** 0.5)


def _same(boxes: Sequence[Box]) -> list[tuple[int, int]]:
    """Pairs of boxes of the same corners, nearly."""
    corners: NDArray[np.float64] = np.array([box[1:5] for box in boxes], np.float64)
    areas = (corners[:, 2:] - corners[:, :2]).prod(1)
    pairs = []
    for i in range(len(boxes) - 1):
        rest = corners[i + 1 :]
        sides = np.minimum(corners[i, 2:], rest[:, 2:]) - np.maximum(corners[i, :2], rest[:, :2])
        shared = np.maximum(sides, 0).prod(1)
        union = areas[i] + areas[i + 1 :] - shared
        pairs += [(i, i + 1 + int(j)) for j in np.flatnonzero(shared >= SAME * union)]
    return pairs
