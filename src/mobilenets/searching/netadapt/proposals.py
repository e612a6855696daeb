"""NetAdapt's proposals: for every space, and for all together, how far to cut to save what a step has to save."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from mobilenets.arch.cost import MIN_SIZE, SIZE_STEP
from mobilenets.searching.latency.table import Candidate, LatencyModel
from mobilenets.searching.pruning.groups import layout, resized, told

INPUT = "input"  # a "space" of its own: the side of the picture
EVERYWHERE = "everywhere"  # no space, all of them: each loses the channels that matter least for their milliseconds
STEP = 8  # channels
LEAST_CHANNELS, LEAST_SIZE = 1 / 8, 1 / 2  # of the seed's
NOTCH, MOST_AT_ONCE = 1 / 8, 1 / 4  # of a space's channels
LEAST_SAVED = 1e-3  # of the latency at hand: less is not worth a step
LEAST_AIMED = 0.02  # of the latency at hand: measurements differ by that much, and who aims at the budget may miss it


@dataclass(frozen=True)
class Proposal:
    """Cut `space` from `before` to `after` channels (or pixels), which gives `candidate` of `predicted_ms`.

    Of `EVERYWHERE` the channels of all spaces together are told.
    """

    space: str
    before: int
    after: int
    candidate: Candidate
    predicted_ms: float

    def told(self) -> str:
        """What it cuts, in words."""
        if self.space == INPUT:
            return "input size"
        if self.space == EVERYWHERE:
            return "channels of all layers"
        return told(layout(self.candidate.net).spaces[self.space])


def floors(seed: Candidate) -> dict[str, int]:
    """The fewest channels of each space, and the smallest input, that a search goes down to."""
    least = {name: _down(round(size * LEAST_CHANNELS)) for name, size in layout(seed.net).sizes.items()}
    return {**least, INPUT: max(MIN_SIZE, _down(round(seed.size * LEAST_SIZE), SIZE_STEP))}


def sizes(seed: Candidate) -> list[int]:
    """The sides of pictures between which a search chooses, from large to small, the seed's first."""
    return _steps(seed, INPUT, floors(seed)[INPUT])


def _step(space: str) -> int:
    return SIZE_STEP if space == INPUT else STEP


