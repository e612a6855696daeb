"""Freezing: weights *and* BatchNorm statistics stay bit for bit as they are."""

from __future__ import annotations

from torch import nn

from mobilenets.arch.net import Net
from mobilenets.errors import UsageError
from mobilenets.nn.model import MobileNet


def frozen_modules(model: MobileNet, freeze: str | int) -> list[nn.Module]:
    """The parts that `freeze` ("none", "backbone" or a number of blocks) names, gradients turned off.

    Raises
    ------
    UserError
        More blocks than the network has.
    """
    check_freeze(model.net, freeze)
    if freeze == "none" or freeze == 0:
        return []
    frozen = backbone_of(model) if freeze == "backbone" else [model.stem, *list(model.blocks)[: int(freeze)]]
    for module in frozen:
        module.requires_grad_(False)
    return frozen


def backbone_of(model: MobileNet) -> list[nn.Module]:
    """All parts but the head: what comes with pretrained weights."""
    return [module for module in model.children() if not any(module is head for head in model.head_modules)]


def fixed_norms(model: MobileNet) -> list[nn.Module]:
    """BatchNorm of the backbone: in evaluation mode its statistics stay, while its weights are trained."""
    return [m for part in backbone_of(model) for m in part.modules() if isinstance(m, nn.BatchNorm2d)]


def check_freeze(net: Net, freeze: str | int) -> None:
    """Refuse more blocks than `net` has.

    Raises
    ------
    UserError
        As said.
    """
    if isinstance(freeze, int) and freeze > len(net.blocks):
        raise UsageError(f"freeze: {freeze} blocks asked for; {net.name} has {len(net.blocks)}")


def set_training(model: nn.Module, frozen: list[nn.Module]) -> None:
    """Training mode, except in frozen parts.

    `requires_grad=False` alone is not freezing: in training mode BatchNorm still moves its running
    mean and variance with every batch, and the "frozen" features drift.
    """
    model.train()
    for module in frozen:
        module.eval()
