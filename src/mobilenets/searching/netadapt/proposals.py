"""NetAdapt's proposals: for every group, and for all together, how far to cut to save what a step has to save."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from mobilenets.arch.cost import MIN_SIZE, SIZE_STEP
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.latency.model import LatencyModel
from mobilenets.searching.pruning.groups import channel_groups, with_channels

INPUT = "input"  # a group of its own: the side of the image
ALL_GROUPS = "everywhere"  # no group, all of them: each loses the channels that matter least for their milliseconds
CHANNEL_STEP = 8
MIN_CHANNELS_FRACTION, MIN_SIZE_FRACTION = 1 / 8, 1 / 2  # of the base network's
UNIT_CUT_FRACTION, MAX_CUT_FRACTION = 1 / 8, 1 / 4  # of a group's channels
MIN_SAVED_FRACTION = 1e-3  # of the latency at hand: less is not worth a step
# Of the latency at hand: measurements differ by that much, and who aims at the budget may miss it.
MIN_AIMED_FRACTION = 0.02


@dataclass(frozen=True)
class Proposal:
    """Cut `group` from `before` to `after` channels (or pixels), which gives `candidate` of `predicted_ms`.

    Of `ALL_GROUPS` the channels of all groups together are given.
    """

    group: str
    before: int
    after: int
    candidate: Candidate
    predicted_ms: float

    def describe(self) -> str:
        """What it cuts, in words."""
        if self.group == INPUT:
            return "input size"
        if self.group == ALL_GROUPS:
            return "channels of all layers"
        return channel_groups(self.candidate.net).by_name[self.group].describe()


def find_min_sizes(base: Candidate) -> dict[str, int]:
    """The fewest channels of each group, and the smallest input, that a search goes down to."""
    channels = channel_groups(base.net).sizes.items()
    fewest = {name: _down(round(size * MIN_CHANNELS_FRACTION)) for name, size in channels}
    return {**fewest, INPUT: max(MIN_SIZE, _down(round(base.size * MIN_SIZE_FRACTION), SIZE_STEP))}


def input_sizes(base: Candidate) -> list[int]:
    """The sides of images between which a search chooses, from large to small, the base network's first."""
    return _steps(base, INPUT, find_min_sizes(base)[INPUT])


def _step(group: str) -> int:
    return SIZE_STEP if group == INPUT else CHANNEL_STEP


