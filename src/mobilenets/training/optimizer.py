"""What moves the weights by their gradients, and how fast."""

from __future__ import annotations

import math

import torch
from torch import nn

from mobilenets.training.recipe import Recipe


def schedule(step: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """Share of the peak learning rate at `step`: linear warm-up, then a half cosine down to zero."""
    total = recipe.steps_in_all(steps_per_epoch)
    warmup = min(recipe.warmup_epochs * steps_per_epoch, total / 2)
    if step < warmup:
        return min(1.0, (step + 1) / warmup)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; BatchNorm parameters and biases are not decayed.

    Decay pulls towards zero, and zero is no natural value of a BatchNorm scale.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr, fused=True)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9, nesterov=True, fused=True)
    return torch.optim.RMSprop(groups, lr=recipe.lr, momentum=0.9, alpha=0.9, eps=0.0316)
