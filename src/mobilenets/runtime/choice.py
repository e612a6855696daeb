"""`--engine auto`: the fastest installed engine for a model, measured once on this machine."""

from __future__ import annotations

import contextlib
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mobilenets.artifact import write_atomic
from mobilenets.errors import UserError
from mobilenets.home import home
from mobilenets.runtime.engine import Engine, available_cores
from mobilenets.runtime.engines import KINDS, open_engine
from mobilenets.system import timing
from mobilenets.system.timing import Clock, Effort, Estimate, timed

FILE = "engines.json"  # in the cache folder: model, machine and engines → the fastest's name
EFFORT = Effort(rounds=10, max_rounds=60, turn_s=0.02, min_calls=3, spread=0.02, max_s=3.0)
EQUAL = 0.04  # engines that are as near as that, relatively, are as good as each other

Open = Callable[[Path, str, int | None], Engine]  # as `open_engine`: file, name, threads


def open_fastest(
    path: Path, threads: int | None = None, open: Open = open_engine, clock: Clock = time.perf_counter
) -> Engine:
    """`path` in the engine that is fastest for it here.

    With one engine installed nothing is measured. The measurement takes about a second and is remembered
    per file, number of threads, machine and versions of the engines. Where other work does not let it decide, that is
    told, the first engine is taken, and the next start measures again. `open` makes an engine, `clock` times it.

    Raises:
        UserError: no engine for this file is installed, or it is damaged.
    """
    names = [name for name, kind in KINDS.items() if path.suffix in kind.suffixes]
    installed = [name for name in names if find_spec(KINDS[name].module)]
    if len(installed) < 2:
        return open(path, (installed or names)[0], threads)
    key = _key(path, installed, threads)
    known = _remembered()
    if known.get(key) in installed:
        return open(path, known[key], threads)
    engines = {name: open(path, name, threads) for name in installed}
    estimates = measure(list(engines.values()), clock)
    fastest = installed[_fastest(estimates)]
    if _is_clear(estimates):
        _remember({**known, key: fastest})
        return engines[fastest]
    told = ", ".join(f"{name} {e.describe()}" for name, e in zip(installed, estimates, strict=True))
    print(f"--engine auto: {_doubt(estimates)}: {told}; {installed[0]} is taken this time", file=sys.stderr)
    return engines[installed[0]]


def measure(engines: list[Engine], clock: Clock = time.perf_counter) -> list[Estimate]:
    """What one picture takes in each, in turns beside the first of them."""
    preprocess = engines[0].card.preprocess
    shape = (1, preprocess.size, preprocess.size, preprocess.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    turns = [timed(partial(engine, pixels), clock) for engine in engines]
    return timing.measure(turns, EFFORT, clock=clock, enough=_is_clear).estimates


def _fastest(estimates: Sequence[Estimate]) -> int:
    """Which is fastest; the first where another is not clearly faster, or not by anything that matters."""
    best, first = min(range(len(estimates)), key=lambda i: estimates[i].seconds), estimates[0]
    found = estimates[best]
    return best if found.high < first.seconds and found.low < (1 - EQUAL) * first.seconds else 0


def _is_clear(estimates: Sequence[Estimate]) -> bool:
    """Whether each of the others is clearly faster or slower than the first, or as fast for all it matters."""
    first, *others = estimates
    near = (1 - EQUAL) * first.seconds, (1 + EQUAL) * first.seconds
    return all(e.decides(first.seconds) or near[0] <= e.low <= e.high <= near[1] for e in others) and (
        bool(others) or first.spread <= EFFORT.spread
    )


def _doubt(estimates: Sequence[Estimate]) -> str:
    first, *others = estimates
    doubtful = next(e for e in others if not e.decides(first.seconds))
    return doubtful.doubt(first.seconds, EFFORT)


def _key(path: Path, installed: list[str], threads: int | None) -> str:
    import hashlib
    from importlib.metadata import version

    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    engines = " ".join(f"{name}-{version(name)}" for name in installed)
    machine = f"{platform.node()} {platform.processor() or platform.machine()} {threads or available_cores()} threads"
    return f"{digest} | {machine} | {engines}"


def _remembered() -> dict[str, str]:
    try:
        content = json.loads((home() / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or not ours to understand: measure again
        return {}
    return content if isinstance(content, dict) else {}


def _remember(known: dict[str, str]) -> None:
    """Where the cache folder cannot be written, the next start measures again."""
    with contextlib.suppress(OSError, UserError):
        home().mkdir(parents=True, exist_ok=True)
        write_atomic(home() / FILE, json.dumps(known, indent=1) + "\n")
