"""The training at the end of a search: everything that was found, taught by the network it came from."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from torch import nn

from mobilenets.nn.io import write_network
from mobilenets.nn.model import MobileNet
from mobilenets.searching.context import SearchContext
from mobilenets.searching.distill import Distiller, plain
from mobilenets.system.timing import seconds_each
from mobilenets.training.loop import OnBest
from mobilenets.training.settings import write_config

FINAL_LR_FACTOR = (
    0.3  # of the run's learning rate: at the whole rate the first epochs lose some of what the search has kept
)
FINISH_S = 20.0  # exporting, evaluating and drawing at the end
NUM_TIMED_STEPS = 3  # steps that tell how long an epoch takes
EVALUATION_FRACTION = 0.3  # of a step with a teacher: a forward pass
MAX_EPOCHS = 60


def distiller(ctx: SearchContext, model: MobileNet, size: int, epochs: int) -> Distiller:
    """The trainer of `model`, with the seed as its teacher, on the whole training part."""
    return Distiller(
        model,
        plain(ctx.recipe, epochs, FINAL_LR_FACTOR),
        ctx.compute,
        ctx.preprocess(size),
        ctx.loader(ctx.parts.train, ctx.base_candidate.size, train=True),
        ctx.loader(ctx.parts.val, size),
        teacher=copy.deepcopy(ctx.base),
        sizes=[size],
    )


def planned_epochs(ctx: SearchContext, model: MobileNet, size: int, seconds: float) -> int:
    """The whole epochs that fit into `seconds`, at least one, from a measurement on a copy."""
    trial = distiller(ctx, copy.deepcopy(model), size, 1)
    steps = _endless(trial)
    next(steps)  # primitives are created and cached
    step_s = seconds_each(islice(steps, NUM_TIMED_STEPS))
    epoch_s = step_s * (len(trial.train) + EVALUATION_FRACTION * len(trial.val))
    return max(1, min(MAX_EPOCHS, int((seconds - FINISH_S) / epoch_s)))


def _endless(trainer: Distiller) -> Iterator[object]:
    """The steps of the first epoch, over and over: a small data set may have a single one."""
    while True:
        trainer.state.batch = 0
        yield from trainer.steps()


def keeper(ctx: SearchContext, size: int, folder: Path) -> OnBest:
    """What keeps the best network as `folder/model.safetensors`."""

    def keep(model: nn.Module, figures: dict[str, Any]) -> None:
        assert isinstance(model, MobileNet)
        write_network(folder / "model.safetensors", model, ctx.card_of(model, size, figures))

    return keep


def write_settings(ctx: SearchContext, folder: Path, size: int, epochs: int) -> None:
    """Write the `config.yaml` of what was found: its data and split, and the run's recipe, at its whole rate.

    A training from it goes on from the network in `folder`, whose table is in its card, by itself: no teacher is a
    setting of a run.
    """
    settings = replace(
        ctx.settings,
        model=None,  # that of the file, and its width
        width=None,
        weights=str(folder / "model.safetensors"),
        recipe="finetune",
        minutes=None,
        epochs=epochs,
        size=size,
        precision=ctx.compute.precision,
    )
    write_config(folder / "config.yaml", settings, plain(ctx.recipe, epochs), "Train the network that was found on")
