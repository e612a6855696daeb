"""What a network answers about the photographs of a loader: how trainings validate and searches score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mobilenets.data.loader import Batch
from mobilenets.preprocess.torch import Images
from mobilenets.tasks.task import Task
from mobilenets.training.context import ComputeContext, autocast


class Batches(Protocol):
    """What batches are taken from: a `Loader`, or what stands in for one."""

    labels: NDArray[np.int64]

    def __len__(self) -> int:
        """Batches per epoch."""

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The epoch's batches from `start_batch` on."""


@torch.no_grad()
def predict(
    model: nn.Module, loader: Batches, images: Images, ctx: ComputeContext, task: Task[Any]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Outputs float32 (N, W) and labels int64 (N,), in the loader's order, of all processes' parts.

    `task`: makes answers of what the network gives.
    """
    model.eval()
    rows, indices = [], []
    for batch in loader.epoch(0):
        with autocast(ctx.device, ctx.precision):
            outputs = model(images(batch.pixels), batch.after)
        rows.append(task.finished(*(end.cpu().numpy() for end in task.head(outputs.float()))))
        indices.append(batch.indices)
    found, shown = ctx.group.gathered(rows, indices, len(loader.labels))
    return found, loader.labels[shown]
