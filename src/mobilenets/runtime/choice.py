"""`--engine auto`: the fastest installed engine for a model, measured once on this machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mobilenets.artifact import write_atomic
from mobilenets.errors import UserError
from mobilenets.home import home
from mobilenets.runtime.engine import Engine, available_cores
from mobilenets.runtime.engines import KINDS, open_engine

FILE = "engines.json"  # in the cache folder: model, machine and engines → the fastest's name
WARM_UP, ROUNDS = 3, 10


def open_fastest(path: Path, threads: int | None = None) -> Engine:
    """`path` in the engine that is fastest for it here.

    With one engine installed nothing is measured. The measurement takes about a second and is remembered
    per file, number of threads, machine and versions of the engines.

    Raises:
        UserError: no engine for this file is installed, or it is damaged.
    """
    names = [name for name, kind in KINDS.items() if path.suffix in kind.suffixes]
    installed = [name for name in names if find_spec(KINDS[name].module)]
    if len(installed) < 2:
        return open_engine(path, (installed or names)[0], threads)
    key = _key(path, installed, threads)
    known = _remembered()
    if known.get(key) in installed:
        return open_engine(path, known[key], threads)
    engines = {name: open_engine(path, name, threads) for name in installed}
    latencies = measure(list(engines.values()))
    fastest = installed[int(np.argmin(latencies))]
    _remember({**known, key: fastest})
    return engines[fastest]


def measure(engines: list[Engine], rounds: int = ROUNDS) -> list[float]:
    """Median seconds of each for one picture, measured in turns so that a busy moment hits all alike."""
    preprocess = engines[0].card.preprocess
    shape = (1, preprocess.size, preprocess.size, preprocess.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    seconds: list[list[float]] = [[] for _ in engines]
    for _ in range(WARM_UP + rounds):
        for engine, row in zip(engines, seconds, strict=True):
            start = time.perf_counter()
            engine(pixels)
            row.append(time.perf_counter() - start)
    return [float(np.median(row[WARM_UP:])) for row in seconds]


def _key(path: Path, installed: list[str], threads: int | None) -> str:
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
