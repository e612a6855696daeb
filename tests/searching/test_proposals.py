"""What NetAdapt proposes to cut, and which cut it takes."""

import itertools
from pathlib import Path

import pytest

from mobilenets.arch import build
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.latency.model import LatencyModel
from mobilenets.searching.netadapt.netadapt import pick_best
from mobilenets.searching.netadapt.proposals import (
    ALL_GROUPS,
    INPUT,
    Proposal,
    changed,
    cut_options,
    find_min_sizes,
    global_cut_path,
    input_sizes,
    min_accuracy_lost,
    propose,
    propose_step,
    random_candidates,
    smallest,
    unit_cuts,
)
from mobilenets.searching.pruning.groups import channel_groups

Trained = tuple[Path, Path]


def _evenly(seed: Candidate, latency: LatencyModel) -> list[Candidate]:
    """Cuts everywhere, where every millisecond costs the same."""
    return global_cut_path(
        seed, find_min_sizes(seed), [(unit_cut, 1.0) for unit_cut in unit_cuts(seed, find_min_sizes(seed), latency)]
    )


def _proposals(seed: Candidate, latency: LatencyModel, limit_ms: float) -> list[Proposal]:
    return propose(seed, cut_options(seed, find_min_sizes(seed), _evenly(seed, latency)), latency, limit_ms)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v4_conv_medium"])
def test_each_proposal_is_the_mildest_cut_that_saves_enough(name: str, counted: LatencyModel) -> None:
    seed = Candidate(build(name, width=0.5, num_classes=3), 96)
    (now,) = counted.predict([seed])
    limit = 0.97 * now
    found = {p.group: p for p in _proposals(seed, counted, limit)}
    assert {INPUT, ALL_GROUPS} < set(found)
    assert len(found) > 4
    assert found.pop(ALL_GROUPS).predicted_ms <= limit
    for proposal in found.values():
        assert proposal.predicted_ms <= limit
        assert proposal.candidate == changed(seed, proposal.group, proposal.after)
        assert proposal.before > proposal.after >= find_min_sizes(seed)[proposal.group]
        step = 16 if proposal.group == INPUT else 8
        milder = changed(seed, proposal.group, min(proposal.before, proposal.after + step))
        if milder is not None:
            assert counted.predict([milder])[0] > limit, proposal.describe()


