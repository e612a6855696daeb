"""What a network answers about the photographs of a loader: how trainings validate and searches score."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mobilenets.data.loader import Loader
from mobilenets.preprocess.torch import Images
from mobilenets.training.context import ComputeContext, autocast


@torch.no_grad()
def predict(
    model: nn.Module, loader: Loader, images: Images, ctx: ComputeContext
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities float32 (N, classes) and labels int64 (N,), in the loader's order, of all processes' parts."""
    model.eval()
    rows, indices = [], []
    for batch in loader.epoch(0):
        with autocast(ctx.device, ctx.precision):
            logits = model(images(batch.pixels), batch.after)
        rows.append(logits.float().softmax(1).cpu().numpy())
        indices.append(batch.indices)
    probabilities, shown = ctx.group.gathered(rows, indices, len(loader.labels))
    return probabilities, loader.labels[shown]
