"""What the machine can do at most: matrix products in three precisions, and memory bandwidth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mobilenets.system.timing import timed

SIDE = 1536  # of the square matrices: large enough for the full rate, small enough for the caches' outer level
ROUNDS = 5
COPY_BYTES = 2**28


@dataclass(frozen=True)
class Ceilings:
    """What this machine can do at most.

    Attributes
    ----------
    gmacs
        By precision, giga multiply-accumulates per second of a matrix product; None where it was not measured.
    gigabytes
        Of memory traffic per second.
    """

    gmacs: dict[str, float | None]
    gigabytes: float


def measure_ceilings(threads: int) -> Ceilings:
    """The best of some rounds, by torch on `threads` threads; without torch only float32, by numpy on all."""
    source = np.ones(COPY_BYTES // 8)
    target = np.empty_like(source)
    bandwidth = 2 * COPY_BYTES / _best(lambda: np.copyto(target, source)) / 1e9
    return Ceilings(_products(threads), bandwidth)


def _products(threads: int) -> dict[str, float | None]:
    work = SIDE**3 / 1e9
    try:
        import torch
    except ModuleNotFoundError:
        matrix = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype(np.float32)
        return {"float32": work / _best(lambda: matrix @ matrix), "bfloat16": None, "int8": None}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    single = torch.randn(SIDE, SIDE)
    half, whole = single.bfloat16(), (single * 20).clamp(-127, 127).to(torch.int8)
    try:
        return {
            "float32": work / _best(lambda: single @ single),
            "bfloat16": work / _best(lambda: half @ half),
            "int8": work / _best(lambda: torch._int_mm(whole, whole)),
        }
    finally:
        torch.set_num_threads(before)  # the results of a training in this process depend on it


def _best(function: Callable[[], object]) -> float:
    return min(timed(function)(ROUNDS))  # a ceiling is what was ever reached
