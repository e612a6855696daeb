"""How many threads compute a batch: found out on the calls that come anyway, and looked at again now and then."""

from __future__ import annotations

import logging
import math
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from mobilenets.errors import UserError
from mobilenets.features.embeddings import Embeddings
from mobilenets.runtime.base import (
    Engine,
    OneAtATime,
    Origin,
    Pixels,
    available_cores,
    features_engine,
    has_features,
)
from mobilenets.runtime.registry import KINDS, open_engine
from mobilenets.system.timing import Clock
from mobilenets.tasks.task import Outputs

log = logging.getLogger(__name__)

FIRST = 4  # calls before anything is compared: a photo or two never pay for a second engine
CALLS = 9  # of each number of threads in a comparison
AGAIN_S = 15.0  # between two comparisons, and at least
AGAIN = 20  # times as long as the last one took: calls on a slow number of threads cost little in all

T = TypeVar("T")


def thread_counts(max_threads: int) -> list[int]:
    """Those that are tried: all of them, all but one for what else runs here, half of them."""
    return sorted({max_threads, max(1, max_threads - 1), max(1, max_threads // 2)}, reverse=True)


def measured_threads(engine: Engine) -> Engine:
    """`engine`, which was opened on as many threads as there are cores, on the number that is fastest; or as it is.

    As it is remains what was opened on a number of threads, what chooses them itself, and a network in memory.
    """
    origin, counts = engine.origin, thread_counts(available_cores())
    if origin is None or origin.threads is not None or not KINDS[origin.name].takes_threads or len(counts) < 2:
        return engine
    return MeasuredThreads(engine, counts, _Reopen(origin))


def prepare(engine: Engine) -> None:
    """Open what `engine` will want for many calls, if it is one of `measured_threads`."""
    if isinstance(engine, MeasuredThreads):
        engine.prepare()


class MeasuredThreads:
    """An engine on the number of threads that takes the least time beside what else runs now.

    Threads of one call wait for each other at every layer, in some engines in a loop. Where another process has the
    core of one of them, fewer are faster; what else runs changes, so the comparison is made again.

    Parameters
    ----------
    engine
        On `counts[0]` threads.
    counts
        Numbers of threads, the usual one first.
    open
        Makes the same engine on another number; `UserError` where that cannot be.
    clock
        Times calls and what lies between two comparisons.
    """

    def __init__(
        self,
        engine: Engine,
        counts: Sequence[int],
        open: Callable[[int], Engine],
        clock: Clock = time.perf_counter,
    ) -> None:
        self.card, self.accepts_full_image, self.origin = engine.card, engine.accepts_full_image, engine.origin
        self.has_features = has_features(engine)
        self._counts, self._open, self._clock = counts, open, clock
        self._engines, self._taken = [engine], 0
        self._calls, self._due, self._began = 0, -math.inf, 0.0
        self._paces: list[list[float]] = []  # while comparing: seconds per byte of pixels, for each engine
        self._lock = threading.Lock()

    @property
    def threads(self) -> int:
        """The number that is taken now."""
        return self._counts[self._taken]

    def concurrent(self) -> Engine:
        """The engine's own where its callers compute side by side, on a thread each; else itself, one at a time."""
        alone = self._engines[0].concurrent()
        if not isinstance(alone, OneAtATime):
            return alone
        self.prepare()
        return OneAtATime(self)

    def after_fork(self) -> Engine:
        """The engine's own, without measuring."""
        return self._engines[0].after_fork()

    def prepare(self) -> None:
        """Open the other engines now, not in the midst of calls.

        A command does that before it writes anything: what opens an engine drops what others write meanwhile.
        """
        with self._lock:
            self._all_opened()

    def __call__(self, pixels: Pixels) -> Outputs:
        """As the engine."""
        return self._timed(pixels, lambda engine: engine(pixels))

    def with_features(self, pixels: Pixels) -> tuple[Outputs, Embeddings]:
        """As the engine."""
        return self._timed(pixels, lambda engine: features_engine(engine).with_features(pixels))

    def _timed(self, pixels: Pixels, run: Callable[[Engine], T]) -> T:
        with self._lock:
            turn = self._next()
        start = self._clock()
        found = run(self._engines[turn])
        if self._paces:
            with self._lock:
                self._note(turn, (self._clock() - start) / max(1, pixels.size))
        return found

    def _next(self) -> int:
        """Which engine is to run: the one taken, or in a comparison the one that ran the least."""
        if not self._paces:
            self._calls += 1
            if self._calls <= FIRST or self._clock() < self._due or not self._all_opened():
                return self._taken
            self._began = self._clock()
            self._paces = [[] for _ in self._engines]
        return min(range(len(self._paces)), key=lambda i: len(self._paces[i]))

    def _note(self, turn: int, pace: float) -> None:
        if not self._paces:  # another caller has just ended the comparison
            return
        self._paces[turn].append(pace)
        if min(map(len, self._paces)) < CALLS:
            return
        medians = [statistics.median(paces) for paces in self._paces]
        self._taken, self._paces, now = medians.index(min(medians)), [], self._clock()
        self._due = now + max(AGAIN_S, AGAIN * (now - self._began))
        log.debug(
            "computing by %d of %d threads, the fastest beside what else runs here", self.threads, self._counts[0]
        )

    def _all_opened(self) -> bool:
        """Whether there is an engine for each number; where one cannot be opened, none is asked for again."""
        try:
            self._engines += [self._open(count) for count in self._counts[len(self._engines) :]]
        except UserError as error:
            log.debug("computing by %d threads: no other number can be tried: %s", self.threads, error)
            self._due = math.inf
            return False
        return True


class _Reopen:
    """Opens the file of an engine again, as long as it is the same."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._stamps = _stamps(origin.path)

    def __call__(self, threads: int) -> Engine:
        """On so many threads.

        Raises
        ------
        UserError
            The file is another one by now, or gone.
        """
        origin = self._origin
        engine = open_engine(origin.path, origin.name, threads, origin.precision)
        if _stamps(origin.path) != self._stamps:
            raise UserError(f"{origin.path}: was changed since it was opened; start again to use the new one")
        return engine


def _stamps(path: Path) -> list[tuple[int, int] | None]:
    """Size and time of change of the file, and of the weights that some formats keep beside it."""
    files = (path, path.with_suffix(".bin"))
    return [(file.stat().st_size, file.stat().st_mtime_ns) if file.exists() else None for file in files]
