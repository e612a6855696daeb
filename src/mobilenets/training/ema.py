"""Exponential moving average of weights (2018 paper, §6.1: every published accuracy uses it)."""

from __future__ import annotations

import copy

import torch
from torch import nn

from mobilenets.nn.model import MobileNet


class EMA:
    """Keeps `model`, a copy whose weights and BatchNorm statistics trail the trained ones.

    The decay grows as (1 + n) / (10 + n) up to `decay`, so that the first steps are not dominated by
    the starting point (TensorFlow's ExponentialMovingAverage with num_updates). With `decay` 0 the
    copy is the trained model.
    """

    def __init__(self, model: MobileNet, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval()
        self.model.requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards `model` after its optimiser step number `step` (from 0)."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        ours, theirs = self.model.state_dict(), model.state_dict()
        floating = [k for k, v in ours.items() if v.is_floating_point()]
        torch._foreach_lerp_([ours[k] for k in floating], [theirs[k] for k in floating], weight)
        for key in ours.keys() - set(floating):
            ours[key].copy_(theirs[key])
