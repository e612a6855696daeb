"""Evolution and random search, on a evaluator whose best network is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenets.arch import build
from mobilenets.errors import UserError
from mobilenets.searching.evaluation import Score
from mobilenets.searching.evolution.evolve import (
    EvaluatedCandidate,
    Evaluator,
    EvolutionPlan,
    Goal,
    evolve,
    random_search,
)
from mobilenets.searching.evolution.space import ArchConfig, SearchSpace

SPACE = SearchSpace(build("mobilenet_v2", width=0.35), 96)
WEIGHTS = np.random.default_rng(5).dirichlet(np.ones(len(SPACE.options)))


def _work(arch: ArchConfig) -> float:
    """More for every gene that is larger."""
    return arch.size**2 * sum(s.depth * s.width * s.expand * (s.kernel + 8) * (1.1 if s.se else 1) for s in arch.stages)


LARGEST = _work(SPACE.largest)


def _ms(arch: ArchConfig) -> float:
    """Latency: the share of the largest network's work."""
    return _work(arch) / LARGEST


def _score(arch: ArchConfig) -> Score:
    """Accuracy: each gene adds what its own weight says, from 0 to 1 in all."""
    ranks = [o.index(g) / max(len(o) - 1, 1) for g, o in zip(arch.genotype, SPACE.options, strict=True)]
    accuracy = float(WEIGHTS @ ranks)
    return Score(accuracy, accuracy, 1 - accuracy)


def _evaluator(budget: float = 0.3, exponent: float | None = None) -> Evaluator:
    return Evaluator(SPACE, Goal(budget, exponent), guess=_ms, predict=_ms, score=_score)


def _best(evaluated: list[EvaluatedCandidate]) -> float:
    return max(j.score.accuracy for j in evaluated)


def test_evolution_beats_random_search_with_as_many_evaluations() -> None:
    wins = [
        _best(evolve(_evaluator(), EvolutionPlan(evaluations=200), seed))
        > _best(random_search(_evaluator(), 200, seed))
        for seed in range(5)
    ]
    assert all(wins)


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.floats(0.15, 0.9), st.integers(1, 60))
def test_no_network_above_a_hard_budget_is_judged_and_none_twice(seed: int, budget: float, evaluations: int) -> None:
    for found in (
        evolve(_evaluator(budget), EvolutionPlan(evaluations=evaluations), seed),
        random_search(_evaluator(budget), evaluations, seed),
    ):
        assert len(found) == evaluations
        assert len({j.arch for j in found}) == evaluations
        assert all(j.ms <= budget and j.arch in SPACE for j in found)


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_the_same_seed_searches_the_same(seed: int) -> None:
    assert evolve(_evaluator(), EvolutionPlan(40), seed) == evolve(_evaluator(), EvolutionPlan(40), seed)


def test_a_search_that_was_stopped_ends_as_if_it_never_was() -> None:
    whole = evolve(_evaluator(), EvolutionPlan(60), 3)
    known = {j.arch: j for j in whole[:25]}
    scored: list[ArchConfig] = []

    def score(arch: ArchConfig) -> Score:
        scored.append(arch)
        return _score(arch)

    again = dataclasses.replace(_evaluator(), score=score, known=dict(known))
    assert evolve(again, EvolutionPlan(60), 3) == whole
    assert scored == [j.arch for j in whole[25:]]


def test_a_soft_goal_also_judges_slower_networks_and_ranks_them_by_the_reward() -> None:
    evaluator = _evaluator(0.3, exponent=-0.07)
    found = evolve(evaluator, EvolutionPlan(100), 0)
    assert any(j.ms > 0.3 for j in found)
    best = max(found, key=evaluator.rank)
    assert best.score.accuracy * (best.ms / 0.3) ** -0.07 == max(
        j.score.accuracy * (j.ms / 0.3) ** -0.07 for j in found
    )


def test_doubling_the_latency_is_worth_five_percent_of_accuracy_at_mnasnets_exponent() -> None:
    goal = Goal(10.0, -0.07)
    assert goal.reward(0.80 * 1.05, 20.0) == pytest.approx(goal.reward(0.80, 10.0), rel=1e-3)


def test_networks_rank_by_their_expected_accuracy() -> None:
    evaluator = _evaluator()
    one, other = (
        EvaluatedCandidate(SPACE.smallest, 0.1, Score(a, expected, 0.5)) for a, expected in ((0.5, 0.48), (0.6, 0.47))
    )
    assert evaluator.rank(one) > evaluator.rank(other)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(0.15, 0.9))
def test_proposals_lie_below_a_hard_budget_and_near_it(seed: int, budget: float) -> None:
    rng = np.random.default_rng(seed)
    ms = [_ms(_evaluator(budget).within(SPACE.sample(rng), rng)) for _ in range(20)]
    assert max(ms) <= budget
    assert np.median(ms) > 0.7 * budget


def test_a_soft_goal_judges_what_was_proposed() -> None:
    rng = np.random.default_rng(0)
    arch = SPACE.sample(rng)
    assert _evaluator(0.3, exponent=-0.07).within(arch, rng) == arch


def test_a_budget_below_the_smallest_network_is_refused_with_what_is_possible() -> None:
    smallest = _ms(SPACE.smallest)
    with pytest.raises(UserError, match=f"{smallest:.3g} ms"):
        evolve(_evaluator(smallest / 2), EvolutionPlan(10), 0)


def test_a_space_used_up_ends_the_search() -> None:
    evaluator = _evaluator(_ms(SPACE.smallest))  # only one network fits
    assert [j.arch for j in evolve(evaluator, EvolutionPlan(50), 0)] == [SPACE.smallest]
    assert [j.arch for j in random_search(_evaluator(_ms(SPACE.smallest)), 50, 0)] == [SPACE.smallest]
