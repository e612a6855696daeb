"""Precision, threads and number of steps, from a measurement of this network on this machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch

from mobilenets.runtime.engines.torch import torch_threads
from mobilenets.runtime.threads import thread_counts
from mobilenets.system.timing import Clock, Effort, Estimate, Turn, measure, milliseconds, timed
from mobilenets.training.loop import Trainer
from mobilenets.training.settings import PRECISIONS

log = logging.getLogger(__name__)

# bf16 costs accuracy in principle, and a choice that flips from run to run would change results: be clearly faster.
WORTHWHILE = 1.1
UNSTEADY = 1.5  # steps this much apart, relatively: a plan by them may miss its time
# A step takes long, and is warm after the first: few of them, and of each precision one at a time.
EFFORT = Effort(rounds=5, max_rounds=15, min_calls=1, max_calls=1, spread=0.05, max_s=20.0, warm_up=1, settle=0)
ROUGH = replace(EFFORT, rounds=2, max_rounds=2)  # to choose by, where what follows is measured again
EVALUATION_FRACTION = 0.4  # a forward pass, as a fraction of a training step
MEASURING = 0.05  # of the time, at most, for more than the fewest steps
MIN_STEPS = 10  # with fewer nothing is learned that lasts


@dataclass(frozen=True)
class Speed:
    """bf16 or fp32, the seconds that a step takes in it and how many of torch's threads take part (0: not measured)."""

    precision: str
    step_s: float = 0.0
    threads: int = 0


def measure_speed(
    trainer: Trainer,
    precision: str,
    seconds: float | None,
    threads: int | None = None,
    effort: Effort = EFFORT,
    clock: Clock = time.perf_counter,
) -> Speed:
    """Measure a few training steps: which precision and how many threads are worth it, and how long one takes.

    A list of processors with fast bf16 would age, and beside other work threads wait for each other; a few steps of the
    real loop, with its loading and its optimiser, on a copy of the network tell it in seconds. With a `precision` asked
    for and no time limit (`seconds`) nothing is measured; with `threads` asked for only the rest is.
    """
    group, device = trainer.ctx.group, trainer.ctx.device.type
    seconds = group.agreed(seconds)
    if precision != "auto" and seconds is None:
        return Speed(precision)
    candidates = [p for p in PRECISIONS[1:] if precision in ("auto", p)]
    if device == "mps":  # autocast to bf16 needs a recent macOS and gains nothing there
        candidates = ["fp32"]
    if seconds is not None:
        effort = replace(effort, max_s=min(effort.max_s, MEASURING * seconds))
    counts = thread_counts(torch.get_num_threads())
    if threads is None and len(counts) > 1 and device == "cpu" and group.size == 1:
        with torch_threads(None):
            # One copy for all: its steps are the same work, whoever does them.
            steps = _endless(trainer.copy(candidates[0]))
            threads = choose_threads({n: timed(partial(_step, steps, n), clock) for n in counts}, effort, clock)
    # Of several processes all measure, as a step takes all of them, and the main one decides.
    turns = {p: timed(partial(_step, _endless(trainer.copy(p))), clock) for p in candidates}
    with torch_threads(threads):
        speed = choose_speed(trainer, turns, effort, clock)
    return Speed(**group.agreed(asdict(replace(speed, threads=threads or 0))))


def choose_speed(trainer: Trainer, turns: dict[str, Turn], effort: Effort, clock: Clock = time.perf_counter) -> Speed:
    """The speed by what steps in each precision take; `turns`: what makes them, fp32 first where it is among them."""
    group, names = trainer.ctx.group, list(turns)
    measured = measure(
        list(turns.values()),
        effort,
        clock=clock,
        # Of several processes each step takes all: none may decide by its own clock that there are more.
        enough=lambda estimates: group.size > 1 or _is_clear(estimates),
    )
    found, chosen = measured.estimates, names[0]
    if len(found) > 1:
        chosen = names[1] if found[1].seconds < found[0].seconds / WORTHWHILE else names[0]
        if not _is_clear(found):
            chosen = names[0]
            caption = ", ".join(f"a step {e.describe()} in {name}" for name, e in zip(names, found, strict=True))
            doubt = found[1].doubt(found[0].seconds / WORTHWHILE, effort)
            log.info("planning: %s: %s; %s is taken", doubt, caption, chosen)
    # What will pass, not what would without other work: that will go on.
    steps = measured.seconds[names.index(chosen)]
    low, step_s, high = (float(np.quantile(steps, q)) for q in (0.1, 0.5, 0.9))
    if high > UNSTEADY * low:
        caption = f"a step takes {milliseconds(low)} to {milliseconds(high)} ms"
        log.info("planning: too busy to measure %s ms: %s; the median is planned by", milliseconds(step_s), caption)
    return Speed(chosen, step_s)


def choose_threads(turns: dict[int, Turn], effort: Effort, clock: Clock = time.perf_counter) -> int:
    """How many threads make a step in the least time; `turns`: what makes steps with so many, the most first.

    By the medians, beside whatever else runs now: it is other work that fewer threads are for.
    """
    measured = measure(list(turns.values()), effort, clock=clock, enough=lambda estimates: True)
    medians = {n: float(np.median(seconds)) for n, seconds in zip(turns, measured.seconds, strict=True)}
    max_threads, fastest = next(iter(turns)), min(medians, key=medians.__getitem__)
    return fastest if medians[fastest] < medians[max_threads] / WORTHWHILE else max_threads


def steps_within(trainer: Trainer, step_s: float, seconds: float) -> int:
    """How many steps fit into `seconds`, with the looks at the validation photographs; 0 where they are too few.

    Every epoch ends with such a look, the last one too if it is no whole one. At most the recipe's steps.
    """
    look_s = step_s * EVALUATION_FRACTION * len(trainer.val)
    epochs, rest = divmod(max(seconds, 0.0), step_s * len(trainer.train) + look_s)
    steps = int(epochs) * len(trainer.train) + max(0, int((rest - look_s) / step_s))
    return min(trainer.steps_in_all, steps) if steps >= min(MIN_STEPS, trainer.steps_in_all) else 0


def _is_clear(estimates: Sequence[Estimate]) -> bool:
    """Whether the second (bf16) is worth it beyond doubt, or is not."""
    return len(estimates) < 2 or estimates[1].decides(estimates[0].seconds / WORTHWHILE)


def _step(steps: Iterator[object], threads: int | None = None) -> None:
    if threads is not None:
        torch.set_num_threads(threads)
    next(steps)


def _endless(trainer: Trainer) -> Iterator[object]:
    """The steps of the first epoch, over and over: a small data set may have a single one."""
    while True:
        trainer.state.batch = 0
        yield from trainer.finished_steps()
