"""A trained run taken up again: its network, its data split as it was, and a part of the training data held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mobilenets.data.cache.images import open_cache
from mobilenets.data.loader import Loader, Skipped
from mobilenets.data.manifest import FILE
from mobilenets.data.readable import readable_splits
from mobilenets.data.samples import Samples
from mobilenets.data.split import train_val_split
from mobilenets.errors import ModelFileError, UsageError
from mobilenets.model_card import CLASSIFY, SEARCHED_FROM, ModelCard
from mobilenets.nn.io import open_network
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.searching.candidate import Candidate
from mobilenets.training.context import ComputeContext, pick_device
from mobilenets.training.loaders import LoaderFactory
from mobilenets.training.run_data import open_splits
from mobilenets.training.settings import read_config

HOLDOUT_FRACTION = 0.2  # of the training split: candidates are scored on it, never on the validation split
MAX_HOLDOUT = 1000
EVAL_BATCH_SIZE = 64


@dataclass(frozen=True)
class SearchSplits:
    """The photographs of a search: the run's own splits `train` and `val`, and `rest` and `holdout`, parts of `train`.

    Candidates train on `rest` and are scored on `holdout`. What is found is trained on all of `train` in the end, and
    `val` tells how right it is.
    """

    val: Samples
    train: Samples
    rest: Samples
    holdout: Samples


class SearchContext:
    """What every part of a search works with: the run's network (`base`), and its data, recipe and preprocess.

    `data` is split as the run split it, so that what validated the base network validates what is found. `folder`, of a
    search that is resumed, says how, where the run does not.

    Raises
    ------
    UserError
        No complete run, data that is gone or has other classes.
    """

    def __init__(self, run: Path, data: Path, seed: int = 0, folder: Path | None = None) -> None:
        if not (run / "config.yaml").is_file():
            raise ModelFileError(f"--from {run}: is no run folder; give one that 'mobilenets train' or 'search' wrote")
        network = open_network(run)
        if network.card.task != CLASSIFY:
            raise UsageError(
                f"--from {run}: answers {network.card.task!r}, and a search is for classes; give a run for classes"
            )
        self.run, self.card, self.base = run, network.card, network.model
        settings, self.recipe = read_config(run / "config.yaml")
        self.settings = replace(settings, data=str(data))
        lists = folder if folder is not None and (folder / FILE).exists() else run
        self.listed = open_splits(lists, settings, data)
        if self.listed.classes != self.card.classes:
            raise ModelFileError(
                f"{data}: its classes are not those of {run}; give the data that the run was trained on"
            )
        precision = "fp32" if settings.precision == "auto" else settings.precision  # a run has it settled
        self.compute = ComputeContext(pick_device(settings.device), precision, seed)
        cache = open_cache("ram" if settings.cache == "auto" else settings.cache, 0)
        self._loaders = LoaderFactory(self.compute.device, seed, settings.workers, Skipped(), cache)

    @cached_property
    def splits(self) -> SearchSplits:
        """The photographs that can be read, divided; the first time that is found out, and what cannot is named.

        Raises
        ------
        UserError
            A class without any.
        """
        splits = readable_splits(self.listed, self._loaders.skipped, self.settings.rare)
        rest, holdout = train_val_split(splits.train, splits.classes, HOLDOUT_FRACTION, self.compute.seed)
        return SearchSplits(splits.val, splits.train, rest, holdout.spread(MAX_HOLDOUT))

    @property
    def base_candidate(self) -> Candidate:
        """The base network as a candidate."""
        return Candidate(self.base.net, self.card.preprocess.size)

    def preprocess(self, size: int) -> Preprocess:
        """The run's, at another size."""
        return replace(self.card.preprocess, size=size)

    def loader(self, samples: Samples, size: int, train: bool = False) -> Loader:
        """Batches of `samples`: with `train` as the run's recipe shows them in training, else for evaluation."""
        batch, recipe = (self.recipe.batch_size, self.recipe) if train else (EVAL_BATCH_SIZE, None)
        return self._loaders.loader(samples, self.preprocess(size), batch, recipe)

    def images(self, pixels: NDArray[np.uint8], size: int) -> torch.Tensor:
        """Pixels (N, size, size, C) as normalised images (N, C, size, size) on the device."""
        return torch.from_numpy(self.preprocess(size).normalize(pixels)).to(self.compute.device)

    def card_of(self, model: MobileNet, size: int, metrics: Mapping[str, Any] | None = None) -> ModelCard:
        """The card of a network that was found."""
        return replace(
            self.card, net=model.net, preprocess=self.preprocess(size), metrics=dict(metrics or {}),
            provenance={**self.card.provenance, SEARCHED_FROM: self.run.name},
        )  # fmt: skip
