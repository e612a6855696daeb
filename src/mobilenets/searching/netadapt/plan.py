"""How many steps NetAdapt takes and how long it tunes: what fits into the time, from a measurement."""

from __future__ import annotations

import copy
import math
import time

import numpy as np

from mobilenets.searching.context import SearchContext
from mobilenets.searching.evaluation import EVALUATION_FRACTION, NUM_TIMED_STEPS, seconds_per_step, short_trainer
from mobilenets.searching.netadapt.ranking import NUM_RANKING_IMAGES
from mobilenets.searching.state import SearchState

# Saved by each step, of the base network's latency; NetAdapt's code has 0.025, V3 0.01, both with far longer tuning.
STEP_FRACTION = 0.05
MAX_STEP_FRACTION = 3 * STEP_FRACTION  # where there is no time for more steps
NUM_FINALISTS = 3  # proposals that are tuned
TUNING_LR_FACTOR = 0.1  # of the run's learning rate: a few batches at the whole of it only disturb a trained network
MIN_TUNE_BATCHES, MAX_TUNE_BATCHES = 4, 300  # batches per finalist
ALL_SIZES_EPOCHS, MAX_ALL_SIZES_BATCHES = 2, 300  # of images of all sizes, before the first step; batches at most
ALL_SIZES_TIME_FRACTION = 0.15  # of the time of the search, at most
SEARCH_TIME_FRACTION = 0.5  # of the time; the rest is the training at the end
MEASURE_S = 6.0  # of a step: the finalists, and blocks of proposals that no one has timed


def fraction_to_save(state: SearchState) -> float:
    """From the base network to the budget, as a fraction of the base network's latency."""
    return 1 - state.config.latency_ms / state.base["latency_ms"]


def plan_search(ctx: SearchContext, state: SearchState, num_groups: int, deadline: float) -> dict[str, float]:
    """What fits into the time until `deadline`: as of `plan_steps`, and `all_sizes`, batches before the first step.

    `num_groups`: those that a step may cut.
    """
    size = ctx.base_candidate.size
    epoch = len(ctx.loader(ctx.splits.rest, size, train=True))
    all_sizes = min(ALL_SIZES_EPOCHS * epoch, MAX_ALL_SIZES_BATCHES)
    if state.config.tune is not None:
        return {"tune": state.config.tune, "share": STEP_FRACTION, "all_sizes": all_sizes}
    trial = copy.deepcopy(ctx.base)
    batch_s = seconds_per_step(short_trainer(ctx, trial, [size], TUNING_LR_FACTOR, 1 + NUM_TIMED_STEPS))
    image_s = batch_s * EVALUATION_FRACTION / ctx.recipe.batch_size
    smaller = (1 + state.config.latency_ms / state.base["latency_ms"]) / 2  # the networks become, on the way
    # Each group has a unit cut and a proposal, which run half of a network, on average.
    ranked = num_groups * NUM_RANKING_IMAGES
    scored = NUM_FINALISTS * len(ctx.splits.holdout)
    fixed_s = (ranked + scored) * image_s * smaller + MEASURE_S
    tuned_s = NUM_FINALISTS * batch_s * smaller  # a batch of each finalist
    left_s = SEARCH_TIME_FRACTION * (deadline - time.monotonic())
    all_sizes = int(np.clip(ALL_SIZES_TIME_FRACTION * left_s / batch_s, MIN_TUNE_BATCHES, all_sizes))
    return {
        **plan_steps(fraction_to_save(state), left_s - all_sizes * batch_s, fixed_s, tuned_s),
        "all_sizes": all_sizes,
    }


def plan_steps(to_save: float, left_s: float, fixed_s: float, tuned_s: float) -> dict[str, float]:
    """What fits into `left_s` seconds: `share` of the base latency that a step saves, `tune` batches per finalist.

    `to_save`: from the base network to the budget, as a fraction of the base latency. A step takes `fixed_s`, and
    `tuned_s` per batch. Where there is no time for steps of `STEP_FRACTION`, fewer and longer ones
    are planned, of at most `MAX_STEP_FRACTION`.
    """
    fits = int(left_s / (fixed_s + MIN_TUNE_BATCHES * tuned_s))
    steps = min(num_steps(to_save, STEP_FRACTION), max(fits, num_steps(to_save, MAX_STEP_FRACTION)))
    tune = int(np.clip((left_s / steps - fixed_s) / tuned_s, MIN_TUNE_BATCHES, MAX_TUNE_BATCHES))
    return {"share": max(STEP_FRACTION, to_save / steps), "tune": tune}


def num_steps(to_save: float, fraction: float) -> int:
    """How many steps of `fraction` of the base latency save `to_save` of it."""
    return max(1, math.ceil(to_save / fraction - 1e-9))  # three thirds are three steps
