"""A run learns: the network it goes on from, a linear probe, the training loop. What validates best is kept."""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import nn

from mobilenets.data.loader import Loader
from mobilenets.runtime.engines.torch import torch_threads
from mobilenets.system.files import write_atomic
from mobilenets.training.checkpoint import HEAD, LAST
from mobilenets.training.depth import Steps
from mobilenets.training.good_only import keep_patches
from mobilenets.training.head_phase import train_head
from mobilenets.training.interrupt import Interrupt
from mobilenets.training.loop import Trainer
from mobilenets.training.opening import OpenedRun
from mobilenets.training.origin import Origin, fit_rows
from mobilenets.training.plan import Plan
from mobilenets.training.planning import plan_depth, plan_input, plan_speed, plan_steps, seconds_left
from mobilenets.training.probe.activation_cache import ActivationCache
from mobilenets.training.probe.features import Extractor, Extractors, extractor, features
from mobilenets.training.probe.fit import fit_last_layer
from mobilenets.training.probe.head import Head
from mobilenets.training.probe.warm_start import warm_start
from mobilenets.training.recipe import ProbeRecipe
from mobilenets.training.speed import EFFORT, ROUGH, measure_speed
from mobilenets.training.trainers import Start, keep_model, make_trainer, write_plan
from mobilenets.weights.kept import KEPT, PROBE, START, START_FILE

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fitted:
    """How far a training came: `model.safetensors` has the best weights, by a `plan` that shows them photographs.

    `probed`: as in `Start`.
    """

    plan: Plan
    interrupted: bool
    probed: np.ndarray | None = None


def fit(run: OpenedRun, plan: Plan) -> Fitted:
    """Learn what the plan says, from where an earlier process was stopped if there is a checkpoint.

    Raises
    ------
    KeyboardInterrupt
        Stopped before a step was made: what came before is done again in less time than it takes to write a run.
    """
    group = run.group
    resumed = group.agreed((run.folder / LAST).exists())
    completed, start = True, Start()
    with Interrupt(only_in_steps=group.size == 1) as interrupt:
        if run.origin is not None and not resumed and not group.agreed((run.folder / HEAD / LAST).exists()):
            start = keep_origin(run, plan, run.origin)
        task = run.splits.objective.task
        if task.probe == "bank":
            start = keep_patches(run, plan)
        elif plan.has_probe and task.probe == "loop" and not resumed:
            plan, start, completed = train_head(run, plan, start, interrupt)
        elif plan.has_probe and task.probe is not None and not resumed:
            plan, start = _plan_input_and_probe(run, plan, start)
        if plan.has_loop and completed and not group.any(interrupt.requested):
            if resumed:
                completed = _go_on(run, plan, interrupt)
            else:
                plan, completed = finetune(run, plan, start, interrupt)
        completed = not group.any(interrupt.requested) and completed
    if completed and group.is_main:
        shutil.rmtree(run.folder / HEAD, ignore_errors=True)
    has_checkpoint = (run.folder / LAST).exists() or (run.folder / HEAD / LAST).exists()
    if not group.agreed((run.folder / "model.safetensors").exists() and (completed or has_checkpoint)):
        raise KeyboardInterrupt
    return Fitted(plan, not completed, start.probed)


def keep_origin(run: OpenedRun, plan: Plan, origin: Origin) -> Start:
    """Keep the network as the run it is from left it: what follows has to validate better."""
    task = run.splits.objective.task
    figures, look_image_s = (_validated if task.probe == "loop" else _with_fitted_rows)(run, plan)
    if run.group.is_main:
        start = {**figures, "run": origin.run.resolve().name, "fine_tuned": origin.is_fine_tuned}
        write_atomic(run.folder / START_FILE, json.dumps(start, indent=2, ensure_ascii=False) + "\n")
    log.info("%s: validation %s %.3f as it came", origin.run, task.quality, figures[f"val_{task.quality}"])
    best = {**figures, KEPT: START}
    keep_model(run, plan, run.model, best)
    return Start(best, look_image_s)


