"""The one place that times: in turns, beside a reference in the same seconds, and with how sure the result is.

Other work on a machine only ever adds time: to some calls (another process has the core for a moment) or to all of a
while (the processor is warmer, a neighbour uses its caches). Against the first a turn counts by a low quantile of its
calls; against the second by its ratio to a reference that ran beside it:

    seconds = median over the rounds (turn / reference beside it) · lower quartile over the rounds (reference)

The quantile of calls is the lower quartile: three quarters of them may be disturbed and it still stands, and it is less
of an accident than the minimum. That of the ratios is not low: the reference may be the disturbed one, which makes a
ratio too small as often as too large. With a quartile there a call of 3 ms was taken for 1.9 where other work came 300
times a second (`tests/system/test_timing.py`).
The interval is that of order statistics: it holds the true quantile in nine of ten cases, whatever the distribution.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

CALLS, RATIOS = 0.25, 0.5  # quantiles
MIN_ROWS = 4  # of a turn, beside however long a call
_Z90 = 1.645  # standard normal quantile at 0.95: an interval of 90 %

Clock = Callable[[], float]  # seconds from any fixed moment, as `time.perf_counter`
Turn = Callable[[int], list[float]]  # makes so many calls; the seconds of each


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds to three digits, for people: 0.412, 23.5, 2,360."""
    ms = 1000 * seconds
    return f"{ms:.3g}" if ms < 999.5 else f"{ms:,.0f}"


@dataclass(frozen=True)
class Estimate:
    """What one call takes when nothing else runs, in seconds, and from where to where that is uncertain."""

    seconds: float
    low: float
    high: float

    @property
    def ms(self) -> float:
        """Milliseconds."""
        return 1000 * self.seconds

    @property
    def spread(self) -> float:
        """Half of the interval, relative to the estimate."""
        return (self.high - self.low) / 2 / self.seconds

    def decides(self, limit: float) -> bool:
        """Whether it is clear on which side of `limit` seconds this lies."""
        return not self.low <= limit < self.high

    def scaled(self, factor: float) -> Estimate:
        """The same in other units, or by another reference."""
        return Estimate(factor * self.seconds, factor * self.low, factor * self.high)

    def describe(self) -> str:
        """From where to where, in words."""
        return f"{milliseconds(self.low)} to {milliseconds(self.high)} ms"

    def doubt(self, limit: float, effort: Effort) -> str:
        """Why it is not clear on which side of `limit` seconds this lies, though measured with `effort`; in words."""
        if self.spread > effort.spread:
            return f"too busy to measure {milliseconds(limit)} ms"
        return f"{milliseconds(limit)} ms is too close to tell"


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    A turn lasts about `turn_s`, of `min_calls` to `max_calls`. There are `rounds` of turns, and more as long as an
    interval is wider than `spread` on either side, up to `max_rounds` and `max_s` in all. `warm_up` calls come before
    all (caches are filled, primitives are made), `settle` before each turn (the others have emptied the caches);
    neither are counted. With `min_calls` equal to `max_calls` the number of calls in a round depends on no measurement.
    """

    rounds: int = 8
    max_rounds: int = 48
    turn_s: float = 0.01
    min_calls: int = 8
    max_calls: int = 40
    spread: float = 0.02
    max_s: float = 4.0
    warm_up: int = 3
    settle: int = 1


@dataclass
class Measured:
    """An estimate for each that was timed, the reference's own, and the seconds of every call that was counted."""

    estimates: list[Estimate]
    reference: Estimate
    seconds: list[list[float]] = field(default_factory=list)


def timed(function: Callable[[], object], clock: Clock = time.perf_counter) -> Turn:
    """Turns of a function in this process."""

    def turn(calls: int) -> list[float]:
        seconds = []
        for _ in range(calls):
            start = clock()
            function()
            seconds.append(clock() - start)
        return seconds

    return turn


def measure(
    turns: Sequence[Turn],
    effort: Effort | None = None,
    reference: Turn | None = None,
    *,
    clock: Clock = time.perf_counter,
    enough: Callable[[Sequence[Estimate]], bool] | None = None,
    after_turn: Callable[[], object] = lambda: None,
) -> Measured:
    """Time each of `turns` in rounds, every turn with one of `reference` right before it.

    Without `reference` the first of `turns` is it. `clock` bounds the whole, `enough` replaces the spread that
    `effort` asks for, `after_turn` is called after each turn of the first `effort.rounds`.
    """
    effort = effort or Effort()
    rounds = _Rounds(turns, reference, effort)
    start = clock()
    while True:
        rounds.run(after_turn if rounds.count < effort.rounds else lambda: None)
        if rounds.count < effort.rounds:
            continue
        measured = rounds.measured()
        estimates = measured.estimates
        done = enough(estimates) if enough else all(e.spread <= effort.spread for e in estimates)
        if done or rounds.count >= effort.max_rounds or clock() - start >= effort.max_s:
            return measured


