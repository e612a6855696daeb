"""`--engine auto` and `--precision auto`: what is fastest for a model, measured once on this machine."""

from __future__ import annotations

import contextlib
import json
import logging
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mobilenets.errors import ModelFileError, UsageError, UserError
from mobilenets.runtime.base import FLOAT, HALF, Engine, available_cores
from mobilenets.runtime.registry import KINDS, find_half, open_engine
from mobilenets.system import timing
from mobilenets.system.cache_dir import cache_file
from mobilenets.system.files import write_atomic
from mobilenets.system.timing import Clock, Effort, Estimate, milliseconds, timed

log = logging.getLogger(__name__)

EFFORT = Effort(rounds=10, max_rounds=60, turn_s=0.02, min_calls=3, spread=0.02, max_s=3.0)
EQUAL = 0.04  # engines that are as near as that, relatively, are as good as each other

Open = Callable[[Path, str, int | None, str], Engine]  # as `open_engine`: file, name, threads, precision
_IN_HALF = " in half: "  # in the memory, between the engine's name and what it takes so


def open_fastest(
    path: Path,
    threads: int | None = None,
    open: Open = open_engine,
    clock: Clock = time.perf_counter,
    *,
    engine: str = "auto",
    precision: str = FLOAT,
) -> Engine:
    """`path` in the engine that is fastest for it here, or in `engine`.

    With `precision` "auto" it is computed in half precision where an engine has that here and is faster so than the
    fastest in float32; a line says so. Where there is nothing to choose nothing is measured. The measurement takes
    about a second and is remembered per file, number of threads, machine and versions of the engines. Where other work
    does not let it decide, that is told, the first engine is taken in float32, and the next start measures again. So it
    is where an engine cannot run the file on this processor and another can. `open` makes an engine, `clock` times it.

    Raises
    ------
    UserError
        No engine for this file is installed, or none can run it: it is damaged.
    """
    names = [name for name, kind in KINDS.items() if path.suffix in kind.suffixes] if engine == "auto" else [engine]
    installed = [name for name in names if find_spec(KINDS[name].module)]
    halves = [name for name in installed if precision == "auto" and find_half(name)]
    if len(installed) + len(halves) < 2:
        return open(path, (installed or names)[0], threads, FLOAT)
    key = _key(path, installed, halves, threads)
    known = _remembered()
    name, half, figures = str(known.get(key)).partition(_IN_HALF)
    if half and name in halves:
        _log_half(name, figures)
        return open(path, name, threads, HALF)
    if name in installed:
        return open(path, name, threads, FLOAT)
    opened, refused = _opened(path, installed, threads, open)
    if refused:
        taken = next(iter(opened))
        log.warning("--engine auto: %s cannot run %s here; %s is taken", ", ".join(refused), path, taken)
        return opened[taken]
    engines = [*opened.values()]
    engines += [open(path, name, threads, HALF) for name in halves]
    estimates = measure(engines, clock, lambda found: _is_clear(*_apart(found, len(installed))))
    floats, in_half = _apart(estimates, len(installed))
    if not _is_clear(floats, in_half):
        titles = [*installed, *(f"{name} in half precision" for name in halves)]
        measured = ", ".join(f"{title} {e.describe()}" for title, e in zip(titles, estimates, strict=True))
        option, taken = ("--precision", f"{installed[0]} in float32") if halves else ("--engine", installed[0])
        log.warning("%s auto: %s: %s; %s is taken this time", option, _doubt(floats, in_half), measured, taken)
        return engines[0]
    best = _fastest(floats)
    chosen = _fastest([floats[best], *in_half]) - 1  # of `halves`; below 0: none
    if chosen < 0:
        _remember({**known, key: installed[best]})
        return engines[best]
    figures = f"{milliseconds(in_half[chosen].seconds)} instead of {milliseconds(floats[best].seconds)} ms"
    _remember({**known, key: f"{halves[chosen]}{_IN_HALF}{figures}"})
    _log_half(halves[chosen], figures)
    return engines[len(installed) + chosen]