def _down(value: int, step: int = STEP) -> int:
    return max(step, value // step * step)


def changed(parent: Candidate, space: str, to: int) -> Candidate | None:
    """`parent` with `to` channels in `space` (or pixels); None where no such network of its kind exists."""
    if space == INPUT:
        return Candidate(parent.net, to)
    net = resized(parent.net, {space: to})
    return None if net is None else Candidate(net, parent.size)


def smallest(seed: Candidate) -> Candidate:
    """The smallest network that a search from `seed` can reach."""
    current = seed
    for space, least in floors(seed).items():
        current = next(found for to in _steps(current, space, least)[::-1] if (found := changed(current, space, to)))
    return current


def random_candidates(seed: Candidate, count: int, number: int) -> list[Candidate]:
    """Networks from everywhere between `seed` and the smallest: what a latency model is fitted to."""
    rng = random.Random(number)
    least = floors(seed)
    result = []
    for i in range(count):
        current, share = seed, (i + rng.random()) / count  # how much is cut, evenly spread
        for space, low in least.items():
            now = number_of(current, space)
            cut = share * rng.uniform(0.5, 1.0) * (now - low)
            current = changed(current, space, max(low, _down(int(now - cut), _step(space)))) or current
        result.append(current)
    rng.shuffle(result)
    return result


def _steps(parent: Candidate, space: str, least: int) -> list[int]:
    """The present number, and the multiples of its step below it from large to small."""
    now, step = number_of(parent, space), _step(space)
    below = range((now - 1) // step * step, least - 1, -step)
    return [now, *below]


def options(parent: Candidate, least: Mapping[str, int], everywhere: list[Candidate]) -> dict[str, list[Candidate]]:
    """What each space can be cut to, from mildly to strongly; `everywhere`: see `narrower`."""
    choices = {space: _valid(parent, space, _steps(parent, space, least[space])[1:]) for space in least}
    return {**choices, EVERYWHERE: everywhere}


def propose(
    parent: Candidate, choices: Mapping[str, list[Candidate]], latency: LatencyModel, limit_ms: float
) -> list[Proposal]:
    """For each space the mildest cut that is predicted to bring `parent` down to `limit_ms`; none where none does.

    By bisection, of all spaces together: each round asks the latency table once. `choices`: the `options` of `parent`.
    """
    search = {space: _Bisection(cuts) for space, cuts in choices.items() if cuts}
    while open_ := {space: s for space, s in search.items() if s.asks is not None}:
        predicted = latency.predict([s.asks for s in open_.values() if s.asks is not None])
        for bisection, ms in zip(open_.values(), predicted, strict=True):
            bisection.tell(ms, limit_ms)
    found = []
    for space, bisection in search.items():
        if bisection.best is not None:
            candidate, ms = bisection.best
            before, after = (number_of(c, space) for c in (parent, candidate))
            found.append(Proposal(space, before, after, candidate, ms))
    return found


def propose_step(
    parent: Candidate,
    least: Mapping[str, int],
    everywhere: list[Candidate],
    latency: LatencyModel,
    now_ms: float,
    saving_ms: float,
    budget_ms: float,
) -> list[Proposal]:
    """Proposals that save `saving_ms` of `now_ms`, or what is left to `budget_ms` and can be measured.

    Half of it where no single cut does: small networks have no channels left that are worth as much as a step from the
    seed.
    """
    saving_ms = max(min(saving_ms, now_ms - budget_ms), LEAST_AIMED * now_ms)
    least_ms = min(saving_ms, LEAST_SAVED * now_ms)
    choices = options(parent, least, everywhere)
    while saving_ms >= least_ms:
        if found := propose(parent, choices, latency, now_ms - saving_ms):
            return found
        saving_ms /= 2
    return []


def notches(parent: Candidate, least: Mapping[str, int], latency: LatencyModel) -> list[Proposal]:
    """For every space of channels a small cut, by which to judge what it is worth; none where it saves nothing."""
    small: dict[str, Candidate] = {}
    for space in layout(parent.net).spaces:
        now, *below = _steps(parent, space, least[space])
        for to in below:
            if space in small and to < now * (1 - NOTCH):
                break
            if candidate := changed(parent, space, to):
                small[space] = candidate
    now_ms, *predicted = latency.predict([parent, *small.values()])
    return [
        Proposal(space, number_of(parent, space), number_of(candidate, space), candidate, ms)
        for (space, candidate), ms in zip(small.items(), predicted, strict=True)
        if ms < now_ms
    ]


def narrower(parent: Candidate, least: Mapping[str, int], judged: Sequence[tuple[Proposal, float]]) -> list[Candidate]:
    """Networks from mildly to strongly narrowed: one notch of one space at a time, always the one that costs least.

    One space alone must lose most of its channels before a step is saved; all together save it with a few of each.
    `judged`: `notches`, each with what it costs (divergence per millisecond saved, 0 or more). A divergence grows with
    the square of a small cut: the n-th notch of a space costs 2n - 1 times the first. No space loses more than a notch
    or `MOST_AT_ONCE` of its channels, since a first small cut tells little of what the last ones cost.
    """
    cuts: list[tuple[float, str, int]] = []
    for notch, cost in judged:
        width = max(STEP, _down(notch.before - notch.after))
        lowest = max(least[notch.space], min(notch.after, math.ceil(notch.before * (1 - MOST_AT_ONCE))))
        numbers = range(notch.after, lowest - 1, -width)
        cuts += [((2 * i + 1) * max(cost, 0.0), notch.space, to) for i, to in enumerate(numbers)]
    current, result = parent, []
    for _, space, to in sorted(cuts, key=itemgetter(0)):
        if found := changed(current, space, to):
            current = found
            result.append(current)
    return result


def number_of(candidate: Candidate, space: str) -> int:
    """Channels in a space or in all, or pixels of the input."""
    if space == INPUT:
        return candidate.size
    sizes = layout(candidate.net).sizes
    return sum(sizes.values()) if space == EVERYWHERE else sizes[space]


def _valid(parent: Candidate, space: str, numbers: list[int]) -> list[Candidate]:
    return [candidate for n in numbers if (candidate := changed(parent, space, n)) is not None]


class _Bisection:
    """Over candidates from mild to strong: the mildest that is fast enough, if latency falls along them."""

    def __init__(self, options: list[Candidate]) -> None:
        self._options, self._low, self._high = options, 0, len(options)
        self.best: tuple[Candidate, float] | None = None
        self.asks: Candidate | None = options[len(options) // 2]

    def tell(self, ms: float, limit_ms: float) -> None:
        """The latency of what it asked for."""
        middle = (self._low + self._high) // 2
        if ms <= limit_ms:
            self.best, self._high = (self._options[middle], ms), middle
        else:
            self._low = middle + 1
        self.asks = self._options[(self._low + self._high) // 2] if self._low < self._high else None


def least_lost(before: float, options: list[tuple[float, float]]) -> int:
    """Which of `options`, each (accuracy, saved ms), loses least accuracy per millisecond saved.

    Lost against `before`, or against the best of the options where short training has raised it above that: what loses
    nothing has no ratio to compare (published code then takes whatever saves least). So the best is taken where it is
    no worse than before, and of equally good ones the one that saves most. What saves nothing is taken only if all save
    nothing, and then the most accurate.
    """
    reference = max(before, *(accuracy for accuracy, _ in options))

    def cost(i: int) -> tuple[float, float]:
        accuracy, saved = options[i]
        return ((reference - accuracy) / saved, -saved) if saved > 0 else (math.inf, -accuracy)

    return min(range(len(options)), key=cost)
