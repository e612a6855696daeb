"""The end of a search: what was found is trained on everything, taught by the network it came from, and written."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from mobilenets.auditing.audit import audit_splits
from mobilenets.data.manifest import base_of
from mobilenets.data.value_range import RangeDecision
from mobilenets.features.index import MAX_IMAGES
from mobilenets.model_card import ModelCard, read_card
from mobilenets.nn.io import write_network
from mobilenets.nn.model import MobileNet
from mobilenets.report.run_pages import report_run
from mobilenets.searching.context import SearchContext
from mobilenets.searching.distill import Distiller, whole_network_recipe
from mobilenets.searching.evaluation import EVALUATION_FRACTION, seconds_per_step
from mobilenets.searching.state import SearchState
from mobilenets.training.checkpoint import LAST
from mobilenets.training.feature_index import TrainImages
from mobilenets.training.interrupt import Interrupt
from mobilenets.training.loop import OnBest
from mobilenets.training.run_folder import complete, finish
from mobilenets.training.settings import write_config

LR_FACTOR = 0.3  # of the run's learning rate: at all of it the first epochs lose some of what the search has kept
FINISH_S = 20.0  # exporting, evaluating and drawing at the end
MAX_EPOCHS = 60


def train_found(ctx: SearchContext, state: SearchState, interrupt: Interrupt, deadline: float) -> bool:
    """Train the network that the search has left, and keep the epoch that validates best; False when interrupted."""
    found = state.network()
    assert found is not None  # a method that was not interrupted leaves a network
    model, size = found
    if state.epochs is None:
        state.epochs = state.config.epochs or _plan_epochs(ctx, model, size, deadline - time.monotonic())
        state.save()
    trainer = final_trainer(ctx, model, size, state.epochs)
    if (state.folder / LAST).exists():
        trainer.resume(state.folder / LAST)
    return trainer.fit(_keeper(ctx, size, state.folder), state.folder, interrupt)


def final_trainer(ctx: SearchContext, model: MobileNet, size: int, epochs: int) -> Distiller:
    """The trainer of `model` with the base network as its teacher, on the whole training split."""
    return Distiller(
        model,
        whole_network_recipe(ctx.recipe, epochs, LR_FACTOR),
        ctx.compute,
        ctx.preprocess(size),
        ctx.loader(ctx.splits.train, ctx.base_candidate.size, train=True),
        ctx.loader(ctx.splits.val, size),
        teacher=copy.deepcopy(ctx.base),
        sizes=[size],
    )


def _plan_epochs(ctx: SearchContext, model: MobileNet, size: int, seconds: float) -> int:
    """The whole epochs that fit into `seconds`, at least one, from a measurement on a copy."""
    trial = final_trainer(ctx, copy.deepcopy(model), size, 1)
    epoch_s = seconds_per_step(trial) * (len(trial.train) + EVALUATION_FRACTION * len(trial.val))
    return max(1, min(MAX_EPOCHS, int((seconds - FINISH_S) / epoch_s)))


def _keeper(ctx: SearchContext, size: int, folder: Path) -> OnBest:
    """What keeps the best network as `folder/model.safetensors`."""

    def keep(model: nn.Module, figures: dict[str, Any]) -> None:
        assert isinstance(model, MobileNet)
        write_network(folder / "model.safetensors", model, ctx.card_of(model, size, figures))

    return keep


def write_run(ctx: SearchContext, state: SearchState) -> ModelCard:
    """Write what an ordinary run folder has; the card of the network in it."""
    folder, card = state.folder, read_card(state.folder / "model.safetensors")
    _write_config(ctx, state, card.preprocess.size)
    audit = audit_splits(
        Path(state.config.data),
        ctx.listed,
        val=ctx.settings.val,
        seed=ctx.settings.seed,
        decision=RangeDecision(card.preprocess.range),
    )
    val, test = (ctx.loader(samples, card.preprocess.size) for samples in (ctx.splits.val, ctx.listed.test))
    trained = ctx.splits.train
    some = ctx.loader(trained.spread(MAX_IMAGES), card.preprocess.size)
    train = TrainImages(some, len(trained), base_of(Path(state.config.data)))
    finished = finish(folder, ctx.listed.objective, val, test, train)
    report_run(folder, finished.images, audit)
    complete(folder, finished.card)
    return finished.card


def _write_config(ctx: SearchContext, state: SearchState, size: int) -> None:
    """Write the `config.yaml` of what was found: its data and split, and the run's recipe, at its whole rate.

    A training from it goes on from the network in the folder, whose table is in its card, by itself: no teacher is a
    setting of a run.
    """
    assert state.epochs is not None  # planned before the training
    settings = replace(
        ctx.settings,
        model=None,  # that of the file, and its width
        width=None,
        weights=str(state.folder / "model.safetensors"),
        recipe="finetune",
        minutes=None,
        epochs=state.epochs,
        size=size,
        precision=ctx.compute.precision,
    )
    recipe = whole_network_recipe(ctx.recipe, state.epochs)
    write_config(state.folder / "config.yaml", settings, recipe, "Train the network that was found on")
