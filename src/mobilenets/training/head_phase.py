"""A detector's head is trained alone at first, on the frozen backbone: the probe of a task that has no linear layer.

Fresh predictions ruin features that are trained along from the first step, and steps behind a frozen backbone take a
third of the time.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

from mobilenets.nn.model import MobileNet
from mobilenets.runtime.engines.torch import torch_threads
from mobilenets.system.files import write_atomic
from mobilenets.training.checkpoint import HEAD, LAST
from mobilenets.training.interrupt import Interrupt
from mobilenets.training.loop import Trainer
from mobilenets.training.opening import OpenedRun
from mobilenets.training.plan import Plan
from mobilenets.training.planning import plan_speed, seconds_left
from mobilenets.training.speed import MIN_STEPS, ROUGH, measure_speed, steps_within
from mobilenets.training.trainers import Start, keep_model, make_trainer, write_plan
from mobilenets.weights.kept import KEPT, PROBE

log = logging.getLogger(__name__)

FRACTION = 0.1  # of the time or the epochs, where the backbone is trained afterwards
LR_FACTOR = 4.0  # of the learning rate: there is nothing here that large steps would ruin
MAX_STEPS = 500  # after which a frozen backbone gives no more


def train_head(run: OpenedRun, plan: Plan, start: Start, interrupt: Interrupt) -> tuple[Plan, Start, bool]:
    """Train the head alone, and keep it if it is better than what is kept at the `start`.

    Returns the plan with what it decided, what is kept then, and False when interrupted.
    """
    recipe = replace(plan.recipe, freeze="backbone", fixed_norm=False, lr=LR_FACTOR * plan.recipe.lr)
    only_head = replace(plan, recipe=recipe)
    trainer, folder, step_s = make_trainer(run, only_head), run.folder / HEAD, 0.0
    if not plan.recipe.head_steps:
        left = seconds_left(run, plan, 0.0)
        speed = measure_speed(trainer, plan.settings.precision, left, plan.settings.threads, ROUGH)
        plan, step_s = plan_speed(plan, speed), speed.step_s
        plan = replace(plan, recipe=replace(plan.recipe, head_steps=_steps(plan, trainer, step_s, left)))
        write_plan(run, plan)
    trainer.compute_in(plan.settings.precision)
    planned = replace(only_head.recipe, epochs=MAX_STEPS).planned(plan.recipe.head_steps, len(trainer.train))
    trainer.follow(planned, start.best)
    if run.group.agreed((folder / LAST).exists()):
        trainer.resume(folder / LAST)
    folder.mkdir(parents=True, exist_ok=True)

    def keep(model: MobileNet, figures: dict[str, Any]) -> None:
        keep_model(run, plan, model, {**figures, KEPT: PROBE})

    with torch_threads(plan.settings.threads):
        completed = trainer.fit(keep, folder, interrupt)
    best = trainer.state.best
    if completed:
        run.model.load_state_dict(trainer.ema.model.state_dict())
        run.model.requires_grad_(True)
        quality, steps = run.splits.objective.task.quality, trainer.state.step
        is_better = KEPT not in best  # else it is what was kept at the start
        if run.group.is_main and is_better:  # what the report compares the model with
            write_atomic(run.folder / "probe.json", json.dumps({**best, "head_steps": steps}, indent=2) + "\n")
        what = "" if is_better else "no better than "
        log.info("head: validation %s %s%.3f (%d steps)", quality, what, best[f"val_{quality}"], steps)
    kept = {KEPT: PROBE, **best} if best else {}
    return plan, Start(kept, step_s / plan.recipe.batch_size), completed


def _steps(plan: Plan, trainer: Trainer, step_s: float, left: float | None) -> int:
    """How many of them."""
    fraction = FRACTION if plan.has_loop else 1.0
    if left is None:
        steps = max(MIN_STEPS, round(fraction * trainer.steps_in_all))
    else:
        steps = max(MIN_STEPS, steps_within(trainer, step_s, fraction * left))
    return min(MAX_STEPS, steps)
