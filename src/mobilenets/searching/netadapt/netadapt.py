"""NetAdapt as MobileNetV3 used it: many small cuts, each the cheapest in accuracy that saves its milliseconds.

1804.03230, Algorithm 1; 1905.02244, §4.2. What differs, and why: proposals are ranked without training before the
best few are tuned (tuning all takes hours where this takes minutes); the size of the input is a proposal too (the
same latency is often better spent on fewer pixels); and so is a little of every layer, since one alone must lose most
of its channels before it saves a step.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mobilenets.errors import UserError
from mobilenets.nn.io import write_network
from mobilenets.nn.model import MobileNet
from mobilenets.searching.context import Workbench
from mobilenets.searching.distill import Distiller, Figures, Some, short
from mobilenets.searching.final_finetune import EVALUATION_FRACTION, TIMED
from mobilenets.searching.latency.table import Candidate, LatencyModel
from mobilenets.searching.netadapt.proposals import (
    EVERYWHERE,
    INPUT,
    Proposal,
    floors,
    least_lost,
    narrower,
    notches,
    number_of,
    propose_step,
    sizes,
    smallest,
)
from mobilenets.searching.netadapt.ranking import RANKED, Ranking
from mobilenets.searching.pruning.groups import fewer, layout
from mobilenets.searching.pruning.reconstruct import Weighed, cut, weigh
from mobilenets.searching.state import Journal
from mobilenets.system.progress import Progress
from mobilenets.system.timing import seconds_each
from mobilenets.training.interrupt import Interrupt

# Saved by each step, of the seed's latency; NetAdapt's code has 0.025, V3 0.01, both with far longer tuning.
SHARE = 0.05
COARSEST = 3 * SHARE  # where there is no time for more steps
FINALISTS = 3  # proposals that are tuned
WEIGHED = 4  # batches that tell which channels matter
SIZES_EPOCHS, MOST_SIZES = 2, 300  # epochs of pictures of all sizes, before the first step; batches at most
SIZES_SHARE = 0.15  # of the time of the search, at most
SIZES_LR = 0.3  # of the run's learning rate
TUNING_LR = 0.1  # of the run's learning rate: a few batches at the whole of it only disturb a trained network
SEARCHING = 0.5  # of the time; the rest is the training at the end
FEWEST_TUNED, MOST_TUNED = 4, 300  # batches per finalist
MEASURING_S = 6.0  # of a step: the finalists, and blocks of proposals that no one has timed

Pick = Callable[[list[tuple[Proposal, float]]], list[Proposal]]


@dataclass(frozen=True)
class Tuned:
    """A finalist, measured whole, after its short training."""

    proposal: Proposal
    latency_ms: float
    model: MobileNet
    figures: Figures


def planned(to_save: float, left_s: float, fixed_s: float, tuned_s: float) -> dict[str, float]:
    """What fits into `left_s` seconds: `share` of the seed's latency that a step saves, `tune` batches per finalist.

    `to_save`: from the seed to the budget, as a share of the seed's latency. A step takes `fixed_s`, and `tuned_s` per
    batch. Where there is no time for steps of `SHARE`, fewer and longer ones are planned, of at most `COARSEST`.
    """
    fits = int(left_s / (fixed_s + FEWEST_TUNED * tuned_s))
    steps = min(_steps(to_save, SHARE), max(fits, _steps(to_save, COARSEST)))
    tune = int(np.clip((left_s / steps - fixed_s) / tuned_s, FEWEST_TUNED, MOST_TUNED))
    return {"share": max(SHARE, to_save / steps), "tune": tune}


def _steps(to_save: float, share: float) -> int:
    return max(1, math.ceil(to_save / share - 1e-9))  # three thirds are three steps


def best_ranked(ranked: list[tuple[Proposal, float]]) -> list[Proposal]:
    """The proposals to be tuned, of all with their cost: a smaller picture, all spaces, and the cheapest of one space.

    What a cut costs untrained tells proposals of one kind apart; between kinds short training decides.
    """
    cheapest = sorted(ranked, key=lambda pair: (pair[0].space not in (INPUT, EVERYWHERE), pair[1]))
    return [proposal for proposal, _ in cheapest[:FINALISTS]]


class NetAdapt:
    """The steps from the seed down to the budget; `pick` chooses whom to tune."""

    def __init__(self, bench: Workbench, latency: LatencyModel, journal: Journal, pick: Pick = best_ranked) -> None:
        self.bench, self.latency, self.journal, self.pick = bench, latency, journal, pick
        self._floors = floors(bench.start)
        found = journal.network()
        self.model, size = found or (copy.deepcopy(bench.seed), bench.start.size)
        self.candidate = Candidate(self.model.net, size)
        self.latency_ms = journal.steps[-1]["latency_ms"] if journal.steps else journal.seed["latency_ms"]

    @property
    def budget_ms(self) -> float:
        """What was asked for."""
        return self.journal.ask.latency_ms

    def run(self, interrupt: Interrupt, deadline: float) -> bool:
        """Step until the budget is met; False when interrupted. `deadline`: of `time.monotonic()`."""
        if not self.journal.plan:
            self.journal.plan = self._plan(deadline)
            self.journal.save()
        if self.journal.network() is None and not self._see_all_sizes(interrupt):
            return False
        total = _steps(self._to_save, self.journal.plan["share"])
        with Progress("search", total, "step", initial=min(len(self.journal.steps), total)) as progress:
            while self.latency_ms > self.budget_ms:
                if not self._step(interrupt):
                    return False
                last = self.journal.steps[-1]
                progress.advance(1, ms=last["latency_ms"], holdout=last["accuracy"], cut=last["what"])
        return True

    @property
    def _to_save(self) -> float:
        """From the seed to the budget, as a share of the seed's latency."""
        return 1 - self.budget_ms / self.journal.seed["latency_ms"]

    def _plan(self, deadline: float) -> dict[str, float]:
        """What fits into the time there is, from a measurement: see `planned`."""
        bench = self.bench
        epoch = len(bench.loader(bench.parts.rest, self.candidate.size, train=True))
        all_sizes = min(SIZES_EPOCHS * epoch, MOST_SIZES)
        if self.journal.ask.tune is not None:
            return {"tune": self.journal.ask.tune, "share": SHARE, "all_sizes": all_sizes}
        trial = self._tuner(copy.deepcopy(self.model), [self.candidate.size], TUNING_LR, 1 + TIMED)
        trial_steps = trial.steps()
        next(trial_steps)  # primitives are created and cached
        batch_s = seconds_each(trial_steps)
        image_s = batch_s * EVALUATION_FRACTION / bench.recipe.batch_size
        smaller = (1 + self.budget_ms / self.journal.seed["latency_ms"]) / 2  # the networks become, on the way
        ranking = 2 * len(self._floors) / 2 * RANKED  # half of a network, on average, for each notch and each proposal
        judging = FINALISTS * len(bench.parts.holdout)
        fixed_s = (ranking + judging) * image_s * smaller + MEASURING_S
        tuned_s = FINALISTS * batch_s * smaller  # a batch of each finalist
        left_s = SEARCHING * (deadline - time.monotonic())
        all_sizes = int(np.clip(SIZES_SHARE * left_s / batch_s, FEWEST_TUNED, all_sizes))
        return {**planned(self._to_save, left_s - all_sizes * batch_s, fixed_s, tuned_s), "all_sizes": all_sizes}

    def _see_all_sizes(self, interrupt: Interrupt) -> bool:
        """Get the seed used to smaller pictures; False when interrupted before that.

        It has not seen any: as it stands, a smaller one looks far worse than it is after a training.
        """
        journal, bench, size = self.journal, self.bench, self.candidate.size
        batches = int(journal.plan["all_sizes"])
        tuner = self._tuner(self.model, sizes(bench.start), SIZES_LR, batches)
        with Progress("all sizes", batches, "batch") as progress:
            for loss, _ in tuner.steps():
                if interrupt.requested:
                    return False
                progress.advance(1, loss=loss)
        self.model = tuner.model
        figures = bench.judge(self.model, size, bench.parts.holdout)
        journal.seed["holdout"] = figures["expected_accuracy"]
        journal.save()
        write_network(journal.network_file(), self.model, bench.card_of(self.model, size, figures))
        return True

    def _step(self, interrupt: Interrupt) -> bool:
        """Accept one proposal; False when interrupted before that."""
        journal = self.journal
        begin = WEIGHED * len(journal.steps)
        weighed = weigh(self.model, self.bench.losses(self.model, self.candidate.size, WEIGHED, begin))
        ranking = Ranking(self.bench, self.model, self.candidate.size, weighed, self.latency_ms)
        proposals = self._proposals(ranking)
        picked = self.pick(ranking(proposals))
        measured = self.latency.table.networks_ms([proposal.candidate for proposal in picked])
        tuned = []
        for proposal, ms in zip(picked, measured, strict=True):
            if interrupt.requested:
                return False
            tuned.append(self._tuned(proposal, ms, weighed))
        before = journal.steps[-1]["expected_accuracy"] if journal.steps else journal.seed["holdout"]
        # What is saved beyond the budget is worth nothing.
        saved = [self.latency_ms - max(t.latency_ms, self.budget_ms) for t in tuned]
        options = [(t.figures["expected_accuracy"], ms) for t, ms in zip(tuned, saved, strict=True)]
        self._accept(tuned[least_lost(before, options)], len(proposals), tuned)
        return True

    def _proposals(self, ranking: Ranking) -> list[Proposal]:
        """What would save a step."""
        # Predictions of neighbours are off in the same way: they count relative to what was measured here.
        (predicted,) = self.latency.predict([self.candidate])
        latency = replace(self.latency, scale=self.latency.scale * self.latency_ms / predicted)
        judged = ranking(notches(self.candidate, self._floors, latency))
        everywhere = narrower(self.candidate, self._floors, judged)
        saving = self.journal.plan["share"] * self.journal.seed["latency_ms"]
        found = propose_step(self.candidate, self._floors, everywhere, latency, self.latency_ms, saving, self.budget_ms)
        least = smallest(self.bench.start)
        if not found and self.candidate != least and _is_cut_of(least, self.candidate):
            # The smallest is not out of reach: that was measured before the search began. Where the table sees nothing
            # to save on the way, it is noise that it sees.
            before, after = (number_of(c, EVERYWHERE) for c in (self.candidate, least))
            return [Proposal(EVERYWHERE, before, after, least, min(self.budget_ms, predicted))]
        if not found:
            raise UserError(
                f"--latency {self.budget_ms:g}ms: cannot be reached from {self.bench.run}; "
                f"the search ends at {self.latency_ms:.3g} ms, and nothing is left to cut"
            )
        return found

    def _tuned(self, proposal: Proposal, latency_ms: float, weighed: Weighed) -> Tuned:
        size, batches = proposal.candidate.size, int(self.journal.plan["tune"])
        network = cut(self.model, fewer(self.model.net, proposal.candidate.net), weighed)
        tuner = self._tuner(network, [size], TUNING_LR, batches, batches * len(self.journal.steps))
        for _ in tuner.steps():
            pass
        return Tuned(proposal, latency_ms, tuner.model, self.bench.judge(tuner.model, size, self.bench.parts.holdout))

    def _tuner(self, model: MobileNet, sides: list[int], rate: float, batches: int, begin: int = 0) -> Distiller:
        """The short training of `model` at some sizes, on batches from number `begin` on.

        From `rate` times the run's learning rate down to zero.
        """
        bench, size = self.bench, self.bench.start.size
        some = Some(bench.loader(bench.parts.rest, size, train=True), batches, begin)
        recipe, preprocess = short(bench.recipe, rate), bench.preprocess(size)
        return Distiller(model, recipe, bench.place, preprocess, some, some, teacher=bench.seed, sizes=sides)

    def _accept(self, chosen: Tuned, proposals: int, tuned: list[Tuned]) -> None:
        """Go on from it; write it and how it came about."""
        journal = self.journal
        self.model, self.candidate, self.latency_ms = chosen.model, chosen.proposal.candidate, chosen.latency_ms
        path = journal.network_file(len(journal.steps) + 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_network(path, self.model, self.bench.card_of(self.model, self.candidate.size, chosen.figures))
        space, before = chosen.proposal.space, chosen.proposal.before
        told = {"space": space, "before": before, **_told(chosen), "proposals": proposals}
        journal.steps.append({**told, "tuned": [_told(t) for t in tuned]})
        journal.save()
        journal.network_file(len(journal.steps) - 1).unlink(missing_ok=True)


def _is_cut_of(narrow: Candidate, wide: Candidate) -> bool:
    most = layout(wide.net).sizes
    return narrow.size <= wide.size and all(n <= most[name] for name, n in layout(narrow.net).sizes.items())


def _told(tuned: Tuned) -> dict[str, Any]:
    """What search.json says of a finalist."""
    proposal = tuned.proposal
    return {
        "what": proposal.told(),
        "after": proposal.after,
        "predicted_ms": proposal.predicted_ms,
        "latency_ms": tuned.latency_ms,
        **tuned.figures,
    }