def _validated(run: OpenedRun, plan: Plan) -> tuple[dict[str, float], float]:
    """The figures of the network as it is, as the loop will count them, and how long it takes to look at a photograph.

    New classes have no rows to be fitted to features: they begin as a rare part of the background.
    """
    trainer, begun = make_trainer(run, plan), time.monotonic()
    trainer.compute_in("fp32")  # "auto" is settled by the first steps
    figures = trainer.objective.validation_figures(*trainer.predict(run.model, trainer.val))
    return run.group.agreed(figures), (time.monotonic() - begun) / len(run.splits.val)


def _with_fitted_rows(run: OpenedRun, plan: Plan) -> tuple[dict[str, float], float]:
    """As `_validated`, of a network whose last layer gets rows for new classes that are fitted to their features."""
    recipe, last = ProbeRecipe(), _last_layer(run)
    extract = extractor(run.model, plan.preprocess, run.loaders.device)
    val = run.loaders.loader(run.splits.val, plan.preprocess, recipe.batch_size)
    x, y, look_image_s = _timed_features(run, extract, val)
    weight, bias = (parameter.detach().cpu().numpy() for parameter in (last.weight, last.bias))
    head = Head(weight, bias, 0.0)
    if run.new_classes:
        some = run.splits.train.spread(recipe.max_images)
        train = run.loaders.loader(some, plan.preprocess, recipe.batch_size)
        head = fit_rows(head, *features(extract, train, "features", group=run.group), run.new_classes)
        head.put_into(last)
        run.group.same(run.model)
    figures = run.group.agreed(run.splits.objective.validation_figures(head.probabilities(x), y))
    return figures, look_image_s


def _plan_input_and_probe(run: OpenedRun, plan: Plan, start: Start) -> tuple[Plan, Start]:
    """The plan with what the network is to see, and what the probe makes of that."""
    extractors = Extractors(run.model, run.loaders.device)
    if plan.is_open and run.splits.objective.task.labels_are_classes:  # its questions are put to heads for classes
        plan = plan_input(run, plan, extractors)
        write_plan(run, plan)
    return plan, probe(run, plan, start, extractors)


def probe(run: OpenedRun, plan: Plan, start: Start, extractors: Extractors) -> Start:
    """Fit the head on frozen features, put it into the network and keep the result if it is the best."""
    recipe = ProbeRecipe()
    some = run.splits.train.spread(recipe.max_images)
    train, val = (run.loaders.loader(part, plan.preprocess, recipe.batch_size) for part in (some, run.splits.val))
    # Exact, as the file that will be compared with what is trained: a few answers may differ in a faster engine.
    extract, exact = extractors(plan.preprocess)
    x, y, look_image_s = _timed_features(run, extract, train, recipe.flip)
    val_x, val_y = features(exact, val, "features (validation)", group=run.group)
    objective = run.splits.objective
    head = fit_last_layer(objective, x, y, recipe, plan.settings.seed, plan.recipe.balance != "none")
    head.put_into(_last_layer(run))
    figures = run.group.agreed(objective.validation_figures(head.probabilities(val_x), val_y))
    if run.group.is_main:  # what the report compares the model with
        write_atomic(run.folder / "probe.json", json.dumps({**figures, "C": head.strength}, indent=2) + "\n")
    quality = objective.task.quality
    log.info("probe: validation %s %.3f (C %.2g)", quality, figures[f"val_{quality}"], head.strength)
    best = start.best
    if objective.better(figures, best):
        best = {**figures, KEPT: PROBE}
        keep_model(run, plan, run.model, best)
    return Start(best, look_image_s, x)