def _down(value: int, step: int = CHANNEL_STEP) -> int:
    return max(step, value // step * step)


def changed(parent: Candidate, group: str, to: int) -> Candidate | None:
    """`parent` with `to` channels in `group` (or pixels); None where no such network of its kind exists."""
    if group == INPUT:
        return Candidate(parent.net, to)
    net = with_channels(parent.net, {group: to})
    return None if net is None else Candidate(net, parent.size)


def smallest(base: Candidate) -> Candidate:
    """The smallest network that a search from `base` can reach."""
    current = base
    for group, low in find_min_sizes(base).items():
        current = next(found for to in _steps(current, group, low)[::-1] if (found := changed(current, group, to)))
    return current


def random_candidates(base: Candidate, count: int, seed: int) -> list[Candidate]:
    """Networks from everywhere between `base` and the smallest: what a latency model is fitted to."""
    rng = random.Random(seed)
    min_sizes = find_min_sizes(base)
    result = []
    for i in range(count):
        current, fraction = base, (i + rng.random()) / count  # how much is cut, evenly spread
        for group, low in min_sizes.items():
            now = size_of(current, group)
            cut = fraction * rng.uniform(0.5, 1.0) * (now - low)
            current = changed(current, group, max(low, _down(int(now - cut), _step(group)))) or current
        result.append(current)
    rng.shuffle(result)
    return result


def _steps(parent: Candidate, group: str, low: int) -> list[int]:
    """The present number, and the multiples of its step below it from large to small."""
    now, step = size_of(parent, group), _step(group)
    below = range((now - 1) // step * step, low - 1, -step)
    return [now, *below]


def cut_options(
    parent: Candidate, min_sizes: Mapping[str, int], everywhere: list[Candidate]
) -> dict[str, list[Candidate]]:
    """What each group can be cut to, from mildly to strongly; `everywhere`: see `global_cut_path`."""
    single = {group: _valid(parent, group, _steps(parent, group, min_sizes[group])[1:]) for group in min_sizes}
    return {**single, ALL_GROUPS: everywhere}


def propose(
    parent: Candidate, options: Mapping[str, list[Candidate]], latency: LatencyModel, limit_ms: float
) -> list[Proposal]:
    """For each group the mildest cut that is predicted to bring `parent` down to `limit_ms`; none where none does.

    By bisection, of all groups together: each round asks the latency table once. `options`: `cut_options`.
    """
    search = {group: _Bisection(cuts) for group, cuts in options.items() if cuts}
    while open_ := {group: s for group, s in search.items() if s.probe is not None}:
        predicted = latency.predict([s.probe for s in open_.values() if s.probe is not None])
        for bisection, ms in zip(open_.values(), predicted, strict=True):
            bisection.record(ms, limit_ms)
    found = []
    for group, bisection in search.items():
        if bisection.best is not None:
            candidate, ms = bisection.best
            before, after = (size_of(c, group) for c in (parent, candidate))
            found.append(Proposal(group, before, after, candidate, ms))
    return found


def propose_step(
    parent: Candidate,
    min_sizes: Mapping[str, int],
    everywhere: list[Candidate],
    latency: LatencyModel,
    now_ms: float,
    saving_ms: float,
    budget_ms: float,
) -> list[Proposal]:
    """Proposals that save `saving_ms` of `now_ms`, or what is left to `budget_ms` and can be measured.

    Half of it where no single cut does: small networks have no channels left that are worth as much as a step from the
    base.
    """
    saving_ms = max(min(saving_ms, now_ms - budget_ms), MIN_AIMED_FRACTION * now_ms)
    min_ms = min(saving_ms, MIN_SAVED_FRACTION * now_ms)
    options = cut_options(parent, min_sizes, everywhere)
    while saving_ms >= min_ms:
        if found := propose(parent, options, latency, now_ms - saving_ms):
            return found
        saving_ms /= 2
    return []


def unit_cuts(parent: Candidate, min_sizes: Mapping[str, int], latency: LatencyModel) -> list[Proposal]:
    """For every group of channels a small cut, by which to tell what it is worth; none where it saves nothing."""
    small: dict[str, Candidate] = {}
    for group in channel_groups(parent.net).by_name:
        now, *below = _steps(parent, group, min_sizes[group])
        for to in below:
            if group in small and to < now * (1 - UNIT_CUT_FRACTION):
                break
            if candidate := changed(parent, group, to):
                small[group] = candidate
    now_ms, *predicted = latency.predict([parent, *small.values()])
    return [
        Proposal(group, size_of(parent, group), size_of(candidate, group), candidate, ms)
        for (group, candidate), ms in zip(small.items(), predicted, strict=True)
        if ms < now_ms
    ]


def global_cut_path(
    parent: Candidate, min_sizes: Mapping[str, int], ranked_cuts: Sequence[tuple[Proposal, float]]
) -> list[Candidate]:
    """Networks from mildly to strongly narrowed: one unit cut of one group at a time, always the one that costs least.

    One group alone must lose most of its channels before a step is saved; all together save it with a few of each.
    `ranked_cuts`: `unit_cuts`, each with its cost (divergence per millisecond saved, 0 or more). A divergence grows
    with the square of a small cut: the n-th unit cut of a group costs 2n - 1 times the first. No group loses more than
    a unit cut or `MAX_CUT_FRACTION` of its channels: a first small cut tells little of what the last ones cost.
    """
    cuts: list[tuple[float, str, int]] = []
    for unit_cut, cost in ranked_cuts:
        width = max(CHANNEL_STEP, _down(unit_cut.before - unit_cut.after))
        lowest = max(
            min_sizes[unit_cut.group], min(unit_cut.after, math.ceil(unit_cut.before * (1 - MAX_CUT_FRACTION)))
        )
        numbers = range(unit_cut.after, lowest - 1, -width)
        cuts += [((2 * i + 1) * max(cost, 0.0), unit_cut.group, to) for i, to in enumerate(numbers)]
    current, result = parent, []
    for _, group, to in sorted(cuts, key=itemgetter(0)):
        if found := changed(current, group, to):
            current = found
            result.append(current)
    return result


def size_of(candidate: Candidate, group: str) -> int:
    """Channels in a group or in all, or pixels of the input."""
    if group == INPUT:
        return candidate.size
    sizes = channel_groups(candidate.net).sizes
    return sum(sizes.values()) if group == ALL_GROUPS else sizes[group]


def _valid(parent: Candidate, group: str, numbers: list[int]) -> list[Candidate]:
    return [candidate for n in numbers if (candidate := changed(parent, group, n)) is not None]


class _Bisection:
    """Over candidates from mild to strong: the mildest that is fast enough, if latency falls along them."""

    def __init__(self, options: list[Candidate]) -> None:
        self._options, self._low, self._high = options, 0, len(options)
        self.best: tuple[Candidate, float] | None = None
        self.probe: Candidate | None = options[len(options) // 2]

    def record(self, ms: float, limit_ms: float) -> None:
        """The latency of the probe."""
        middle = (self._low + self._high) // 2
        if ms <= limit_ms:
            self.best, self._high = (self._options[middle], ms), middle
        else:
            self._low = middle + 1
        self.probe = self._options[(self._low + self._high) // 2] if self._low < self._high else None


def min_accuracy_lost(before: float, options: list[tuple[float, float]]) -> int:
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
