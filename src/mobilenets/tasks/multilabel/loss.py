"""What is trained for: binary cross-entropy of every label, of rare ones with more weight where they are there."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from mobilenets.tasks.task import Labels

MAX_WEIGHT = 5.0  # more makes a few photographs rule the network


class BinaryCrossEntropy:
    """The mean over photographs and labels, of logits (N, K) and targets (N, K) from 0 to 1.

    Parameters
    ----------
    labels
        int64 (N,), of the training photographs.
    targets
        float32 (V, K), what is wanted of each label text, on the device of the training.
    balanced
        A label that is there weighs as much more as it is rarer than not; else the root of that, which is halfway
        between few misses and probabilities that can be taken at their word. 5 times as much at most.
    """

    def __init__(self, labels: Labels, targets: torch.Tensor, balanced: bool) -> None:
        counts = np.bincount(labels, minlength=len(targets))
        positive = counts @ targets.cpu().numpy()
        ratio = (counts.sum() - positive) / np.maximum(positive, 1)
        weight = np.clip(ratio if balanced else np.sqrt(ratio), 0.2, MAX_WEIGHT)
        self._weight = torch.tensor(weight, dtype=torch.float32, device=targets.device)

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """A scalar."""
        return F.binary_cross_entropy_with_logits(outputs, targets, pos_weight=self._weight)

    def right(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """How many have exactly the labels wanted, a label being there from a probability of one half on; a scalar."""
        return ((outputs >= 0) == (targets >= 0.5)).all(1).float().sum()
