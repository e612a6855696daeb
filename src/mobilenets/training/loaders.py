"""What all loaders of a run share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from mobilenets.data.cache.images import Cache
from mobilenets.data.loader import PREFETCH, Loader, Skipped
from mobilenets.data.sample import Sample
from mobilenets.preprocess import Preprocess
from mobilenets.training.recipe import Recipe


@dataclass(frozen=True)
class LoaderFactory:
    """Makes a run's loaders; its fields are those of `Loader`, but for the `device` that the arithmetic runs on."""

    device: torch.device
    seed: int
    workers: int | None
    skipped: Skipped
    cache: Cache | None = None
    points: Sequence[NDArray[np.floating]] | None = None
    rank: int = 0
    world_size: int = 1

    def whole(self) -> LoaderFactory:
        """The same for one process that goes through all photographs, not only through its part of them."""
        return replace(self, rank=0, world_size=1)

    def loader(
        self,
        samples: Sequence[Sample],
        preprocess: Preprocess,
        batch_size: int,
        recipe: Recipe | None = None,
        shuffle: bool = False,
    ) -> Loader:
        """Batches of `samples`: with a recipe, as it wants them for training; `shuffle`: so but for augmentation."""
        training = shuffle or recipe is not None
        return Loader(
            samples,
            preprocess,
            batch_size,
            augment=recipe.augment if recipe else None,
            seed=self.seed,
            workers=self.workers,
            prefetch=0 if self.device.type == "cpu" else PREFETCH,
            shuffle=training,
            drop_last=training and len(samples) > batch_size,
            balanced=recipe is not None and recipe.balance == "sampler",
            cache=self.cache,
            skipped=self.skipped,
            points=self.points if recipe else None,
            rank=self.rank,
            world_size=self.world_size,
        )