def _timed_features(
    run: OpenedRun, extract: Extractor, loader: Loader, flip: bool = False
) -> tuple[np.ndarray, np.ndarray, float]:
    """As `features`, and how long it takes to look at a photograph."""
    begun = time.monotonic()
    rows, labels = features(extract, loader, "features", flip, run.group)
    return rows, labels, (time.monotonic() - begun) / len(rows)


def _last_layer(run: OpenedRun) -> nn.Linear:
    assert isinstance(run.model.classifier, nn.Linear)
    return run.model.classifier


def finetune(run: OpenedRun, plan: Plan, start: Start, interrupt: Interrupt) -> tuple[Plan, bool]:
    """Fine-tune (or train from scratch) in the time that is left; False when interrupted."""
    left = seconds_left(run, plan, start.look_image_s)
    if left is not None and left <= 0 and start.best:
        return _kept_as_it_is(run, plan)
    task = run.splits.objective.task
    stores_views = not task.has_boxes  # they would have to be stored with their boxes
    precision, threads = plan.settings.precision, plan.settings.threads
    if plan.is_open and stores_views and start.best and plan.recipe.freeze == "none" and not plan.recipe.views:
        steps = Steps(make_trainer(run, plan), precision, threads)
        with_depth = plan_depth(run, plan, steps, start.look_image_s)
        if with_depth is None:
            return _kept_as_it_is(run, plan)
        # What paid there pays here; bf16, where it did not, may yet, as more blocks may be trained.
        plan, threads = with_depth, steps.threads
        precision = steps.precision if steps.precision == "bf16" else precision
    trainer = make_trainer(run, plan)
    left = seconds_left(run, plan, start.look_image_s)
    # A step of a detector takes seconds, and its head has been timed.
    effort = ROUGH if task.probe == "loop" else EFFORT
    speed = measure_speed(trainer, precision, left, threads, effort)
    plan = plan_speed(plan, speed)
    trainer.compute_in(plan.settings.precision)
    with torch_threads(plan.settings.threads):
        has_own_statistics = task.probe == "loop" or (run.origin is not None and run.origin.is_fine_tuned)
        if plan.settings.pretrained is not None and plan.recipe.freeze != "backbone" and not has_own_statistics:
            _warm_start(run, plan, trainer)
        left = seconds_left(run, plan, start.look_image_s)
        planned = plan_steps(plan, trainer, speed.step_s, left, min_steps=0 if start.best else 1)
        if planned is None:
            return _kept_as_it_is(run, plan)
        write_plan(run, planned)
        trainer.follow(planned.recipe, start.best)
        return planned, trainer.fit(partial(keep_model, run, planned), run.folder, interrupt)


def _go_on(run: OpenedRun, plan: Plan, interrupt: Interrupt) -> bool:
    """Go on from the checkpoint of a process that was stopped, as if it had not been; False when interrupted."""
    trainer = make_trainer(run, plan)
    trainer.resume(run.folder / LAST)
    with torch_threads(plan.settings.threads):
        return trainer.fit(partial(keep_model, run, plan), run.folder, interrupt)


def _kept_as_it_is(run: OpenedRun, plan: Plan) -> tuple[Plan, bool]:
    begun = "head" if run.splits.objective.task.probe == "loop" else "probe"
    start = begun if run.origin is None else f"network of {run.origin.run}"
    log.info("fine-tuning: no time is left for it; the %s is kept", start)
    return plan, True


def _warm_start(run: OpenedRun, plan: Plan, trainer: Trainer) -> None:
    """Give the network statistics of these photographs, and its head another fit to what follows from them."""
    loader = trainer.train
    if not isinstance(loader, ActivationCache):
        # Some seconds, so each of several processes does all of it: statistics of whole batches.
        samples, batch_size = run.splits.train, plan.recipe.batch_size
        loader = run.loaders.whole().loader(samples, plan.preprocess, batch_size, shuffle=True)
    warm_start(trainer, loader)
    run.group.same(trainer.model)
    trainer.ema.model.load_state_dict(trainer.model.state_dict())
