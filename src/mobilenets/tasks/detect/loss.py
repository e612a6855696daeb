"""What a detector's training makes small: SSD's boxes (1512.02325, §2.2) and the focal loss of classes (1708.02002).

All anchors count, so that a photo without objects teaches too. SSD's own choice, of the hardest background alone, finds
as many objects, but leaves their scores hardly above those of what is like them (docs/decisions/024).
Two boxes whose best anchor is the same do not overwrite each other: the better one has it, the other its next best.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mobilenets.tasks.detect.boxes import WEIGHTS
from mobilenets.tasks.task import Labels

MATCHED = 0.5  # IoU from which on an anchor is to become a box
NEAR = 0.4  # and from which on it need not be background
FOCUS = 2.0  # γ: what is right already counts by the square of what is left
BACKGROUND = 3.0  # of an anchor of the background, as a fraction of an object's: α of a quarter
MAX_WEIGHT = 5.0


class SsdLoss:
    """Smooth L1 of the boxes and the focal loss of the classes, a mean over the positive anchors of a batch.

    `labels` int64 (N,): the label text of each training photo, of which `targets` (V, M * 6) say what is wanted. With
    `balanced` a class weighs more that has fewer boxes, up to 5 times. `smoothing`: of the classes, 0 up to 1.
    """

    def __init__(self, labels: Labels, targets: Tensor, balanced: bool, smoothing: float) -> None:
        self._smoothing = smoothing
        weight = np.ones(1)
        if balanced:
            rows = targets.cpu().numpy().reshape(len(targets), -1, 6)
            times = np.bincount(labels, minlength=len(targets)).repeat(rows.shape[1])
            of = rows[..., 4].reshape(-1).astype(int)
            counts = np.bincount(of[of >= 0], times[of >= 0])
            weight = np.append(weight, np.clip(counts.mean() / np.maximum(counts, 1), 1 / MAX_WEIGHT, MAX_WEIGHT))
        self._weight = torch.tensor(weight, dtype=torch.float32, device=targets.device)

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A scalar: `outputs` float (N, A, K + 1 + 4 + 4) of the network, `targets` float (N, M * 6)."""
        logits, codes, anchors = _parts(outputs)
        wanted, goal = _wanted(targets, anchors)
        positive = wanted > 0
        weight = F.pad(self._weight, (0, logits.shape[2] - len(self._weight)), value=1.0)
        classes, flat = wanted.clamp(min=0).flatten(), logits.flatten(0, 1)
        losses = F.cross_entropy(flat, classes, weight, reduction="none", label_smoothing=self._smoothing)
        doubt = 1 - flat.softmax(1).gather(1, classes[:, None])[:, 0]
        losses = (doubt**FOCUS * losses).view_as(wanted)
        boxes = F.smooth_l1_loss(
            codes[positive], encode(goal[positive], anchors.expand_as(goal)[positive]), reduction="sum"
        )
        found = losses[positive].sum() + BACKGROUND * losses[wanted == 0].sum()
        return (boxes + found) / positive.sum().clamp(min=1)

    def right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The sum over photos of the fraction of their objects' anchors with the right class (1 without any)."""
        logits, _, anchors = _parts(outputs)
        wanted, _ = _wanted(targets, anchors)
        positive = wanted > 0
        hits = (positive & (logits.argmax(2) == wanted)).sum(1)
        return torch.where(positive.any(1), hits / positive.sum(1).clamp(min=1), 1.0).sum()


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """`boxes.encode` in torch: corner boxes (P, 4), and anchors (P, 4) by centre and sides → float (P, 4).

    Examples
    --------
    >>> encode(torch.tensor([[0.0, 0.0, 0.5, 1.0]]), torch.tensor([[0.5, 0.5, 0.5, 1.0]])).tolist()
    [[-5.0, 0.0, 0.0, 0.0]]
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = boxes[:, :2] + sides / 2
    moved = (centres - anchors[:, :2]) / anchors[:, 2:]
    grown = torch.log(sides.clamp(min=1e-6) / anchors[:, 2:])
    return torch.cat([moved, grown], 1) * torch.from_numpy(WEIGHTS).to(boxes)


def _parts(outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (N, A, K + 1), codes (N, A, 4) and anchors (A, 4), the same for all photos."""
    return outputs[..., :-8], outputs[..., -8:-4], outputs[0, :, -4:].detach()


@torch.no_grad()
def _wanted(targets: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """What each anchor is to say: int64 (N, A), 0 the background, k + 1 a class, -1 nothing; and its box (N, A, 4)."""
    rows = targets.view(len(targets), -1, 6)
    wanted = torch.zeros((len(rows), len(anchors)), dtype=torch.int64, device=targets.device)
    goal = torch.zeros((len(rows), len(anchors), 4), device=targets.device)
    corners = torch.cat([anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], 1)
    for i, own in enumerate(rows):
        ignored = own[(own[:, 4] >= 0) & (own[:, 5] > 0), :4]
        own = own[(own[:, 4] >= 0) & (own[:, 5] == 0)]
        if len(ignored):
            wanted[i, _iou(ignored, corners).amax(0) >= MATCHED] = -1
        if len(own):
            table = _iou(own[:, :4], corners)
            wanted[i, table.amax(0) >= NEAR] = -1
            box = match(table)
            positive = box >= 0
            wanted[i, positive] = own[box[positive], 4].long() + 1
            goal[i, positive] = own[box[positive], :4]
    return wanted, goal


def match(table: Tensor) -> Tensor:
    """Which of the G ≥ 1 boxes each anchor is to become, int64 (A,), -1: none; by their overlaps `table` (G, A).

    The one that overlaps it most, from an IoU of 0.5 on; and each box has one anchor at least.

    Examples
    --------
    >>> match(torch.tensor([[0.4, 0.2, 0.1], [0.3, 0.25, 0.0], [0.1, 0.1, 0.6]])).tolist()
    [0, 1, 2]
    """
    overlap, box = table.max(0)
    box = torch.where(overlap >= MATCHED, box, -1)
    best, anchor = table.max(1)
    free = torch.ones(table.shape[1], dtype=torch.bool, device=table.device)
    for g in best.argsort(descending=True).tolist()[: table.shape[1]]:
        own = int(anchor[g])
        if not free[own]:
            own = int(torch.where(free, table[g], -1.0).argmax())
        free[own] = False
        box[own] = g
    return box


def _iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Of corner boxes (G, 4) and (A, 4), float (G, A)."""
    sides = torch.minimum(boxes[:, None, 2:], others[:, 2:]) - torch.maximum(boxes[:, None, :2], others[:, :2])
    inside = sides.clamp(min=0).prod(2)
    own, other = ((box[:, 2:] - box[:, :2]).prod(1) for box in (boxes, others))
    return inside / (own[:, None] + other - inside).clamp(min=1e-12)
