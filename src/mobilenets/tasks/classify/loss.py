"""What a classifier is trained for: cross-entropy, with weights for rare classes and smoothed labels where asked."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from mobilenets.tasks.task import Labels


class CrossEntropy:
    """The mean cross-entropy of logits (N, K) and targets (N, K), which may be mixtures of classes.

    Parameters
    ----------
    labels
        int64 (N,), of the training photographs.
    targets
        float32 (K, K), what is wanted of each class, on the device of the training.
    balanced
        Weigh each class by one over its photographs, so that all classes count alike.
    smoothing
        The fraction of each target that is spread over all classes (1512.00567), 0 to 1.
    """

    def __init__(self, labels: Labels, targets: torch.Tensor, balanced: bool, smoothing: float) -> None:
        counts = np.bincount(labels, minlength=len(targets))
        weight = counts.sum() / (len(counts) * counts) if balanced else np.ones(len(counts))
        self._weight = torch.tensor(weight, dtype=torch.float32, device=targets.device)
        self._smoothing = smoothing

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """A scalar."""
        return F.cross_entropy(outputs, targets, weight=self._weight, label_smoothing=self._smoothing)

    def right(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """How many have the target's class as the most probable one, a scalar."""
        return (outputs.argmax(1) == targets.argmax(1)).float().sum()
