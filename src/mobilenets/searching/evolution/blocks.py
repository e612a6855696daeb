"""The block search: a supernet is trained once, many of its networks are evaluated, the best that fits is taken.

What differs from Once-for-All (1908.09791), and why: everything is trained at once by the sandwich rule, as BigNAS does
(2003.11142), instead of phase by phase; and no accuracy predictor is fitted, as each network is evaluated in seconds.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import torch

from mobilenets.arch.cost import total
from mobilenets.errors import UsageError
from mobilenets.nn.io import write_network
from mobilenets.nn.model import MobileNet
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.context import SearchContext
from mobilenets.searching.distill import whole_network_recipe
from mobilenets.searching.evaluation import (
    NUM_TIMED_STEPS,
    LimitedLoader,
    Score,
    losses,
    recalibrate,
    score,
    seconds_per_step,
)
from mobilenets.searching.evolution.evolve import EvaluatedCandidate, Evaluator, EvolutionPlan, Goal, evolve
from mobilenets.searching.evolution.space import ArchConfig, SearchSpace
from mobilenets.searching.evolution.supernet import SandwichTrainer, Subnet, make_supernet
from mobilenets.searching.latency.model import NUM_CHECKED, NUM_FITTED, LatencyModel, relative_fit
from mobilenets.searching.pruning.importance import importance
from mobilenets.searching.state import FOLDER, SearchState
from mobilenets.system.progress import Progress
from mobilenets.system.timing import seconds_each
from mobilenets.training.checkpoint import LAST
from mobilenets.training.interrupt import Interrupt

SEARCH_TIME_FRACTION = 0.6  # of the time; the rest is the training at the end
SUPERNET_TIME_FRACTION = 0.7  # of the search: the supernet's training; the rest evaluates networks
MIN_STEPS, MIN_EVALUATIONS, MAX_EVALUATIONS = 10, 8, 400
NUM_IMPORTANCE_BATCHES = 8  # batches that tell which channels matter
NUM_GUESS_FITTED = NUM_FITTED + NUM_CHECKED  # networks behind the guess from multiply-adds: they are measured already

Search = Callable[[Evaluator, EvolutionPlan, int], list[EvaluatedCandidate]]


def as_candidate(space: SearchSpace, arch: ArchConfig) -> Candidate:
    """An architecture as what a latency belongs to."""
    return Candidate(space.net(arch), arch.size)


def smallest(base: Candidate) -> Candidate:
    """The smallest network of the space around `base`."""
    space = SearchSpace(base.net, base.size)
    return as_candidate(space, space.smallest)


def random_candidates(base: Candidate, count: int, seed: int) -> list[Candidate]:
    """Networks from all of the space around `base`: of any size, with stages from the poorest to the richest."""
    rng = np.random.default_rng(seed)
    space = SearchSpace(base.net, base.size)
    return [
        as_candidate(space, space.sample_at(richness, rng)) for richness in rng.permutation(np.linspace(0, 1, count))
    ]


class BlockSearch:
    """The steps of one search; `search` proposes the networks (`evolve`, or `random_search` to compare with)."""

    def __init__(self, ctx: SearchContext, latency: LatencyModel, state: SearchState, search: Search = evolve) -> None:
        self.ctx, self.latency, self.state, self.search = ctx, latency, state, search
        self.space = SearchSpace(ctx.base_candidate.net, ctx.base_candidate.size)
        self.folder = state.folder / FOLDER / "supernet"
        self._guess = _macs_latency(
            self.space, latency, random_candidates(ctx.base_candidate, NUM_GUESS_FITTED, state.config.seed)
        )

    def run(self, interrupt: Interrupt, deadline: float) -> bool:
        """Train the supernet, evaluate networks, leave the winner as the last step; False when interrupted."""
        state = self.state
        if "supernet" not in state.plan:
            state.plan |= self._plan(deadline)
            state.save()
        trainer = self.trainer(int(state.plan["supernet"]))
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / LAST).exists():
            trainer.resume(self.folder / LAST)
        if not trainer.fit(lambda model, figures: None, self.folder, interrupt):
            return False
        evaluations = int(state.plan["evaluations"])
        known = [_from_record(row) for row in state.evaluated]
        with Progress("searching", evaluations, "network", initial=len(known)) as progress:

            def keep(evaluated: EvaluatedCandidate) -> None:
                state.evaluated.append(_record(evaluated))
                state.save()
                progress.advance(1, ms=evaluated.ms, holdout=evaluated.score.accuracy)
                if interrupt.requested:
                    raise _Stopped

            evaluator = self.make_evaluator(trainer, {j.arch: j for j in known}, keep)
            try:
                found = self.search(evaluator, EvolutionPlan.of(evaluations), state.config.seed)
            except _Stopped:
                return False
        self._accept(trainer, evaluator, found)
        state.searched = True
        state.save()
        shutil.rmtree(self.folder)  # some hundred megabytes of the optimiser's that nothing needs any more
        return True

    def trainer(self, steps: int) -> SandwichTrainer:
        """What trains the supernet for so many steps on the part of the training data that is not held out."""
        ctx, size = self.ctx, self.ctx.base_candidate.size
        torch.manual_seed(ctx.compute.seed)  # of what the base network does not have
        train = ctx.loader(ctx.splits.rest, size, train=True)
        supernet = make_supernet(
            self.space, ctx.base, importance(ctx.base, losses(ctx, ctx.base, size, NUM_IMPORTANCE_BATCHES))
        )
        recipe = replace(whole_network_recipe(ctx.recipe), warmup_epochs=0.1)
        loaders = LimitedLoader(train, steps), ctx.loader(ctx.splits.holdout, size)
        return SandwichTrainer(self.space, supernet, recipe, ctx.compute, ctx.preprocess(size), *loaders)

    def make_evaluator(
        self,
        trainer: SandwichTrainer,
        known: dict[ArchConfig, EvaluatedCandidate],
        keep: Callable[[EvaluatedCandidate], None],
    ) -> Evaluator:
        """What evaluates architectures of a trained supernet, on the held-out photographs."""
        goal = Goal(self.state.config.latency_ms, self.state.config.exponent)
        return Evaluator(self.space, goal, self._guess, self.predict, lambda c: self.score(trainer, c), known, keep)

    def predict(self, arch: ArchConfig) -> float:
        """Predicted milliseconds.

        Of the smallest network at most the budget: that it is not out of reach was measured before the search began,
        and a prediction does not know better.
        """
        (ms,) = self.latency.predict([as_candidate(self.space, arch)])
        return min(ms, self.state.config.latency_ms) if arch == self.space.smallest else ms

    def score(self, trainer: SandwichTrainer, arch: ArchConfig) -> Score:
        """The score of an architecture as it stands in the averaged supernet, statistics recalibrated."""
        return score(self.ctx, self.network(trainer, arch), arch.size, self.ctx.splits.holdout)

    def network(self, trainer: SandwichTrainer, arch: ArchConfig) -> MobileNet:
        """The network of an architecture by itself, with BatchNorm statistics of its own."""
        supernet = trainer.ema.model
        assert isinstance(supernet, MobileNet)
        model = Subnet(self.space, supernet, arch).extract()
        recalibrate(self.ctx, model, arch.size)
        return model

    def _plan(self, deadline: float) -> dict[str, float]:
        """Steps of the supernet and evaluations that fit into the time there is, from a measurement of both."""
        config = self.state.config
        if config.tune is not None and config.evaluations is not None:
            return {"supernet": config.tune, "evaluations": config.evaluations}
        trial = self.trainer(1 + NUM_TIMED_STEPS)
        step_s = seconds_per_step(trial)
        rng = np.random.default_rng(config.seed)
        evaluator = self.make_evaluator(trial, {}, lambda evaluated: None)
        arch = evaluator.within(self.space.sample(rng), rng)
        score_s = seconds_each(self.score(trial, arch) for _ in range(1))
        left = SEARCH_TIME_FRACTION * (deadline - time.monotonic())
        fits = np.clip((1 - SUPERNET_TIME_FRACTION) * left / score_s, MIN_EVALUATIONS, MAX_EVALUATIONS)
        return {
            "supernet": config.tune
            if config.tune is not None
            else max(MIN_STEPS, int(SUPERNET_TIME_FRACTION * left / step_s)),
            "evaluations": config.evaluations if config.evaluations is not None else int(fits),
        }

    def _accept(self, trainer: SandwichTrainer, evaluator: Evaluator, found: Sequence[EvaluatedCandidate]) -> None:
        """Measure the best whole until one fits, and leave that as the last step."""
        state = self.state
        measured = []
        for evaluated in sorted(found, key=evaluator.rank, reverse=True):
            (ms,) = self.latency.table.networks_ms([as_candidate(self.space, evaluated.arch)])
            measured.append((evaluated, ms))
            if evaluator.goal.allows(ms):
                break
        else:
            raise UsageError(
                f"--latency {evaluator.goal.budget_ms:g}ms: all {len(measured)} networks, predicted to be within it, "
                f"measure {min(ms for _, ms in measured):.3g} ms and more; ask for a little more"
            )
        # The winner is the last: what the search leaves is the network of its last step.
        state.steps = [{**_record(evaluated), "latency_ms": ms} for evaluated, ms in measured]
        winner = measured[-1][0]
        model = self.network(trainer, winner.arch)
        path = state.network_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_network(path, model, self.ctx.card_of(model, winner.arch.size, asdict(winner.score)))


class _Stopped(Exception):
    """The search was asked to stop; what was evaluated is kept."""


def _macs_latency(
    space: SearchSpace, latency: LatencyModel, candidates: Sequence[Candidate]
) -> Callable[[ArchConfig], float]:
    """A latency guessed from multiply-adds alone, by a line through predictions: it costs no measurement."""
    macs = np.array([total(c.net, c.size)[1] for c in candidates], float)
    ms = np.array(latency.predict(candidates))
    slope, intercept = relative_fit([macs, np.ones_like(macs)], ms)
    return lambda arch: float(slope * total(space.net(arch), arch.size)[1] + intercept)


def _record(evaluated: EvaluatedCandidate) -> dict[str, Any]:
    """An evaluated network as the state keeps it."""
    arch = evaluated.arch
    return {
        "what": arch.describe(),
        "genes": list(arch.genotype),
        "predicted_ms": evaluated.ms,
        **asdict(evaluated.score),
    }


def _from_record(row: dict[str, Any]) -> EvaluatedCandidate:
    """The inverse of `_record`."""
    score = Score(**{field.name: row[field.name] for field in fields(Score)})
    return EvaluatedCandidate(ArchConfig.from_genotype(row["genes"]), row["predicted_ms"], score)
