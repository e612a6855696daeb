"""What the parts of a training share: how it begins, its loop, and how its best weights and its plan are kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mobilenets.data.loader import Loader
from mobilenets.model_card import TILE, ModelCard
from mobilenets.nn.io import write_network
from mobilenets.nn.model import MobileNet
from mobilenets.training.checkpoint import LAST
from mobilenets.training.context import ComputeContext
from mobilenets.training.loop import Trainer
from mobilenets.training.opening import OpenedRun
from mobilenets.training.plan import Plan
from mobilenets.training.prediction import Batches
from mobilenets.training.probe.activation_cache import ActivationCache, Front
from mobilenets.training.probe.features import fast_and_exact


@dataclass(frozen=True)
class Start:
    """What the training loop begins with.

    `best`: figures of the weights that are kept so far; empty: none are. `look_image_s`: seconds that it took to read a
    photograph and run it through the network; 0: not known. `probed`: what the probe's frozen network saw in the
    training photographs, (N, D); None: there was no probe.
    """

    best: dict[str, Any] = field(default_factory=dict)
    look_image_s: float = 0.0
    probed: np.ndarray | None = None


def make_trainer(run: OpenedRun, plan: Plan) -> Trainer:
    """The training loop of a run by its plan, at its beginning."""
    recipe, settings = plan.recipe, plan.settings
    train = run.loaders.loader(run.splits.train.repeated(recipe.repeats), plan.preprocess, recipe.batch_size, recipe)
    val = run.loaders.loader(run.splits.val, plan.preprocess, recipe.batch_size)
    ctx = ComputeContext(run.loaders.device, settings.precision, settings.seed, run.group)
    seen = _as_seen(run, plan, train, val)
    objective = run.splits.objective
    objective = replace(objective, task=objective.task.of_network(run.model.net))
    return Trainer(run.model, recipe, ctx, plan.preprocess, *seen, objective)


def _as_seen(run: OpenedRun, plan: Plan, train: Loader, val: Loader) -> tuple[Batches, Batches]:
    """Both loaders, or their photographs as the frozen blocks see them."""
    if not plan.recipe.views:
        return train, val
    folder, blocks, views = (run.folder / LAST).parent, int(plan.recipe.freeze), plan.recipe.views
    folder.mkdir(exist_ok=True)
    # What is validated on is exact. What is learned from may be a little off, as it is by augmentation, and fast.
    fast, exact = fast_and_exact(Front(run.model, blocks), plan.preprocess, run.loaders.device)
    return ActivationCache(train, fast, blocks, views, folder), ActivationCache(val, exact, blocks, views, folder)


def keep_model(run: OpenedRun, plan: Plan, model: MobileNet, figures: dict[str, Any]) -> None:
    """Write the weights as the run's model, as they validate better than all before."""
    if not run.group.is_main:
        return
    card = ModelCard(
        name=model.net.name,
        net=model.net,
        classes=run.splits.objective.classes,
        preprocess=plan.preprocess,
        metrics=figures,
        provenance=run.model.provenance | ({} if plan.settings.tile is None else {TILE: str(plan.settings.tile)}),
        task=run.splits.survey.task,
    )
    write_network(run.folder / "model.safetensors", model, card)


def write_plan(run: OpenedRun, plan: Plan) -> None:
    """Write the plan as the run's config.yaml, in the main process."""
    if run.group.is_main:
        plan.write(run.folder)
