"""The loss is what the formulas of the papers give, written out; empty photos and hidden boxes teach too."""

import math

import numpy as np
import torch

from mobilenets.arch import build
from mobilenets.arch.anchors import anchors as anchors_of
from mobilenets.tasks.detect.loss import SsdLoss, match

CLASSES = 3
ANCHORS = torch.tensor(anchors_of(build("ssdlite_mobilenet_v2", num_classes=CLASSES + 1), 96))
COUNTED = np.array([0])


def _outputs(photos: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    said = torch.randn(photos, len(ANCHORS), CLASSES + 1 + 4, generator=generator)
    return torch.cat([said, ANCHORS.expand(photos, -1, -1)], 2)


def _targets(*photos: list[tuple[float, ...]]) -> torch.Tensor:
    rows = max(1, *map(len, photos))
    filled = [[*boxes, *[(0.0, 0.0, 0.0, 0.0, -1, 0)] * (rows - len(boxes))] for boxes in photos]
    return torch.tensor(filled, dtype=torch.float32).reshape(len(photos), -1)


def _loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return SsdLoss(COUNTED, targets[:1], False, 0.0)(outputs, targets)


def _iou(a: list[float], b: list[float]) -> float:
    wide, high = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    inside = max(wide, 0) * max(high, 0)
    return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)


def _focal(likely: float) -> float:
    return -((1 - likely) ** 2) * math.log(likely)


def _written_out(outputs: torch.Tensor, photos: list[list[tuple[float, ...]]]) -> float:
    """The loss, anchor by anchor."""
    total, positives = 0.0, 0
    for said, boxes in zip(outputs.tolist(), photos, strict=True):
        corners = [[x - w / 2, y - h / 2, x + w / 2, y + h / 2] for x, y, w, h in ANCHORS.tolist()]
        table = [[_iou(list(box[:4]), corner) for corner in corners] for box in boxes]
        forced = {row.index(max(row)): g for g, row in enumerate(table)}
        for a, (row, (x, y, w, h)) in enumerate(zip(said, ANCHORS.tolist(), strict=True)):
            best = max(range(len(boxes)), key=lambda g: table[g][a]) if boxes else 0
            own = forced.get(a, best if boxes and table[best][a] >= 0.5 else None)
            shares = [math.exp(value) for value in row[: CLASSES + 1]]
            if own is None:
                if not boxes or table[best][a] < 0.4:
                    total += 3 * _focal(shares[0] / sum(shares))
                continue
            positives += 1
            x1, y1, x2, y2, name, _ = boxes[own]
            goal = (10 * ((x1 + x2) / 2 - x) / w, 10 * ((y1 + y2) / 2 - y) / h)
            goal += (5 * math.log((x2 - x1) / w), 5 * math.log((y2 - y1) / h))
            total += _focal(shares[1 + int(name)] / sum(shares))
            for got, wanted in zip(row[CLASSES + 1 : CLASSES + 5], goal, strict=True):
                off = abs(got - wanted)
                total += off**2 / 2 if off < 1 else off - 0.5
    return total / max(1, positives)


def test_the_loss_is_that_of_the_formulas() -> None:
    photos = [
        [(0.1, 0.1, 0.4, 0.5, 0, 0), (0.55, 0.5, 0.95, 0.9, 2, 0)],
        [(0.0, 0.0, 1.0, 1.0, 1, 0), (0.2, 0.6, 0.35, 0.75, 1, 0), (0.6, 0.1, 0.9, 0.3, 0, 0)],
        [],
    ]
    outputs = _outputs(3)
    assert np.isclose(_loss(outputs, _targets(*photos)).item(), _written_out(outputs, photos), rtol=1e-5)


def test_a_photo_without_objects_teaches_the_background() -> None:
    outputs = _outputs(1).requires_grad_()
    loss = _loss(outputs, _targets([]))
    loss.backward()
    assert outputs.grad is not None
    assert (outputs.grad[0, :, 0] < 0).all()  # all of it, towards the background


def test_of_two_boxes_with_one_best_anchor_none_is_lost() -> None:
    table = torch.tensor([[0.30, 0.10, 0.05], [0.40, 0.20, 0.0]])
    assert match(table).tolist() == [1, 0, -1]
    assert match(table[[1, 0]]).tolist() == [0, 1, -1]  # whatever their order is


