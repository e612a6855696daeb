"""What an exported graph adds behind the network: logits become probabilities."""

from __future__ import annotations

import torch


def softmax(logits: torch.Tensor) -> torch.Tensor:
    """(N, K) → (N, K), rows summing to 1."""
    return logits.softmax(1)
