"""The start of fine-tuning: BatchNorm statistics of the new photographs, and a head that fits them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # also the synchronised one of GPUs

from mobilenets.training.context import autocast
from mobilenets.training.freeze import set_training
from mobilenets.training.loop import Trainer
from mobilenets.training.prediction import Batches
from mobilenets.training.probe.fit import refit_last_layer

ENOUGH_IMAGES = 640  # a mean over 640 × 7 × 7 values and more per channel no longer moves
ENOUGH_PER_CLASS = 4
MAX_IMAGES = 20 * ENOUGH_IMAGES  # of a long tail, the last of a million photographs is not waited for


@torch.no_grad()
def warm_start(trainer: Trainer, loader: Batches) -> None:
    """Estimate BatchNorm's statistics on `loader` and refit the probe's head to the features they give.

    The probe fits its head to features normalised with ImageNet's statistics, but training normalises with
    those of the batch. Where the photographs look unlike ImageNet the two differ so much that the probe's
    head is worthless in the first step, and the gradients of that loss ruin the backbone: on solar cells the
    first epoch's loss was 6.2 without this, 0.56 with it. One pass in training mode mends both. Frozen parts stay
    as they are; what follows them gets its statistics from them.
    """
    model = trainer.model
    set_training(model, trainer.frozen)
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training]
    momentum = [m.momentum for m in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    rows, labels = [], []
    counts = np.zeros(len(trainer.objective.texts), np.int64)
    per_class = ENOUGH_PER_CLASS if trainer.objective.task.labels_are_classes else 0
    enough = np.minimum(np.bincount(loader.labels, minlength=len(counts)), per_class)
    for batch in loader.epoch(0):
        with autocast(trainer.ctx.device, trainer.ctx.precision):
            pooled = model.forward_head(
                model.forward_features(trainer.images(batch.pixels), batch.after), pre_logits=True
            )
        rows.append(pooled.float().cpu().numpy())
        labels.append(batch.labels)
        counts += np.bincount(batch.labels, minlength=len(counts))
        if counts.sum() >= MAX_IMAGES or (counts.sum() >= ENOUGH_IMAGES and (counts >= enough).all()):
            break
    for norm, value in zip(norms, momentum, strict=True):
        norm.momentum = value
    assert isinstance(model.classifier, nn.Linear)
    balanced = trainer.recipe.balance != "none"
    x, y = np.concatenate(rows), np.concatenate(labels)
    refit_last_layer(model.classifier, trainer.objective, x, y, trainer.ctx.seed, balanced)
    trainer.ema.model.load_state_dict(model.state_dict())
