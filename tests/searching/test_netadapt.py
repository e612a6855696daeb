"""NetAdapt: how much fits into the time, and what cuts cost untrained."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.searching.candidate import Candidate
from mobilenets.searching.context import SearchContext
from mobilenets.searching.evaluation import losses
from mobilenets.searching.latency.model import LatencyModel
from mobilenets.searching.netadapt.plan import plan_steps
from mobilenets.searching.netadapt.proposals import INPUT, Proposal, changed
from mobilenets.searching.netadapt.ranking import Ranking
from mobilenets.searching.pruning.groups import channel_cuts, channel_groups
from mobilenets.searching.pruning.reconstruct import PruningStats, collect_stats, prune

Trained = tuple[Path, Path]


def _stats(ctx: SearchContext) -> PruningStats:
    """As if the first channels of a group mattered most."""
    found = collect_stats(ctx.base, losses(ctx, ctx.base, ctx.base_candidate.size, 1))
    return replace(found, scores={name: torch.arange(len(s), 0, -1.0) for name, s in found.scores.items()})


@given(st.floats(0.01, 0.95), st.floats(0.0, 3600), st.floats(1, 60), st.floats(0.1, 10))
def test_steps_and_short_trainings_are_planned_into_the_time(
    to_save: float, left_s: float, fixed_s: float, tuned_s: float
) -> None:
    plan = plan_steps(to_save, left_s, fixed_s, tuned_s)
    share, tune = plan["share"], plan["tune"]
    assert 0.05 <= share <= 0.15 + 1e-9
    assert 4 <= tune <= 300
    steps = math.ceil(to_save / share - 1e-9)
    takes_s = steps * (fixed_s + tune * tuned_s)
    if takes_s > left_s * (1 + 1e-9):  # there is no time even for the least
        assert (steps, tune) == (math.ceil(to_save / 0.15 - 1e-9), 4)
    if takes_s < left_s / 2:  # there is time enough
        assert (share, tune) == (0.05, 300)


def test_channels_that_do_nothing_are_the_cheapest_to_cut(unsure: SearchContext, counted: LatencyModel) -> None:
    ctx = unsure
    model, plan = ctx.base, channel_groups(ctx.base.net)
    dead = "blocks.3.exp"
    state = model.state_dict()
    half = plan.sizes[dead] // 2 // 8 * 8
    for writer in plan.by_name[dead].writers:
        state[f"{writer}.norm.weight"][half:] = 0
        state[f"{writer}.norm.bias"][half:] = 0
    stats = _stats(ctx)  # the first ones are kept
    (now,) = counted.predict([ctx.base_candidate])
    names = [dead, "blocks.3.out", "blocks.4.exp", "blocks.1.exp", "last"]
    proposals = [_proposal(ctx.base_candidate, name, plan.sizes[name] // 2 // 8 * 8, counted) for name in names]
    proposals.append(_proposal(ctx.base_candidate, INPUT, 40, counted))
    before = {k: v.clone() for k, v in model.state_dict().items() if "num_batches" not in k}
    ranked = Ranking(ctx, model, ctx.base_candidate.size, stats, now)(proposals)
    assert {p.group for p, _ in ranked} == {*names, INPUT}
    cost = {p.group: c for p, c in ranked}
    assert cost[dead] == pytest.approx(0, abs=1e-3), cost
    assert min(names, key=cost.__getitem__) == dead, cost
    for name, tensor in before.items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def _proposal(seed: Candidate, group: str, after: int, latency: LatencyModel) -> Proposal:
    candidate = changed(seed, group, after)
    assert candidate is not None
    before = seed.size if group == INPUT else channel_groups(seed.net).sizes[group]
    return Proposal(group, before, after, candidate, latency.predict([candidate])[0])


def test_ranking_from_the_middle_is_ranking_the_whole_network(unsure: SearchContext, counted: LatencyModel) -> None:
    """The maps before a cut are reused; the answers must be those of the network run from its input."""
    ctx = unsure
    plan = channel_groups(ctx.base.net)
    stats = _stats(ctx)
    (now,) = counted.predict([ctx.base_candidate])
    proposal = _proposal(ctx.base_candidate, "blocks.4.exp", plan.sizes["blocks.4.exp"] // 2 // 8 * 8, counted)
    ((_, cost),) = Ranking(ctx, ctx.base, ctx.base_candidate.size, stats, now)([proposal])
    answers = []
    for network in (ctx.base, prune(ctx.base, channel_cuts(ctx.base.net, proposal.candidate.net), stats)):
        network.eval()
        loader = ctx.loader(ctx.splits.holdout.spread(128), ctx.base_candidate.size)
        (batch,) = loader.epoch(0)
        with torch.no_grad():
            logits = network(torch.from_numpy(loader.preprocess.normalize(batch.pixels)))
        answers.append(logits.softmax(1).double().numpy())
    parent, child = answers
    apart = (parent * np.log(parent / child)).sum(1).mean()
    assert cost == pytest.approx(apart / (now - proposal.predicted_ms), rel=1e-2)
