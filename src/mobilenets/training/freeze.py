"""Freezing: weights *and* BatchNorm statistics stay bit for bit as they are."""

from __future__ import annotations

from torch import nn

from mobilenets.errors import UserError
from mobilenets.nn.model import MobileNet


def frozen_modules(model: MobileNet, freeze: str | int) -> list[nn.Module]:
    """The parts that `freeze` ("none", "backbone" or a number of blocks) names, gradients turned off.

    Raises:
        UserError: more blocks than the network has.
    """
    if freeze == "none" or freeze == 0:
        return []
    if freeze == "backbone":
        frozen = [module for module in model.children() if module is not model.classifier]
    else:
        count = int(freeze)
        if count > len(model.blocks):
            raise UserError(f"freeze: {count} blocks asked for; {model.net.name} has {len(model.blocks)}")
        frozen = [model.stem, *list(model.blocks)[:count]]
    for module in frozen:
        module.requires_grad_(False)
    return frozen


def set_training(model: nn.Module, frozen: list[nn.Module]) -> None:
    """Training mode, except in frozen parts.

    `requires_grad=False` alone is not freezing: in training mode BatchNorm still moves its running
    mean and variance with every batch, and the "frozen" features drift.
    """
    model.train()
    for module in frozen:
        module.eval()
