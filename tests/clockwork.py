"""A timer that needs no clock: what a part takes follows from what it computes, with noise from a seed."""

from collections.abc import Sequence

import numpy as np

from mobilenets.searching.latency.timer import Part
from mobilenets.system.timing import Effort, Estimate, Measured

REFERENCE_S = 1e-7  # faster than any machine: a real one, asked beside it, never finds that all takes less


class Clockwork:
    """A call takes 2 µs, and a nanosecond for every 10 multiply-adds and for every 10 weights.

    To each measurement up to `noise` of it is added, drawn from a seed, and the interval tells that. `asked`: how many
    parts were measured so far.
    """

    def __init__(self, noise: float = 0.01) -> None:
        self.noise, self.asked, self.closed = noise, 0, False
        self._rng = np.random.default_rng(0)

    def seconds(self, part: Part) -> float:
        return 2e-6 + (part.macs + part.parameters) / 1e10

    def measure(self, parts: Sequence[Part], effort: Effort) -> Measured:
        self.asked += len(parts)
        found = []
        for part in parts:
            seconds = self.seconds(part) * (1 + self.noise * self._rng.random())
            found.append(Estimate(seconds, seconds / (1 + self.noise), seconds * (1 + self.noise)))
        return Measured(found, Estimate(REFERENCE_S, REFERENCE_S, REFERENCE_S))

    def close(self) -> None:
        self.closed = True
