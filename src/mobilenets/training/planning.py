"""The decisions of a run: what its network sees, how much of it is trained, in which precision, and for how many steps.

Each is a function from a plan to the plan with its answer. What is open is found out on the run itself: by `choices` on
frozen features, by `depth` and `speed` with a few steps of the real loop.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import torch

from mobilenets.nn.model import MobileNet
from mobilenets.training.choices import TIME_FRACTION, Choices, FrozenFeatures, Open, choose, max_images_for
from mobilenets.training.depth import MAX_EPOCHS, Depth, Steps, choose_depth
from mobilenets.training.loop import Trainer
from mobilenets.training.opening import OpenedRun
from mobilenets.training.plan import Plan
from mobilenets.training.probe.features import Extractors
from mobilenets.training.recipe import FINETUNE
from mobilenets.training.run_folder import finishing_s
from mobilenets.training.speed import Speed, steps_within

log = logging.getLogger(__name__)


def plan_input(run: OpenedRun, plan: Plan, extractors: Extractors) -> Plan:
    """Find out what the network, whose `extractors` these are, is to see, as far as the settings leave it open."""
    settings, recipe, seconds = plan.settings, plan.recipe, plan.settings.seconds
    assert seconds is not None  # what is open is planned into a time
    open_ = Open.of(settings, recipe, plan.preprocess)
    some = run.splits.train.spread(max_images_for(seconds))
    features = FrozenFeatures(some, run.model.net.head_width, extractors, run.loaders)
    chosen = choose(features, plan.preprocess, recipe.augment, open_, TIME_FRACTION * seconds, settings.seed, log.info)
    chosen = Choices.from_dict(run.group.agreed(chosen.to_dict()), plan.preprocess)
    seen = chosen.preprocess
    return replace(
        plan,
        settings=replace(settings, crop=seen.crop, size=seen.size),
        recipe=replace(recipe, augment=chosen.augment),
        preprocess=seen,
    )


def plan_depth(run: OpenedRun, plan: Plan, steps: Steps, look_image_s: float) -> Plan | None:
    """How much of the network is trained in the time left, by what steps of so much of it take; None for nothing.

    `look_image_s`: seconds of reading a photograph and running it through the network.
    """
    counts = len(run.splits.train), len(run.splits.val)
    look_s = run.group.agreed(look_image_s)

    def left() -> float:
        seconds = seconds_left(run, plan, look_image_s)
        assert seconds is not None  # what is open is planned into a time
        return seconds

    depth = choose_depth(run.model.net, plan.preprocess.size, *counts, look_s, steps, left)
    if depth is None:
        return None
    log.info("training: %s", _describe(depth, run.model))
    epochs = MAX_EPOCHS if plan.recipe.epochs == FINETUNE.epochs else plan.recipe.epochs
    return replace(plan, recipe=replace(plan.recipe, freeze=depth.frozen or "none", views=depth.views, epochs=epochs))


def _describe(depth: Depth, model: MobileNet) -> str:
    blocks, caption = len(model.net.blocks), "the whole network"
    if depth.frozen:
        caption = f"the last {blocks - depth.frozen} of {blocks} blocks"
    views = "one stored view" if depth.views == 1 else f"{depth.views} stored views"
    stored = f", on {views} of each photo" if depth.views else ""
    return f"{caption}{stored} ({1 / depth.image_s:.0f} images/s)"


def plan_speed(plan: Plan, speed: Speed) -> Plan:
    """The precision that was measured to pay, and so many threads where fewer than all are faster."""
    threads, all_threads = plan.settings.threads, torch.get_num_threads()
    if threads is None and 0 < speed.threads < all_threads:
        threads = speed.threads
        log.info("training: by %d of %d threads, faster beside what else runs here", threads, all_threads)
    return replace(plan, settings=replace(plan.settings, precision=speed.precision, threads=threads))


def plan_steps(plan: Plan, trainer: Trainer, step_s: float, left: float | None, min_steps: int) -> Plan | None:
    """The plan with the steps that fit into the seconds `left` (None: with its epochs); None where nothing fits.

    `min_steps`: so many are made in any case, where there is nothing else to keep. What the plan says stands from here
    on, also for whoever repeats the run: no time, and no `auto`, is in it any more.
    """
    recipe, kind = plan.recipe, "finetune" if plan.is_open else plan.settings.recipe
    if left is not None:
        steps = max(min_steps, steps_within(trainer, step_s, left))
        if steps == 0:
            return None
        recipe = recipe.planned(steps, len(trainer.train))
    return replace(
        plan, recipe=recipe, settings=replace(plan.settings, recipe=kind, minutes=None, epochs=recipe.epochs)
    )


def seconds_left(run: OpenedRun, plan: Plan, look_image_s: float) -> float | None:
    """For training, until the run has to be finished, by the main process; None where epochs are counted."""
    if plan.settings.seconds is None:
        return None
    validated, trained, tested = (len(part) for part in (run.splits.val, run.splits.train, run.splits.test))
    passed = time.monotonic() - run.started
    left = plan.settings.seconds - passed - finishing_s(validated, trained, tested, look_image_s)
    return float(run.group.agreed(left))
