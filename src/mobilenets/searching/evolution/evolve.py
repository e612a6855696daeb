"""Evolution over a search space, and the random search it has to beat, with the same number of evaluations.

Each evaluation scores one network; predicting a latency costs next to nothing and is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from mobilenets.errors import UsageError
from mobilenets.searching.evaluation import Score
from mobilenets.searching.evolution.space import ArchConfig, SearchSpace

Generator = np.random.Generator
PATIENCE = 200  # proposals in a row that were evaluated before: the space within the budget is used up


@dataclass(frozen=True)
class Goal:
    """What is searched for within `budget_ms`.

    Without `exponent` the budget is hard: no network above it is evaluated, and the most accurate wins. With one,
    networks are ranked by MnasNet's reward, accuracy · (latency / budget) ^ exponent, on both sides of the budget
    (1807.11626, eq. 2 with α = β). -0.07 is MnasNet's: 5 % more accuracy, relatively, are worth double the
    latency (ln 1.05 / ln 2 = 0.07); MobileNetV3-Small was found with -0.15 (1905.02244, §4.1).
    """

    budget_ms: float
    exponent: float | None = None

    def allows(self, ms: float) -> bool:
        """Whether a network of this latency may be evaluated."""
        return self.exponent is not None or ms <= self.budget_ms

    def reward(self, accuracy: float, ms: float) -> float:
        """What is to be as large as possible."""
        return accuracy if self.exponent is None else accuracy * (ms / self.budget_ms) ** self.exponent


@dataclass(frozen=True)
class EvaluatedCandidate:
    """A network of the space, its predicted latency and its score."""

    arch: ArchConfig
    ms: float
    score: Score


@dataclass(frozen=True)
class EvolutionPlan:
    """How evolution goes on.

    The best `parents` (a fraction) of each `population` have the next one as children: half of them copies of which
    every gene changes with probability `mutation`, half crossed from two (the proportions of Once-for-All's search,
    1908.09791). `evaluations` in all.
    """

    evaluations: int = 64
    population: int = 16
    parents: float = 0.25
    mutation: float = 0.1

    @classmethod
    def of(cls, evaluations: int) -> EvolutionPlan:
        """So many evaluations; where they are few, smaller populations, so that there are four generations at least."""
        return cls(evaluations, population=min(cls.population, max(4, evaluations // 4)))


@dataclass
class Evaluator:
    """Latency and score of architectures, each scored once.

    `guess` is a latency that costs nothing, `predict` the one that counts, `score` the evaluation. `known` has the
    scores of an interrupted search: it is told of each new one through `keep`.
    """

    space: SearchSpace
    goal: Goal
    guess: Callable[[ArchConfig], float]
    predict: Callable[[ArchConfig], float]
    score: Callable[[ArchConfig], Score]
    known: dict[ArchConfig, EvaluatedCandidate] = field(default_factory=dict)
    keep: Callable[[EvaluatedCandidate], None] = lambda evaluated: None

    def __call__(self, arch: ArchConfig) -> EvaluatedCandidate:
        """Evaluate an architecture, or remember how it was evaluated."""
        if arch not in self.known:
            self.known[arch] = EvaluatedCandidate(arch, self.predict(arch), self.score(arch))
            self.keep(self.known[arch])
        return self.known[arch]

    def within(self, arch: ArchConfig, rng: Generator) -> ArchConfig:
        """The architecture, brought to where the goal allows it: made cheaper gene by gene until it does.

        Where it is cheaper than that, it is made dearer first, gene by gene as long as the budget seems to allow it:
        networks far below a hard budget are rarely the best within it. So proposals come to lie near the budget.
        """
        if self.goal.exponent is None:
            while arch != self.space.largest and self.goal.allows(self.guess(arch)):
                arch = self.space.grow(arch, rng)
        while not self.goal.allows(self.guess(arch)) and arch != self.space.smallest:
            arch = self.space.shrink(arch, rng)
        while not self.goal.allows(self.predict(arch)):
            if arch == self.space.smallest:
                raise UsageError(
                    f"--latency: {self.goal.budget_ms:.3g} ms is less than the smallest network of the search takes "
                    f"here, {self.predict(arch):.3g} ms; give more, or another --from"
                )
            arch = self.space.shrink(arch, rng)
        return arch

    def rank(self, evaluated: EvaluatedCandidate) -> float:
        """Larger is better: the reward of the expected accuracy: few photographs tell networks apart by it."""
        return self.goal.reward(evaluated.score.expected_accuracy, evaluated.ms)


def evolve(evaluator: Evaluator, plan: EvolutionPlan, seed: int) -> list[EvaluatedCandidate]:
    """Search by evolution; every network evaluated, in order. The same seed and evaluator give the same.

    Ends early only where the space has no more networks to propose.
    """
    rng = np.random.default_rng(seed)
    space, evaluated = evaluator.space, []
    seen: set[ArchConfig] = set()
    for child in _new(lambda: evaluator.within(space.sample(rng), rng), seen, min(plan.population, plan.evaluations)):
        evaluated.append(evaluator(child))
    population = list(evaluated)
    while len(evaluated) < plan.evaluations:
        best = sorted(population, key=evaluator.rank, reverse=True)[: max(2, round(plan.parents * plan.population))]
        children = []
        count = min(plan.population - len(best), plan.evaluations - len(evaluated))
        for child in _new(partial(_fitting_child, evaluator, best, plan, rng), seen, count):
            children.append(evaluator(child))
        if not children:
            break
        evaluated += children
        population = best + children
    return evaluated


def random_search(evaluator: Evaluator, evaluations: int, seed: int) -> list[EvaluatedCandidate]:
    """As many networks drawn at random and made to fit; every one evaluated, in order."""
    rng = np.random.default_rng(seed)
    return [evaluator(c) for c in _new(lambda: evaluator.within(evaluator.space.sample(rng), rng), set(), evaluations)]


def _fitting_child(
    evaluator: Evaluator, parents: list[EvaluatedCandidate], plan: EvolutionPlan, rng: Generator
) -> ArchConfig:
    return evaluator.within(_child(evaluator.space, parents, plan, rng), rng)


def _child(space: SearchSpace, parents: list[EvaluatedCandidate], plan: EvolutionPlan, rng: Generator) -> ArchConfig:
    one, other = (parents[i].arch for i in rng.integers(len(parents), size=2))
    return space.mutate(one, plan.mutation, rng) if rng.random() < 0.5 else space.cross(one, other, rng)


def _new(propose: Callable[[], ArchConfig], seen: set[ArchConfig], count: int) -> Iterator[ArchConfig]:
    """`count` architectures that were not seen before, fewer where none come any more; each is remembered as seen."""
    for _ in range(count):
        for _ in range(PATIENCE):
            arch = propose()
            if arch not in seen:
                break
        else:
            return
        seen.add(arch)
        yield arch