def test_every_box_has_an_anchor_even_where_none_is_like_it() -> None:
    boxes = [(0.01 * k, 0.3, 0.01 * k + 0.012, 0.312, 0, 0) for k in range(30)]  # tiny, side by side
    outputs = _outputs(1).requires_grad_()
    _loss(outputs, _targets(boxes)).backward()
    assert outputs.grad is not None
    assert int((outputs.grad[0, :, CLASSES + 1 : CLASSES + 5].abs().sum(1) > 0).sum()) == 30


def test_what_an_object_covers_in_part_is_neither_it_nor_background() -> None:
    box = (0.1, 0.1, 0.4, 0.5, 0, 0)
    outputs = _outputs(1).requires_grad_()
    _loss(outputs, _targets([box])).backward()
    corners = torch.cat([ANCHORS[:, :2] - ANCHORS[:, 2:] / 2, ANCHORS[:, :2] + ANCHORS[:, 2:] / 2], 1)
    near = torch.tensor([0.4 <= _iou(list(box[:4]), corner) < 0.5 for corner in corners.tolist()])
    assert outputs.grad is not None
    assert near.any()
    assert (outputs.grad[0, near] == 0).all()
    assert (outputs.grad[0, ~near, 0] != 0).all()


def test_what_is_right_already_counts_less_and_less() -> None:
    def one(logit: float) -> float:
        outputs = _outputs(1)
        outputs[..., : CLASSES + 1] = torch.tensor([logit, 0.0, 0.0, 0.0])
        return _loss(outputs, _targets([])).item()

    entropy = [math.log(1 + 3 * math.exp(-logit)) for logit in (2.0, 6.0)]
    assert one(6.0) / one(2.0) < 0.01 * entropy[1] / entropy[0]


def test_what_does_not_count_is_left_out() -> None:
    crowd = (0.0, 0.0, 1.0, 1.0, 1, 1)
    outputs = _outputs(1)
    outputs[0, :, 0] = 20.0  # sure that everything is background, but for what lies in the crowd
    corners = torch.cat([ANCHORS[:, :2] - ANCHORS[:, 2:] / 2, ANCHORS[:, :2] + ANCHORS[:, 2:] / 2], 1)
    large = (corners[:, 2:].clamp(max=1) - corners[:, :2].clamp(min=0)).prod(1) / (
        1 + ANCHORS[:, 2:].prod(1) - (corners[:, 2:].clamp(max=1) - corners[:, :2].clamp(min=0)).prod(1)
    ) >= 0.5
    outputs[0, large, 0] = -20.0
    assert large.any()
    assert _loss(outputs, _targets([crowd])) < 1e-3
    assert _loss(outputs, _targets([])) > 1


def test_a_rare_class_weighs_more_where_classes_are_balanced() -> None:
    common, rare = [(0.1, 0.1, 0.4, 0.5, 0, 0)], [(0.1, 0.1, 0.4, 0.5, 1, 0)]
    targets = _targets(common, rare)
    labels = np.array([0] * 9 + [1])
    outputs = _outputs(1)
    outputs[..., : CLASSES + 1] = 0
    outputs[..., 0] = 8.0  # nothing to learn of the background

    def ratio(balanced: bool) -> float:
        loss = SsdLoss(labels, targets, balanced, 0.0)
        flat = [loss(outputs, targets[i : i + 1]).item() for i in (0, 1)]
        return flat[1] / flat[0]

    assert ratio(False) == 1.0
    assert ratio(True) > 2


def test_right_is_the_share_of_objects_whose_anchors_say_their_class() -> None:
    photos = [[(0.1, 0.1, 0.4, 0.5, 0, 0)], [], [(0.5, 0.5, 0.9, 0.9, 2, 0)]]
    targets = _targets(*photos)
    outputs = _outputs(3)
    outputs[..., : CLASSES + 1] = torch.tensor([0.0, 5.0, 0.0, 0.0])  # everywhere class 0
    assert SsdLoss(COUNTED, targets, False, 0.0).right(outputs, targets).item() == 2.0
