"""What moves the weights by their gradients, and how fast."""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import unwrap
from typing import Any

import torch
from torch import nn

from mobilenets.nn.model import MobileNet
from mobilenets.training.freeze import backbone_of
from mobilenets.training.recipe import Recipe


def schedule(step: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """Share of the peak learning rate at `step`: linear warm-up, then a half cosine down to zero."""
    total = recipe.steps_in_all(steps_per_epoch)
    warmup = min(recipe.warmup_epochs * steps_per_epoch, total / 2)
    if step < warmup:
        return min(1.0, (step + 1) / warmup)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def make_optimizer(model: MobileNet, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; BatchNorm parameters and biases are not decayed.

    Decay pulls towards zero, and zero is no natural value of a BatchNorm scale. `scale` of a group: what its learning
    rate is a multiple of the recipe's.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = _groups(trained, 1.0, recipe)
    if recipe.backbone_lr != 1:
        backbone = {p for part in backbone_of(model) for p in part.parameters()}
        groups = _groups([p for p in trained if p not in backbone], 1.0, recipe)
        groups += _groups([p for p in trained if p in backbone], recipe.backbone_lr, recipe)
    if recipe.optimizer == "adamw":
        return _never_compiled(torch.optim.AdamW)(groups, lr=recipe.lr, fused=True)
    if recipe.optimizer == "sgd":
        return _never_compiled(torch.optim.SGD)(groups, lr=recipe.lr, momentum=0.9, nesterov=True, fused=True)
    return _never_compiled(torch.optim.RMSprop)(groups, lr=recipe.lr, momentum=0.9, alpha=0.9, eps=0.0316)


def _never_compiled(optimizer: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """The same without its guards against torch's compiler, whose import takes a second of a training's start.

    Nothing is compiled here. A torch that guards its methods otherwise keeps its guards, and imports it.
    """
    guarded = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    plain = {name: unwrap(getattr(optimizer, name)) for name in guarded}
    step = torch.no_grad()(unwrap(optimizer.step))  # as its guard has it
    return type(optimizer.__name__, (optimizer,), {**plain, "step": step})


def _groups(parameters: list[nn.Parameter], scale: float, recipe: Recipe) -> list[dict[str, Any]]:
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay, "scale": scale},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0, "scale": scale},
    ]
