"""What an exported graph adds behind the network: its scores apart, that of the photo and those of its patches."""

from __future__ import annotations

import math

import torch


def score_and_map(outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 1 + h * h) → (N, 1) and (N, h, h), 0 to 1."""
    side = math.isqrt(int(outputs.shape[1]) - 1)
    return outputs[:, :1], outputs[:, 1:].reshape(-1, side, side)
