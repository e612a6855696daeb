"""Training beside a teacher: a candidate learns from the labels and from the network it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mobilenets.data.loader import Batch
from mobilenets.nn.layers import channels_last
from mobilenets.nn.model import MobileNet
from mobilenets.training.context import autocast
from mobilenets.training.loop import Trainer
from mobilenets.training.recipe import Recipe

TEACHER_WEIGHT = 0.5  # of the loss; the rest are the labels


class Distiller(Trainer):
    """A trainer whose network also learns what a teacher says of each image (Hinton et al. 2015, 1503.02531).

    Batches have the size that the teacher knows: of smaller images it would be less sure, and its student with it. The
    network gets them at one of `sizes`, another one for each batch. Its BatchNorms keep their statistics: a run that
    freezes its first blocks, as `finetune` does, has theirs from ImageNet, and all else has learnt to live with them.
    Those of the batches cost the base network itself 1.5 to 5.5 points of accuracy
    (docs/decisions/001-batchnorm-statistics.md).
    """

    def __init__(self, *args: Any, teacher: MobileNet, sizes: Sequence[int]) -> None:
        super().__init__(*args)
        self._teacher = channels_last(teacher.to(self.ctx.device)).eval().requires_grad_(False)
        self._sizes = sizes
        self.frozen += batch_norms(self.model)

    def step(self, model: nn.Module, batch: Batch, rng: np.random.Generator, precision: str) -> torch.Tensor:
        """As `Trainer.step`."""
        return super().step(_AtSize(model, int(rng.choice(self._sizes))), batch, rng, precision)

    def loss(self, images: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The usual loss, and cross-entropy against the teacher's probabilities."""
        with torch.no_grad(), autocast(self.ctx.device, self.ctx.precision):
            answers = self._teacher(images).float().softmax(1)
        own = super().loss(images, logits, targets)
        return (1 - TEACHER_WEIGHT) * own + TEACHER_WEIGHT * F.cross_entropy(logits, answers)


class _AtSize(nn.Module):
    """A network that is shown smaller images than it is given."""

    def __init__(self, model: nn.Module, size: int) -> None:
        super().__init__()
        self.model, self.size = model, size

    def forward(self, images: torch.Tensor, after: int | None) -> torch.Tensor:
        logits: torch.Tensor = self.model(resize_images(images, self.size), after)
        return logits


def resize_images(images: torch.Tensor, size: int) -> torch.Tensor:
    """A batch at another side, averaged as `Preprocess` does."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


def batch_norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    """Every BatchNorm of a network."""
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def whole_network_recipe(recipe: Recipe, epochs: int = 1, lr_factor: float = 1.0) -> Recipe:
    """The run's recipe for all of a network from where it stands: nothing frozen, `lr_factor` times its rate."""
    return replace(recipe, epochs=epochs, steps=0, freeze="none", views=0, patience=0, lr=lr_factor * recipe.lr)


def short_recipe(recipe: Recipe, lr_factor: float) -> Recipe:
    """The run's recipe for a few batches, from `lr_factor` times its rate down to zero: no warm-up, no average."""
    return replace(whole_network_recipe(recipe, lr_factor=lr_factor), warmup_epochs=0.0, ema=0.0)
