"""The block search: a supernet is trained once, many of its networks are judged, the best that fits is taken.

What differs from Once-for-All (1908.09791), and why: everything is trained at once by the sandwich rule, as BigNAS does
(2003.11142), instead of phase by phase; and no accuracy predictor is fitted, as each network is judged in seconds.
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
from mobilenets.errors import UserError
from mobilenets.nn.io import write_network
from mobilenets.nn.model import MobileNet
from mobilenets.searching.context import Workbench
from mobilenets.searching.distill import Some, plain, recalibrate
from mobilenets.searching.evolution.evolve import Goal, Judge, Judged, Plan, Score, evolve
from mobilenets.searching.evolution.space import Choice, Space
from mobilenets.searching.evolution.supernet import SandwichTrainer, Subnet, make_supernet
from mobilenets.searching.latency.table import Candidate, LatencyModel, relative_fit
from mobilenets.searching.pruning.importance import importance
from mobilenets.searching.state import FOLDER, Journal
from mobilenets.system.progress import Progress
from mobilenets.system.timing import seconds_each
from mobilenets.training.interrupt import Interrupt
from mobilenets.training.session import LAST

SEARCHING = 0.6  # of the time; the rest is the training at the end
TRAINING = 0.7  # of the search: the supernet's training; the rest judges
MIN_STEPS, FEWEST_EVALUATIONS, MOST_EVALUATIONS = 10, 8, 400
WEIGHED = 8  # batches that tell which channels matter
GUESSED = 20  # networks behind the latency that is guessed from multiply-adds; those the latency model has measured

Search = Callable[[Judge, Plan, int], list[Judged]]


def candidate(space: Space, choice: Choice) -> Candidate:
    """A choice as what a latency belongs to."""
    return Candidate(space.net(choice), choice.size)


def smallest(start: Candidate) -> Candidate:
    """The smallest network of the space around `start`."""
    space = Space(start.net, start.size)
    return candidate(space, space.smallest)


def random_candidates(start: Candidate, count: int, number: int) -> list[Candidate]:
    """Networks from all of the space around `start`: of any size, with stages from the poorest to the richest."""
    rng = np.random.default_rng(number)
    space = Space(start.net, start.size)
    return [candidate(space, space.sample_at(richness, rng)) for richness in rng.permutation(np.linspace(0, 1, count))]


class BlockSearch:
    """The steps of one search; `search` proposes the networks (`evolve`, or `random_search` to compare with)."""

    def __init__(self, bench: Workbench, latency: LatencyModel, journal: Journal, search: Search = evolve) -> None:
        self.bench, self.latency, self.journal, self.search = bench, latency, journal, search
        self.space = Space(bench.start.net, bench.start.size)
        self.folder = journal.folder / FOLDER / "supernet"
        self._guess = _line(self.space, latency, random_candidates(bench.start, GUESSED, journal.ask.seed))

    def run(self, interrupt: Interrupt, deadline: float) -> bool:
        """Train the supernet, judge networks, leave the winner as the last step; False when interrupted."""
        journal = self.journal
        if "supernet" not in journal.plan:
            journal.plan |= self._plan(deadline)
            journal.save()
        trainer = self.trainer(int(journal.plan["supernet"]))
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / LAST).exists():
            trainer.resume(self.folder / LAST)
        if not trainer.fit(lambda model, figures: None, self.folder, interrupt):
            return False
        evaluations = int(journal.plan["evaluations"])
        known = [_judged(row) for row in journal.judged]
        with Progress("searching", evaluations, "network", initial=len(known)) as progress:

            def keep(judged: Judged) -> None:
                journal.judged.append(_row(judged))
                journal.save()
                progress.advance(1, ms=judged.ms, holdout=judged.score.accuracy)
                if interrupt.requested:
                    raise _Stopped

            judge = self.judge(trainer, {j.choice: j for j in known}, keep)
            try:
                found = self.search(judge, Plan.of(evaluations), journal.ask.seed)
            except _Stopped:
                return False
        self._accept(trainer, judge, found)
        journal.searched = True
        journal.save()
        shutil.rmtree(self.folder)  # some hundred megabytes of the optimiser's that nothing needs any more
        return True

    def trainer(self, steps: int) -> SandwichTrainer:
        """What trains the supernet for so many steps on the part of the training data that is not held out."""
        bench, size = self.bench, self.bench.start.size
        torch.manual_seed(bench.place.seed)  # of what the seed does not have
        train = bench.loader(bench.parts.rest, size, train=True)
        supernet = make_supernet(
            self.space, bench.seed, importance(bench.seed, bench.losses(bench.seed, size, WEIGHED))
        )
        recipe = replace(plain(bench.recipe), warmup_epochs=0.1)
        parts = bench.preprocess(size), Some(train, steps), bench.loader(bench.parts.holdout, size)
        return SandwichTrainer(self.space, supernet, recipe, bench.place, *parts)

    def judge(self, trainer: SandwichTrainer, known: dict[Choice, Judged], keep: Callable[[Judged], None]) -> Judge:
        """What judges choices of a trained supernet, on the held-out pictures."""
        goal = Goal(self.journal.ask.latency_ms, self.journal.ask.exponent)
        return Judge(self.space, goal, self._guess, self.predict, lambda c: self.score(trainer, c), known, keep)

    def predict(self, choice: Choice) -> float:
        """Predicted milliseconds.

        Of the smallest network at most the budget: that it is not out of reach was measured before the search began,
        and a prediction does not know better.
        """
        (ms,) = self.latency.predict([candidate(self.space, choice)])
        return min(ms, self.journal.ask.latency_ms) if choice == self.space.smallest else ms

    def score(self, trainer: SandwichTrainer, choice: Choice) -> Score:
        """The score of a choice as it stands in the averaged supernet, statistics recalibrated."""
        return Score(**self.bench.judge(self.network(trainer, choice), choice.size, self.bench.parts.holdout))

    def network(self, trainer: SandwichTrainer, choice: Choice) -> MobileNet:
        """The network of a choice by itself, with BatchNorm statistics of its own."""
        bench = self.bench
        supernet = trainer.ema.model
        assert isinstance(supernet, MobileNet)
        model = Subnet(self.space, supernet, choice).extract()
        train = bench.loader(bench.parts.rest, choice.size, train=True)
        recalibrate(model, bench.recipe, bench.place, bench.preprocess(choice.size), train)
        return model

    def _plan(self, deadline: float) -> dict[str, float]:
        """Steps of the supernet and evaluations that fit into the time there is, from a measurement of both."""
        ask = self.journal.ask
        if ask.tune is not None and ask.evaluations is not None:
            return {"supernet": ask.tune, "evaluations": ask.evaluations}
        trial = self.trainer(4)
        steps = trial.steps()
        next(steps)  # primitives are created and cached
        step_s = seconds_each(steps)
        rng = np.random.default_rng(ask.seed)
        judge = self.judge(trial, {}, lambda judged: None)
        choice = judge.within(self.space.sample(rng), rng)
        score_s = seconds_each(self.score(trial, choice) for _ in range(1))
        left = SEARCHING * (deadline - time.monotonic())
        fits = np.clip((1 - TRAINING) * left / score_s, FEWEST_EVALUATIONS, MOST_EVALUATIONS)
        return {
            "supernet": ask.tune if ask.tune is not None else max(MIN_STEPS, int(TRAINING * left / step_s)),
            "evaluations": ask.evaluations if ask.evaluations is not None else int(fits),
        }

    def _accept(self, trainer: SandwichTrainer, judge: Judge, found: Sequence[Judged]) -> None:
        """Measure the best whole until one fits, and leave that as the last step."""
        journal = self.journal
        measured = []
        for judged in sorted(found, key=judge.rank, reverse=True):
            (ms,) = self.latency.table.networks_ms([candidate(self.space, judged.choice)])
            measured.append((judged, ms))
            if judge.goal.allows(ms):
                break
        else:
            raise UserError(
                f"--latency {judge.goal.budget_ms:g}ms: all {len(measured)} networks, predicted to be within it, "
                f"measure {min(ms for _, ms in measured):.3g} ms and more; ask for a little more"
            )
        # The winner is the last: what the search leaves is the network of its last step.
        journal.steps = [{**_row(judged), "latency_ms": ms} for judged, ms in measured]
        winner = measured[-1][0]
        model = self.network(trainer, winner.choice)
        path = journal.network_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_network(path, model, self.bench.card_of(model, winner.choice.size, asdict(winner.score)))


class _Stopped(Exception):
    """The search was asked to stop; what was judged is kept."""


def _line(space: Space, latency: LatencyModel, candidates: Sequence[Candidate]) -> Callable[[Choice], float]:
    """A latency guessed from multiply-adds alone, by a line through predictions: it costs no measurement."""
    macs = np.array([total(c.net, c.size)[1] for c in candidates], float)
    ms = np.array(latency.predict(candidates))
    slope, intercept = relative_fit([macs, np.ones_like(macs)], ms)
    return lambda choice: float(slope * total(space.net(choice), choice.size)[1] + intercept)


def _row(judged: Judged) -> dict[str, Any]:
    """A judged network as the journal keeps it."""
    choice = judged.choice
    return {
        "what": told(choice),
        "genes": list(choice.genes),
        "predicted_ms": judged.ms,
        **asdict(judged.score),
    }


def _judged(row: dict[str, Any]) -> Judged:
    """The inverse of `_row`."""
    score = Score(**{field.name: row[field.name] for field in fields(Score)})
    return Judged(Choice.of(row["genes"]), row["predicted_ms"], score)


def told(choice: Choice) -> str:
    """A choice in words."""
    stages = (f"{s.depth}×k{s.kernel} e{s.expand} w{s.width:g}{' SE' if s.se else ''}" for s in choice.stages)
    return f"{choice.size} px; {', '.join(stages)}"
