"""What a search does with a network besides cutting it: short training, distillation, statistics, judgement."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mobilenets.data.loader import Batch, Loader
from mobilenets.nn.layers import channels_last
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.tasks.classify.metrics import log_loss
from mobilenets.training.context import ComputeContext, autocast
from mobilenets.training.loop import Batches, Trainer
from mobilenets.training.recipe import Recipe

TEACHER_WEIGHT = 0.5  # of the loss; the rest are the labels
NUM_RECALIBRATION_BATCHES = 8  # batches behind BatchNorm's statistics where they are estimated anew

Figures = dict[str, float]


class LimitedLoader:
    """`batches` batches of a loader's run through its epochs, from batch number `begin` on, as if an epoch."""

    def __init__(self, loader: Loader, batches: int, begin: int = 0) -> None:
        self._whole, self._batches, self._begin = loader, batches, begin
        self.labels = loader.labels

    def __len__(self) -> int:
        """Batches."""
        return self._batches

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """As `Loader.epoch`; each goes on where the one before ended."""
        start, left = self._begin + epoch * self._batches + start_batch, self._batches - start_batch
        while left > 0:
            number, first = divmod(start, len(self._whole))
            for batch in itertools.islice(self._whole.epoch(number, first), left):
                yield batch
                start, left = start + 1, left - 1


def resize_images(images: torch.Tensor, size: int) -> torch.Tensor:
    """A batch at another side, averaged as `Preprocess` does."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


class Distiller(Trainer):
    """A trainer whose network also learns what a teacher says of each picture (Hinton et al. 2015, 1503.02531).

    Batches have the size that the teacher knows: of smaller pictures it would be less sure, and its student with it.
    The network gets them at one of `sizes`, another one for each batch. Its BatchNorms keep their statistics: a run
    that freezes its first blocks, as `finetune` does, has theirs from ImageNet, and all else has learnt to live with
    them. Those of the batches cost the seed itself 1.5 to 5.5 points of accuracy (`docs/search.md`).
    """

    def __init__(self, *args: Any, teacher: MobileNet, sizes: Sequence[int]) -> None:
        super().__init__(*args)
        self._teacher = channels_last(teacher.to(self.ctx.device)).eval().requires_grad_(False)
        self._sizes = sizes
        self.frozen += _norms(self.model)

    def step(self, model: nn.Module, batch: Batch, rng: np.random.Generator, precision: str) -> tuple[float, float]:
        """As `Trainer.step`."""
        return super().step(_AtSize(model, int(rng.choice(self._sizes))), batch, rng, precision)

    def loss(self, images: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The usual loss, and cross-entropy against the teacher's probabilities."""
        with torch.no_grad(), autocast(self.ctx.device, self.ctx.precision):
            said = self._teacher(images).float().softmax(1)
        own = super().loss(images, logits, targets)
        return (1 - TEACHER_WEIGHT) * own + TEACHER_WEIGHT * F.cross_entropy(logits, said)


class _AtSize(nn.Module):
    """A network that is shown smaller pictures than it is given."""

    def __init__(self, model: nn.Module, size: int) -> None:
        super().__init__()
        self.model, self.size = model, size

    def forward(self, images: torch.Tensor, after: int | None) -> torch.Tensor:
        logits: torch.Tensor = self.model(resize_images(images, self.size), after)
        return logits


def plain(recipe: Recipe, epochs: int = 1, rate: float = 1.0) -> Recipe:
    """The run's recipe for a whole network from where it stands: nothing frozen, `rate` times its learning rate."""
    return replace(recipe, epochs=epochs, steps=0, freeze="none", views=0, patience=0, lr=rate * recipe.lr)


def short(recipe: Recipe, rate: float) -> Recipe:
    """The run's recipe for a few batches from `rate` times its learning rate down to zero: no warm-up, no average."""
    return replace(plain(recipe, rate=rate), warmup_epochs=0.0, ema=0.0)


def _norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@torch.no_grad()
def recalibrate(
    model: MobileNet, recipe: Recipe, compute: ComputeContext, preprocess: Preprocess, train: Batches
) -> None:
    """Set BatchNorm's statistics to their plain mean over some batches: for a network that was changed a lot."""
    trainer = Trainer(model, replace(plain(recipe), ema=0.0), compute, preprocess, train, train)
    model.eval()
    for norm in _norms(model):
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for batch in itertools.islice(train.epoch(0), NUM_RECALIBRATION_BATCHES):
        with autocast(compute.device, compute.precision):
            model(trainer.images(batch.pixels))
    for norm in _norms(model):
        norm.momentum = recipe.norm_momentum
    model.eval()


def evaluate(
    model: MobileNet, recipe: Recipe, compute: ComputeContext, preprocess: Preprocess, loader: Loader
) -> Figures:
    """Accuracy and log loss of `model` on the pictures of `loader`, and the expected accuracy.

    That is the mean probability of the right class: the accuracy of answers drawn from what the network says. Every
    picture moves it, not only those that change sides, so that few pictures tell networks apart.
    """
    trainer = Trainer(model, replace(plain(recipe), ema=0.0), compute, preprocess, loader, loader)
    probabilities, labels = trainer.predict(model, loader)
    return {
        "accuracy": float((probabilities.argmax(1) == labels).mean()),
        "expected_accuracy": float(probabilities[np.arange(len(labels)), labels].mean()),
        "log_loss": log_loss(probabilities, labels),
    }
