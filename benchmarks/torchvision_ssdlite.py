"""torchvision's recipe for SSDLite (references/detection, 0.29.1), as far as it is one for other photos than COCO's.

Its anchors, the loss of the hardest background, crops by its transform `ssdlite`, SGD with a cosine, no averaging,
nothing frozen, all layers from the first step on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from mobilenets.tasks.detect.loss import SsdLoss, _parts, _wanted, encode

BATCH_SIZE = 8
RECIPE = {
    "optimizer": "sgd", "lr": 0.15 * BATCH_SIZE / (8 * 24),  # the linear rule, from 8 GPUs with 24 photos each
    "weight_decay": 4e-5, "batch_size": BATCH_SIZE, "backbone_lr": 1.0, "fixed_norm": False, "ema": 0.0, "clip": 0.0,
    "head_steps": 1, "augment.crop_scale": (0.3, 1.0), "augment.crop_ratio": (0.5, 2.0),
    "augment.zoom_out": 1.0, "augment.jitter": 0.0,
}  # fmt: skip


class HardNegatives(SsdLoss):
    """Of each photo's background the three hardest anchors for each that is an object."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """As `SsdLoss`."""
        logits, codes, anchors = _parts(outputs)
        wanted, goal = _wanted(targets, anchors)
        positive = wanted > 0
        losses = F.cross_entropy(logits.flatten(0, 1), wanted.clamp(min=0).flatten(), reduction="none").view_as(wanted)
        hardness = torch.where(positive, -1.0, losses.detach())
        negative = hardness.argsort(1, descending=True).argsort(1) < 3 * positive.sum(1, keepdim=True)
        boxes = F.smooth_l1_loss(
            codes[positive], encode(goal[positive], anchors.expand_as(goal)[positive]), reduction="sum"
        )
        return (boxes + losses[positive | negative].sum()) / positive.sum().clamp(min=1)


@contextlib.contextmanager
def published_anchors() -> Iterator[None]:
    """Detectors keep torchvision's anchors, whatever the boxes are."""
    with mock.patch("mobilenets.training.detection.own_head", lambda net, boxes: net.ssd):
        yield


@contextlib.contextmanager
def torchvision() -> Iterator[None]:
    """Detectors are trained as torchvision does, with `RECIPE`."""
    overlap = mock.patch("mobilenets.training.detection.own_overlap", return_value=0.55)
    with published_anchors(), overlap, mock.patch("mobilenets.tasks.detect.loss.SsdLoss", HardNegatives):
        yield
