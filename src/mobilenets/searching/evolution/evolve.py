"""Evolution over a search space, and the random search it has to beat, with the same number of evaluations.

Each evaluation judges one network; predicting a latency costs next to nothing and is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from mobilenets.errors import UserError
from mobilenets.searching.evolution.space import Choice, Space

Generator = np.random.Generator
PATIENCE = 200  # proposals in a row that were judged before: the space within the budget is used up


@dataclass(frozen=True)
class Score:
    """How a network does on photographs that neither trained it nor validate it.

    Accuracy, expected accuracy (see `tune.judge`), both 0 to 1, and log loss in nats.
    """

    accuracy: float
    expected_accuracy: float
    log_loss: float


@dataclass(frozen=True)
class Goal:
    """What is searched for within `budget_ms`.

    Without `exponent` the budget is hard: no network above it is judged, and the most accurate wins. With one,
    networks are ranked by MnasNet's reward, accuracy · (latency / budget) ^ exponent, on both sides of the budget
    (1807.11626, eq. 2 with α = β). -0.07 is MnasNet's: 5 % more accuracy, relatively, are worth double the
    latency (ln 1.05 / ln 2 = 0.07); MobileNetV3-Small was found with -0.15 (1905.02244, §4.1).
    """

    budget_ms: float
    exponent: float | None = None

    def allows(self, ms: float) -> bool:
        """Whether a network of this latency may be judged."""
        return self.exponent is not None or ms <= self.budget_ms

    def reward(self, accuracy: float, ms: float) -> float:
        """What is to be as large as possible."""
        return accuracy if self.exponent is None else accuracy * (ms / self.budget_ms) ** self.exponent


@dataclass(frozen=True)
class Judged:
    """A network of the space, its predicted latency and its score."""

    choice: Choice
    ms: float
    score: Score


@dataclass(frozen=True)
class Plan:
    """How evolution goes on.

    The best `parents` (a share) of each `population` have the next one as children: half of them copies of which
    every gene changes with probability `mutation`, half crossed from two (the proportions of Once-for-All's search,
    1908.09791). `evaluations` in all.
    """

    evaluations: int = 64
    population: int = 16
    parents: float = 0.25
    mutation: float = 0.1

    @classmethod
    def of(cls, evaluations: int) -> Plan:
        """So many evaluations; where they are few, smaller populations, so that there are four generations at least."""
        return cls(evaluations, population=min(cls.population, max(4, evaluations // 4)))


@dataclass
class Judge:
    """Latency and score of choices, each scored once.

    `guess` is a latency that costs nothing, `predict` the one that counts, `score` the evaluation. `known` has the
    scores of an interrupted search: it is told of each new one through `keep`.
    """

    space: Space
    goal: Goal
    guess: Callable[[Choice], float]
    predict: Callable[[Choice], float]
    score: Callable[[Choice], Score]
    known: dict[Choice, Judged] = field(default_factory=dict)
    keep: Callable[[Judged], None] = lambda judged: None

    def __call__(self, choice: Choice) -> Judged:
        """Judge a choice, or remember how it was judged."""
        if choice not in self.known:
            self.known[choice] = Judged(choice, self.predict(choice), self.score(choice))
            self.keep(self.known[choice])
        return self.known[choice]

    def within(self, choice: Choice, rng: Generator) -> Choice:
        """The choice, brought to where the goal allows it: made cheaper gene by gene until it does.

        Where it is cheaper than that, it is made dearer first, gene by gene as long as the budget seems to allow it:
        networks far below a hard budget are rarely the best within it. So proposals come to lie near the budget.
        """
        if self.goal.exponent is None:
            while choice != self.space.largest and self.goal.allows(self.guess(choice)):
                choice = self.space.grow(choice, rng)
        while not self.goal.allows(self.guess(choice)) and choice != self.space.smallest:
            choice = self.space.shrink(choice, rng)
        while not self.goal.allows(self.predict(choice)):
            if choice == self.space.smallest:
                raise UserError(
                    f"--latency: {self.goal.budget_ms:.3g} ms is less than the smallest network of the search takes "
                    f"here, {self.predict(choice):.3g} ms; give more, or another --from"
                )
            choice = self.space.shrink(choice, rng)
        return choice

    def rank(self, judged: Judged) -> float:
        """Larger is better: the reward of the expected accuracy, which few pictures tell better than the accuracy."""
        return self.goal.reward(judged.score.expected_accuracy, judged.ms)


def evolve(judge: Judge, plan: Plan, seed: int) -> list[Judged]:
    """Search by evolution; every network judged, in order. The same seed and judge give the same.

    Ends early only where the space has no more networks to propose.
    """
    rng = np.random.default_rng(seed)
    space, judged = judge.space, []
    seen: set[Choice] = set()
    for child in _new(lambda: judge.within(space.sample(rng), rng), seen, min(plan.population, plan.evaluations)):
        judged.append(judge(child))
    population = list(judged)
    while len(judged) < plan.evaluations:
        best = sorted(population, key=judge.rank, reverse=True)[: max(2, round(plan.parents * plan.population))]
        children = []
        count = min(plan.population - len(best), plan.evaluations - len(judged))
        for child in _new(partial(_fitting_child, judge, best, plan, rng), seen, count):
            children.append(judge(child))
        if not children:
            break
        judged += children
        population = best + children
    return judged


def random_search(judge: Judge, evaluations: int, seed: int) -> list[Judged]:
    """As many networks drawn at random and made to fit; every one judged, in order."""
    rng = np.random.default_rng(seed)
    return [judge(c) for c in _new(lambda: judge.within(judge.space.sample(rng), rng), set(), evaluations)]


def _fitting_child(judge: Judge, parents: list[Judged], plan: Plan, rng: Generator) -> Choice:
    return judge.within(_child(judge.space, parents, plan, rng), rng)


def _child(space: Space, parents: list[Judged], plan: Plan, rng: Generator) -> Choice:
    one, other = (parents[i].choice for i in rng.integers(len(parents), size=2))
    return space.mutate(one, plan.mutation, rng) if rng.random() < 0.5 else space.cross(one, other, rng)


def _new(propose: Callable[[], Choice], seen: set[Choice], count: int) -> Iterator[Choice]:
    """`count` choices that were not seen before, fewer where none come any more; each is remembered as seen."""
    for _ in range(count):
        for _ in range(PATIENCE):
            choice = propose()
            if choice not in seen:
                break
        else:
            return
        seen.add(choice)
        yield choice
