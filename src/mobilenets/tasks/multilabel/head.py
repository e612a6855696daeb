"""What an exported graph adds behind the network: logits become probabilities, each by itself."""

from __future__ import annotations

import torch


def sigmoid(logits: torch.Tensor) -> torch.Tensor:
    """(N, K) → (N, K), each from 0 to 1."""
    return logits.sigmoid()
