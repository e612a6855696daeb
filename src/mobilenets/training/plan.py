"""Precision and number of epochs, from a measurement of this network on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice

import numpy as np
import torch

from mobilenets.training.loop import Trainer
from mobilenets.training.settings import PRECISIONS

# bf16 costs accuracy in principle, and a choice that flips from run to run would change results: be clearly faster.
WORTHWHILE = 1.1
STEPS = 5
EVALUATION_SHARE = 0.4  # a forward pass, as a share of a training step
AROUND_S = 15.0  # the warm start before, exporting, evaluating and drawing after


@dataclass(frozen=True)
class Plan:
    """bf16 or fp32, and the whole epochs that fit (0: none)."""

    precision: str
    epochs: int


def make_plan(trainer: Trainer, precision: str, seconds: float | None) -> Plan:
    """Measure a few training steps; without `seconds` the recipe's epochs stand.

    A list of processors with fast bf16 would age; a few steps of the real loop, with its loading and its
    optimiser, on a copy of the network tell it in seconds. With a precision asked for and no time limit
    nothing is measured.
    """
    group = trainer.place.group
    seconds = group.agreed(seconds)
    if precision != "auto" and seconds is None:
        return Plan(precision, trainer.recipe.epochs)
    candidates = [p for p in PRECISIONS[1:] if precision in ("auto", p)]
    if trainer.place.device.type == "mps":  # autocast to bf16 needs a recent macOS and gains nothing there
        candidates = ["fp32"]
    # Of several processes all measure, as a step takes all of them, and the main one decides.
    return Plan(**group.agreed(asdict(_plan(trainer, _step_seconds(trainer, candidates), seconds))))


def _plan(trainer: Trainer, step_s: dict[str, float], seconds: float | None) -> Plan:
    epochs = trainer.recipe.epochs
    chosen = "fp32" if step_s.get("fp32", np.inf) <= WORTHWHILE * step_s.get("bf16", np.inf) else "bf16"
    if seconds is None:
        return Plan(chosen, epochs)
    epoch_s = step_s[chosen] * (len(trainer.train) + EVALUATION_SHARE * len(trainer.val))
    return Plan(chosen, min(epochs, int((seconds - AROUND_S) / epoch_s)))


def _step_seconds(trainer: Trainer, candidates: list[str]) -> dict[str, float]:
    """Seconds per step of the loop, by precision."""
    result = {}
    for precision in candidates:
        trial = trainer.copy(precision)
        steps = _endless(trial)
        next(steps)  # warm-up: primitives are created and cached
        start = time.perf_counter()
        for _ in islice(steps, STEPS):
            pass
        if trial.place.device.type == "cuda":
            torch.cuda.synchronize()
        result[precision] = (time.perf_counter() - start) / STEPS
    return result


def _endless(trainer: Trainer) -> Iterator[object]:
    """The steps of the first epoch, over and over: a small data set may have a single one."""
    while True:
        trainer.state.batch = 0
        yield from trainer.steps()
