"""What an engine is: a card, and a function from pixels to outputs."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mobilenets.arch.build import DETECTOR
from mobilenets.errors import ModelFileError, UsageError
from mobilenets.features.embeddings import Embeddings
from mobilenets.model_card import ModelCard
from mobilenets.tasks import task_of
from mobilenets.tasks.ends import End
from mobilenets.tasks.task import Outputs

FEATURES = "features"  # outputs of a graph beside its answers: what these were made of, at length 1,
LENGTH, MEANS = "length", "means"  # the length that it had, and the mean of each channel of an earlier map
FLOAT, HALF = "float32", "half"  # what an engine is asked to compute in

Pixels = NDArray[np.uint8]
Features = NDArray[np.float32]


def available_cores() -> int:
    """Cores this process may run on: in a container or under taskset fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


MAX_THREADS = 1_024  # more than any machine gains from; engines fail to start many more


def check_threads(name: str, threads: int | None) -> None:
    """Refuse a number of threads, given as `name`, that is none or that no machine can start; None is any.

    Raises
    ------
    UserError
        As said.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"{name}: {threads} is too few; use 1 or more")
    if threads is not None and threads > MAX_THREADS:
        raise UsageError(f"{name}: {threads} is too many; there are {available_cores()} cores here")


@dataclass(frozen=True)
class Origin:
    """The file that an engine was opened from, which engine, on how many threads (None: one per core), how precise."""

    path: Path
    name: str
    threads: int | None
    precision: str = FLOAT


class Engine(Protocol):
    """Runs one model."""

    origin: Origin | None  # None: a network in memory

    @property
    def card(self) -> ModelCard:
        """Task, preprocess and the rest."""
        ...

    @property
    def accepts_full_image(self) -> bool:
        """Whether it resizes and crops itself and takes one picture of any size at a time, uint8 (1, H, W, 3)."""
        ...

    def concurrent(self) -> Engine:
        """An engine of the same model that several threads may call at once, at best each computing by itself."""
        ...

    def after_fork(self) -> Engine:
        """An engine of the same model for a process that was forked from the one of this: its threads are not there.

        Raises
        ------
        UserError
            The library cannot do that.
        """
        ...

    def __call__(self, pixels: Pixels) -> Outputs:
        """uint8 (N, size, size, C), as `Preprocess.pixels` makes them → outputs float32 (N, W)."""
        ...


class FeatureEngine(Engine, Protocol):
    """An engine that also gives the features that its outputs were made of."""

    has_features: bool  # files that were written before there were features have none

    def with_features(self, pixels: Pixels) -> tuple[Outputs, Embeddings]:
        """As a call, and what the outputs were made of."""
        ...


def vector_ends(card: ModelCard) -> tuple[End, ...]:
    """What a file of a model with this `card` gives behind the ends of its task; files of older versions less.

    Detectors give nothing, as their answers are of many places of a photo; classifiers `FEATURES`, `LENGTH` and
    `MEANS`; what compares patches itself, which tell what is unknown, `FEATURES` alone.
    """
    net = card.net
    if task_of(card).has_boxes:
        return ()
    features = End(FEATURES, (net.head_width,))
    return (features, End(LENGTH, (1,)), End(MEANS, (net.earlier_map.channels,))) if net.classifies else (features,)


def vectors_given(card: ModelCard, count: int) -> tuple[tuple[End, ...], bool]:
    """The first `count` of `vector_ends`, and whether these are all and any."""
    ends = vector_ends(card)
    return ends[:count], 0 < len(ends) <= count


def has_features(engine: Engine) -> bool:
    """Whether it is a `FeatureEngine` of a file that has features."""
    return bool(getattr(engine, "has_features", False))


def features_engine(engine: Engine) -> FeatureEngine:
    """The engine, which is to give features.

    Raises
    ------
    UserError
        It gives none.
    """
    if not has_features(engine):
        file = engine.origin.path if engine.origin else engine.card.name
        if task_of(engine.card).has_boxes:
            classifier = engine.card.net.name.removeprefix(DETECTOR)
            raise ModelFileError(
                f"{file}: finds boxes and gives no features of a photo; use a run of classes, or {classifier}"
            )
        raise ModelFileError(
            f"{file}: gives no features, as it was written before files gave any; export it again, or use the run's "
            "folder"
        )
    return cast(FeatureEngine, engine)


class OneAtATime:
    """An engine that may be called from one thread only, for several: each waits for its turn."""

    origin: Origin | None = None

    def __init__(self, engine: Engine) -> None:
        self._engine, self._turn = engine, threading.Lock()
        self.card, self.accepts_full_image = engine.card, engine.accepts_full_image
        self.has_features = has_features(engine)

    def concurrent(self) -> Engine:
        """Itself."""
        return self

    def after_fork(self) -> Engine:
        """With a turn of its own: nobody holds it."""
        return OneAtATime(self._engine.after_fork())

    def __call__(self, pixels: Pixels) -> Outputs:
        """As the engine it is for."""
        with self._turn:
            return self._engine(pixels)

    def with_features(self, pixels: Pixels) -> tuple[Outputs, Embeddings]:
        """As the engine it is for."""
        with self._turn:
            return features_engine(self._engine).with_features(pixels)
