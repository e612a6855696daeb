"""NetAdapt as MobileNetV3 used it: many small cuts, each the cheapest in accuracy that saves its milliseconds.

1804.03230, Algorithm 1; 1905.02244, §4.2. What differs, and why: proposals are ranked without training before the
best few are tuned (tuning all takes hours where this takes minutes); the size of the input is a proposal too (the
same latency is often better spent on fewer pixels); and so is a little of every layer, since one alone must lose most
of its channels before it saves a step.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from mobilenets.errors import UsageError
from mobilenets.nn.io import write_network
from mobilenets.nn.model import MobileNet
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.context import SearchContext
from mobilenets.searching.evaluation import Score, losses, score, short_trainer
from mobilenets.searching.latency.model import LatencyModel
from mobilenets.searching.netadapt.plan import (
    NUM_FINALISTS,
    TUNING_LR_FACTOR,
    fraction_to_save,
    num_steps,
    plan_search,
)
from mobilenets.searching.netadapt.proposals import (
    ALL_GROUPS,
    INPUT,
    Proposal,
    find_min_sizes,
    global_cut_path,
    input_sizes,
    min_accuracy_lost,
    propose_step,
    size_of,
    smallest,
    unit_cuts,
)
from mobilenets.searching.netadapt.ranking import Ranking
from mobilenets.searching.pruning.groups import channel_cuts, channel_groups
from mobilenets.searching.pruning.reconstruct import PruningStats, collect_stats, prune
from mobilenets.searching.state import SearchState
from mobilenets.system.progress import Progress
from mobilenets.training.interrupt import Interrupt

NUM_IMPORTANCE_BATCHES = 4  # batches that tell which channels matter
ALL_SIZES_LR_FACTOR = 0.3  # of the run's learning rate

Pick = Callable[[list[tuple[Proposal, float]]], list[Proposal]]


@dataclass(frozen=True)
class Tuned:
    """A finalist, measured whole, after its short training."""

    proposal: Proposal
    latency_ms: float
    model: MobileNet
    score: Score


def pick_best(ranked: list[tuple[Proposal, float]]) -> list[Proposal]:
    """The proposals to be tuned, of all with their cost: a smaller image, all groups, and the cheapest of one group.

    What a cut costs untrained tells proposals of one kind apart; between kinds short training decides.
    """
    cheapest = sorted(ranked, key=lambda pair: (pair[0].group not in (INPUT, ALL_GROUPS), pair[1]))
    return [proposal for proposal, _ in cheapest[:NUM_FINALISTS]]


class NetAdapt:
    """The steps from the base network down to the budget; `pick` chooses whom to tune."""

    def __init__(self, ctx: SearchContext, latency: LatencyModel, state: SearchState, pick: Pick = pick_best) -> None:
        self.ctx, self.latency, self.state, self.pick = ctx, latency, state, pick
        self._min_sizes = find_min_sizes(ctx.base_candidate)
        found = state.network()
        self.model, size = found or (copy.deepcopy(ctx.base), ctx.base_candidate.size)
        self.candidate = Candidate(self.model.net, size)
        self.latency_ms = state.steps[-1]["latency_ms"] if state.steps else state.base["latency_ms"]

    @property
    def budget_ms(self) -> float:
        """What was asked for."""
        return self.state.config.latency_ms

    def run(self, interrupt: Interrupt, deadline: float) -> bool:
        """Step until the budget is met; False when interrupted. `deadline`: of `time.monotonic()`."""
        if not self.state.plan:
            self.state.plan = plan_search(self.ctx, self.state, len(self._min_sizes), deadline)
            self.state.save()
        if self.state.network() is None and not self._see_all_sizes(interrupt):
            return False
        total = num_steps(fraction_to_save(self.state), self.state.plan["share"])
        with Progress("search", total, "step", initial=min(len(self.state.steps), total)) as progress:
            while self.latency_ms > self.budget_ms:
                if not self._step(interrupt):
                    return False
                last = self.state.steps[-1]
                progress.advance(1, ms=last["latency_ms"], holdout=last["accuracy"], cut=last["what"])
        return True

    def _see_all_sizes(self, interrupt: Interrupt) -> bool:
        """Get the base network used to smaller images; False when interrupted before that.

        It has not seen any: as it stands, a smaller one looks far worse than it is after a training.
        """
        state, ctx, size = self.state, self.ctx, self.candidate.size
        batches = int(state.plan["all_sizes"])
        trainer = short_trainer(ctx, self.model, input_sizes(ctx.base_candidate), ALL_SIZES_LR_FACTOR, batches)
        with Progress("all sizes", batches, "batch") as progress:
            for loss, _ in trainer.steps():
                if interrupt.requested:
                    return False
                progress.advance(1, loss=loss)
        self.model = trainer.model
        found = score(ctx, self.model, size, ctx.splits.holdout)
        state.base["holdout"] = found.expected_accuracy
        state.save()
        write_network(state.network_file(), self.model, ctx.card_of(self.model, size, asdict(found)))
        return True

    def _step(self, interrupt: Interrupt) -> bool:
        """Accept one proposal; False when interrupted before that."""
        state = self.state
        begin = NUM_IMPORTANCE_BATCHES * len(state.steps)
        stats = collect_stats(
            self.model, losses(self.ctx, self.model, self.candidate.size, NUM_IMPORTANCE_BATCHES, begin)
        )
        ranking = Ranking(self.ctx, self.model, self.candidate.size, stats, self.latency_ms)
        proposals = self._proposals(ranking)
        picked = self.pick(ranking(proposals))
        measured = self.latency.table.networks_ms([proposal.candidate for proposal in picked])
        tuned = []
        for proposal, ms in zip(picked, measured, strict=True):
            if interrupt.requested:
                return False
            tuned.append(self._tuned(proposal, ms, stats))
        before = state.steps[-1]["expected_accuracy"] if state.steps else state.base["holdout"]
        # What is saved beyond the budget is worth nothing.
        saved = [self.latency_ms - max(t.latency_ms, self.budget_ms) for t in tuned]
        options = [(t.score.expected_accuracy, ms) for t, ms in zip(tuned, saved, strict=True)]
        self._accept(tuned[min_accuracy_lost(before, options)], len(proposals), tuned)
        return True

    def _proposals(self, ranking: Ranking) -> list[Proposal]:
        """What would save a step."""
        # Predictions of neighbours are off in the same way: they count relative to what was measured here.
        (predicted,) = self.latency.predict([self.candidate])
        latency = replace(self.latency, scale=self.latency.scale * self.latency_ms / predicted)
        ranked_cuts = ranking(unit_cuts(self.candidate, self._min_sizes, latency))
        everywhere = global_cut_path(self.candidate, self._min_sizes, ranked_cuts)
        saving = self.state.plan["share"] * self.state.base["latency_ms"]
        found = propose_step(
            self.candidate, self._min_sizes, everywhere, latency, self.latency_ms, saving, self.budget_ms
        )
        end = smallest(self.ctx.base_candidate)
        if not found and self.candidate != end and _is_cut_of(end, self.candidate):
            # The smallest is not out of reach: that was measured before the search began. Where the table sees nothing
            # to save on the way, it is noise that it sees.
            before, after = (size_of(c, ALL_GROUPS) for c in (self.candidate, end))
            return [Proposal(ALL_GROUPS, before, after, end, min(self.budget_ms, predicted))]
        if not found:
            raise UsageError(
                f"--latency {self.budget_ms:g}ms: cannot be reached from {self.ctx.run}; "
                f"the search ends at {self.latency_ms:.3g} ms, and nothing is left to cut"
            )
        return found

    def _tuned(self, proposal: Proposal, latency_ms: float, stats: PruningStats) -> Tuned:
        """A proposal carried out, trained briefly and scored."""
        ctx, size, batches = self.ctx, proposal.candidate.size, int(self.state.plan["tune"])
        network = prune(self.model, channel_cuts(self.model.net, proposal.candidate.net), stats)
        trainer = short_trainer(ctx, network, [size], TUNING_LR_FACTOR, batches, batches * len(self.state.steps))
        for _ in trainer.steps():
            pass
        return Tuned(proposal, latency_ms, trainer.model, score(ctx, trainer.model, size, ctx.splits.holdout))

    def _accept(self, chosen: Tuned, proposals: int, tuned: list[Tuned]) -> None:
        """Go on from it; write it and how it came about."""
        state = self.state
        self.model, self.candidate, self.latency_ms = chosen.model, chosen.proposal.candidate, chosen.latency_ms
        path = state.network_file(len(state.steps) + 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_network(path, self.model, self.ctx.card_of(self.model, self.candidate.size, asdict(chosen.score)))
        group, before = chosen.proposal.group, chosen.proposal.before
        step = {"space": group, "before": before, **_record(chosen), "proposals": proposals}
        state.steps.append({**step, "tuned": [_record(t) for t in tuned]})
        state.save()
        state.network_file(len(state.steps) - 1).unlink(missing_ok=True)


def _is_cut_of(narrow: Candidate, wide: Candidate) -> bool:
    wide_sizes = channel_groups(wide.net).sizes
    return narrow.size <= wide.size and all(
        n <= wide_sizes[name] for name, n in channel_groups(narrow.net).sizes.items()
    )


def _record(tuned: Tuned) -> dict[str, Any]:
    """What search.json says of a finalist."""
    proposal = tuned.proposal
    return {
        "what": proposal.describe(),
        "after": proposal.after,
        "predicted_ms": proposal.predicted_ms,
        "latency_ms": tuned.latency_ms,
        **asdict(tuned.score),
    }