class _Rounds:
    """What was measured so far."""

    def __init__(self, turns: Sequence[Turn], reference: Turn | None, effort: Effort) -> None:
        self._turns, self._reference, self._own = turns, reference or turns[0], reference is None
        self._effort = effort
        self.count = 0
        self.ratios: list[list[float]] = [[] for _ in turns]
        self.alone: list[float] = []  # of the reference, a figure per turn
        self.seconds: list[list[float]] = [[] for _ in turns]
        first = effort.warm_up + min(3, effort.min_calls)
        # Seconds of a call so far, undisturbed or nearly so; a clock may be too coarse to see one.
        self._fastest = [max(min(turn(first)), 1e-9) for turn in turns]
        self._base = self._fastest[0] if self._own else max(min(self._reference(first)), 1e-9)

    def _plan(self, i: int) -> tuple[int, int, int, int]:
        """Of the next turn: how many calls in a row are one figure, and how many such rows; likewise of the reference.

        A call that is longer than the time slices of the system is always interrupted on a busy machine, a short one
        rarely: what is compared must take about as long, so that both are as likely to be.
        """
        effort, ratio = self._effort, self._fastest[i] / self._base
        calls = _clip(effort.turn_s / self._fastest[i], effort.min_calls, effort.max_calls)
        if effort.min_calls == effort.max_calls:
            return 1, calls, 1, calls
        row, beside = max(1, round(1 / ratio)), max(1, round(ratio))
        rows = max(MIN_ROWS, calls // row)
        return row, rows, beside, _clip(rows * row * ratio / beside, MIN_ROWS, 2 * rows)

    def run(self, after_turn: Callable[[], object]) -> None:
        """One more turn of each."""
        for i, turn in enumerate(self._turns):
            row, rows, beside, beside_rows = self._plan(i)
            if self._own and i == 0:
                self._alone(rows if len(self._turns) == 1 else 0)
            else:
                reference = self._alone(beside * beside_rows)
                seconds = self._turn(turn, row * rows)
                self.ratios[i].append(_low_of_rows(seconds, row) / _low_of_rows(reference, beside))
                self.seconds[i] += seconds
                self._fastest[i] = max(min(self._fastest[i], *seconds), 1e-9)
            after_turn()
        self.count += 1

    def _turn(self, turn: Turn, calls: int) -> list[float]:
        return turn(calls + self._effort.settle)[self._effort.settle :]

    def _alone(self, calls: int) -> list[float]:
        """A turn of the reference."""
        if not calls:  # it has its turns beside the others
            return []
        seconds = self._turn(self._reference, calls)
        self.alone.append(_low(seconds))
        self._base = max(min(self._base, *seconds), 1e-9)
        if self._own:
            self.seconds[0] += seconds
        return seconds

    def measured(self) -> Measured:
        """The estimates from all rounds."""
        reference = _estimate(self.alone, CALLS)
        estimates = [_estimate(row, RATIOS).scaled(reference.seconds) if row else reference for row in self.ratios]
        return Measured(estimates, reference, self.seconds)


def _low(seconds: Sequence[float] | np.ndarray) -> float:
    return float(np.quantile(seconds, CALLS))


def _low_of_rows(seconds: Sequence[float], row: int) -> float:
    """Seconds of one call, by rows of so many."""
    return _low(np.reshape(seconds, (-1, row)).mean(1))


def _clip(value: float, low: int, high: int) -> int:
    return int(min(max(value, low), high))


def _estimate(values: Sequence[float], quantile: float) -> Estimate:
    """A quantile and its interval of 90 % by order statistics."""
    ordered, n = sorted(values), len(values)
    half = _Z90 * math.sqrt(n * quantile * (1 - quantile))
    first, last = max(0, math.floor(n * quantile - half)), min(n - 1, math.floor(n * quantile + half))
    return Estimate(float(np.quantile(ordered, quantile)), ordered[first], ordered[last])


def seconds_each(steps: Iterable[object], clock: Clock = time.perf_counter) -> float:
    """The median time of the steps of an iterable that works while it is gone through: for plans.

    A plan wants to know what will pass, and other work that slows these steps will slow the next ones.

    Raises
    ------
    ValueError
        There are none.
    """
    moments = [clock()]
    for _ in steps:
        moments.append(clock())
    if len(moments) < 2:
        raise ValueError("no steps to time")
    return float(np.median(np.diff(moments)))