def _opened(
    path: Path, names: Sequence[str], threads: int | None, open: Open
) -> tuple[dict[str, Engine], dict[str, ModelFileError]]:
    """Engines that run `path` here, by name, and why others do not.

    Raises
    ------
    UserError
        None does: what the first of them said.
    """
    opened: dict[str, Engine] = {}
    refused: dict[str, ModelFileError] = {}
    for name in names:
        try:
            opened[name] = open(path, name, threads, FLOAT)
        except ModelFileError as error:
            refused[name] = error
    if not opened:
        raise next(iter(refused.values()))
    return opened, refused


def half_engine(path: Path) -> str:
    """The engine that computes `path` in half precision.

    Raises
    ------
    UserError
        None does.
    """
    able = [name for name, kind in KINDS.items() if kind.open_half]
    for name in able:
        if path.suffix in KINDS[name].suffixes:
            return name
    suffixes = " and ".join(suffix for name in able for suffix in KINDS[name].suffixes)
    raise UsageError(f"{path}: half precision is for {suffixes}, in {' and '.join(able)}; leave --precision out")


def _log_half(name: str, figures: str) -> None:
    log.warning("--precision auto: %s in %s, %s a photo in float32", find_half(name), name, figures)


def measure(
    engines: list[Engine],
    clock: Clock = time.perf_counter,
    enough: Callable[[Sequence[Estimate]], bool] | None = None,
    effort: Effort = EFFORT,
) -> list[Estimate]:
    """What one picture takes in each, in turns beside the first of them, until that is `enough`."""
    preprocess = engines[0].card.preprocess
    shape = (1, preprocess.size, preprocess.size, preprocess.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    turns = [timed(partial(engine, pixels), clock) for engine in engines]
    return timing.measure(turns, effort, clock=clock, enough=enough).estimates


def _fastest(estimates: Sequence[Estimate]) -> int:
    """Which is fastest; the first where another is not clearly faster, or not by anything that matters."""
    best, first = min(range(len(estimates)), key=lambda i: estimates[i].seconds), estimates[0]
    found = estimates[best]
    return best if found.high < first.seconds and found.low < (1 - EQUAL) * first.seconds else 0


def _is_clear(floats: Sequence[Estimate], halves: Sequence[Estimate]) -> bool:
    """Whether it is clear which engine is fastest in float32, and whether any is faster in half precision than that.

    The first does not matter where one in half precision is faster than all of them.
    """
    if halves and min(e.high for e in halves) < (1 - EQUAL) * min(e.low for e in floats):
        return True
    return not _unclear(floats) and not _unclear([floats[_fastest(floats)], *halves])


def _unclear(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Those that are not clearly faster or slower than the first, nor as fast for all it matters."""
    first, *others = estimates
    low, high = (1 - EQUAL) * first.seconds, (1 + EQUAL) * first.seconds
    return [e for e in others if not e.decides(first.seconds) and not low <= e.low <= e.high <= high]


def _doubt(floats: Sequence[Estimate], halves: Sequence[Estimate]) -> str:
    compared = floats if _unclear(floats) else [floats[_fastest(floats)], *halves]
    return _unclear(compared)[0].doubt(compared[0].seconds, EFFORT)


def _apart(estimates: Sequence[Estimate], floats: int) -> tuple[Sequence[Estimate], Sequence[Estimate]]:
    return estimates[:floats], estimates[floats:]


def _key(path: Path, installed: list[str], halves: list[str], threads: int | None) -> str:
    import hashlib
    from importlib.metadata import version

    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    engines = " ".join(f"{name}-{version(name)}" for name in installed)
    machine = f"{platform.node()} {platform.processor() or platform.machine()} {threads or available_cores()} threads"
    how = "".join(f" | {name} also in {find_half(name)}" for name in halves)
    return f"{digest} | {machine} | {engines}{how}"


def _file() -> Path:
    """Model, machine and engines → the fastest's name, and how it computes."""
    return cache_file("engines.json")


def _remembered() -> dict[str, str]:
    try:
        content = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or not ours to understand: measure again
        return {}
    return content if isinstance(content, dict) else {}


def _remember(known: dict[str, str]) -> None:
    """Where the cache folder cannot be written, the next start measures again."""
    with contextlib.suppress(OSError, UserError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_atomic(_file(), json.dumps(known, indent=1) + "\n")