def test_a_unit_cut_is_an_eighth_of_a_group_and_saves_something(counted: LatencyModel) -> None:
    seed = Candidate(build("mobilenet_v3_large", num_classes=3), 96)
    (now,) = counted.predict([seed])
    found = unit_cuts(seed, find_min_sizes(seed), counted)
    assert {p.group for p in found} > {"blocks.10.exp", "last", "hidden"}
    for proposal in found:
        assert proposal.predicted_ms < now
        assert proposal.after % 8 == 0
        most = max(16, proposal.before // 8)  # 16: past a number that would mean another network
        assert 1 <= proposal.before - proposal.after <= most, proposal.group


def test_cut_everywhere_each_group_gives_the_more_the_less_it_costs(counted: LatencyModel) -> None:
    seed = Candidate(build("mobilenet_v2", num_classes=3), 96)
    sizes, min_sizes = channel_groups(seed.net).sizes, find_min_sizes(seed)
    dear, cheap, free = "blocks.12.exp", "blocks.11.exp", "last"  # the first two are alike
    cost = {dear: 4.0, cheap: 1.0, free: -1e-9}  # divergences have rounding errors
    path = global_cut_path(seed, min_sizes, [(p, cost.get(p.group, 10.0)) for p in unit_cuts(seed, min_sizes, counted)])
    cut = [channel_groups(c.net).sizes for c in (seed, *path)]
    for before, after in itertools.pairwise(cut):
        (group,) = (name for name in sizes if before[name] != after[name])
        assert 0 < before[group] - after[group] <= max(16, sizes[group] // 8)
    halfway = next(c for c in cut if c[cheap] == sizes[cheap] * 3 / 4)
    assert halfway[free] == sizes[free] * 3 / 4
    assert halfway[dear] == sizes[dear]
    assert cut[-1][dear] == sizes[dear] * 3 / 4
    # No further in one step, but a unit cut of 8 or 16 where a group has few channels.
    for group, now in cut[-1].items():
        assert now >= min(sizes[group] * 3 / 4, sizes[group] - 16), group
    times = counted.predict([seed, *path])
    assert all(a > b for a, b in itertools.pairwise(times))
    assert times[-1] < 0.7 * times[0]
    assert global_cut_path(seed, min_sizes, []) == []


def test_finalists_are_the_best_of_each_kind(counted: LatencyModel) -> None:
    seed = Candidate(build("mobilenet_v2", num_classes=3), 96)
    (now,) = counted.predict([seed])
    ranked = [(p, float(i)) for i, p in enumerate(_proposals(seed, counted, 0.97 * now))]
    ranked[0] = (ranked[0][0], 0.5)
    picked = pick_best(ranked)
    assert [p.group for p in picked] == [INPUT, ALL_GROUPS, ranked[0][0].group]
    single = [pair for pair in ranked if pair[0].group not in (INPUT, ALL_GROUPS)]
    assert pick_best(single) == [p for p, _ in sorted(single, key=lambda pair: pair[1])[:3]]


def test_no_proposal_is_made_where_none_saves_enough(counted: LatencyModel) -> None:
    seed = Candidate(build("mobilenet_v2", num_classes=3), 96)
    assert _proposals(seed, counted, 0.001) == []


def test_where_no_single_cut_saves_a_step_smaller_steps_are_taken(counted: LatencyModel) -> None:
    seed = Candidate(build("mobilenet_v2", width=0.35, num_classes=3), 64)
    now, end = counted.predict([seed, smallest(seed)])
    step = 0.9 * now  # more than any cut of one group saves
    assert _proposals(seed, counted, now - step) == []
    found = propose_step(seed, find_min_sizes(seed), _evenly(seed, counted), counted, now, step, end)
    assert found
    assert all(p.predicted_ms < now for p in found)
    least = smallest(seed)
    assert unit_cuts(least, find_min_sizes(seed), counted) == []
    assert propose_step(least, find_min_sizes(seed), [], counted, end, step, 0.0) == []


def test_the_last_step_aims_at_what_can_be_measured(counted: LatencyModel) -> None:
    seed = Candidate(build("mobilenet_v2", width=0.35, num_classes=3), 64)
    (now,) = counted.predict([seed])
    everywhere = _evenly(seed, counted)
    found = propose_step(seed, find_min_sizes(seed), everywhere, counted, now, 0.05 * now, 0.99999 * now)
    assert found == propose(seed, cut_options(seed, find_min_sizes(seed), everywhere), counted, 0.98 * now)
    assert len(found) > 3


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v4_conv_small"])
def test_the_smallest_network_is_below_all_others_of_the_search(name: str, counted: LatencyModel) -> None:
    seed = Candidate(build(name, num_classes=3), 128)
    (least,) = counted.predict([smallest(seed)])
    others = random_candidates(seed, 12, 0)
    assert all(least < ms <= counted.predict([seed])[0] for ms in counted.predict(others))
    assert channel_groups(smallest(seed).net).rows == channel_groups(seed.net).rows


def test_sizes_are_such_as_halve_without_a_rest_four_times() -> None:
    assert input_sizes(Candidate(build("mobilenet_v2"), 224)) == [224, 208, 192, 176, 160, 144, 128, 112]
    assert input_sizes(Candidate(build("mobilenet_v2"), 100)) == [100, 96, 80, 64, 48]
    assert input_sizes(Candidate(build("mobilenet_v2"), 32)) == [32]


def test_the_least_accuracy_lost_per_millisecond_is_taken() -> None:
    #                       accuracy saved
    assert min_accuracy_lost(0.90, [(0.88, 0.1), (0.86, 0.4), (0.89, 0.05)]) == 1
    assert min_accuracy_lost(0.90, [(0.88, 0.1), (0.80, 0.1)]) == 0
    assert min_accuracy_lost(0.90, [(0.88, 0.1), (0.88, 0.2)]) == 1


def test_where_accuracy_has_risen_the_best_is_taken_and_of_equals_the_one_that_saves_most() -> None:
    assert min_accuracy_lost(0.80, [(0.82, 0.1), (0.81, 0.3)]) == 0
    assert min_accuracy_lost(0.80, [(0.81, 0.01), (0.81, 0.3)]) == 1  # published code takes the first
    assert min_accuracy_lost(0.80, [(0.80, 0.1), (0.79, 0.5)]) == 0


def test_what_saves_nothing_is_taken_only_where_nothing_else_is_left() -> None:
    assert min_accuracy_lost(0.90, [(0.95, -0.1), (0.80, 0.1)]) == 1
    assert min_accuracy_lost(0.90, [(0.80, 0.0), (0.95, -0.1)]) == 1  # what was measured is noise there
