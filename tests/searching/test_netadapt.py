"""NetAdapt: proposals, their ranking, the choice, short training, and a search from end to end."""

import copy
import itertools
import json
import math
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from clockwork import Clockwork
from mobilenets.arch import build
from mobilenets.errors import UserError
from mobilenets.model_card import read_card, read_tensors
from mobilenets.nn.model import MobileNet
from mobilenets.searching.config import SearchConfig
from mobilenets.searching.context import SearchContext
from mobilenets.searching.distill import TEACHER_WEIGHT, Distiller, LimitedLoader, plain
from mobilenets.searching.final_finetune import distiller
from mobilenets.searching.job import resume, search
from mobilenets.searching.latency.table import Candidate, LatencyModel
from mobilenets.searching.netadapt.netadapt import pick_best, plan_steps
from mobilenets.searching.netadapt.proposals import (
    ALL_GROUPS,
    INPUT,
    Proposal,
    changed,
    cut_options,
    find_min_sizes,
    global_cut_path,
    input_sizes,
    least_accuracy_lost,
    propose,
    propose_step,
    random_candidates,
    smallest,
    unit_cuts,
)
from mobilenets.searching.netadapt.ranking import Ranking
from mobilenets.searching.pruning.groups import channel_cuts, channel_groups
from mobilenets.searching.pruning.reconstruct import PruningStats, collect_stats, prune

Trained = tuple[Path, Path]


@pytest.fixture(autouse=True)
def own_cache(latency_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILENETS_HOME", str(latency_home))


def _evenly(seed: Candidate, latency: LatencyModel) -> list[Candidate]:
    """Cuts everywhere, where every millisecond costs the same."""
    return global_cut_path(
        seed, find_min_sizes(seed), [(unit_cut, 1.0) for unit_cut in unit_cuts(seed, find_min_sizes(seed), latency)]
    )


def _proposals(seed: Candidate, latency: LatencyModel, limit_ms: float) -> list[Proposal]:
    return propose(seed, cut_options(seed, find_min_sizes(seed), _evenly(seed, latency)), latency, limit_ms)


def _stats(ctx: SearchContext) -> PruningStats:
    """As if the first channels of a group mattered most."""
    found = collect_stats(ctx.base, ctx.losses(ctx.base, ctx.base_candidate.size, 1))
    return replace(found, scores={name: torch.arange(len(s), 0, -1.0) for name, s in found.scores.items()})


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


def test_expected_accuracy_is_the_mean_probability_of_the_right_class(trained: Trained) -> None:
    ctx = _unsure(trained)
    size, right = ctx.base_candidate.size, []
    for batch in ctx.loader(ctx.parts.holdout, size).epoch(0):
        with torch.no_grad():
            said = ctx.base(ctx.images(batch.pixels, size)).softmax(1).numpy()
        right += [row[label] for row, label in zip(said, batch.labels, strict=True)]
    found = ctx.evaluate(ctx.base, size, ctx.parts.holdout)["expected_accuracy"]
    assert 0.05 < found < 0.95
    assert found == pytest.approx(np.mean(right), abs=1e-6)


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


def test_the_least_accuracy_lost_per_millisecond_is_taken() -> None:
    #                       accuracy saved
    assert least_accuracy_lost(0.90, [(0.88, 0.1), (0.86, 0.4), (0.89, 0.05)]) == 1
    assert least_accuracy_lost(0.90, [(0.88, 0.1), (0.80, 0.1)]) == 0
    assert least_accuracy_lost(0.90, [(0.88, 0.1), (0.88, 0.2)]) == 1


def test_where_accuracy_has_risen_the_best_is_taken_and_of_equals_the_one_that_saves_most() -> None:
    assert least_accuracy_lost(0.80, [(0.82, 0.1), (0.81, 0.3)]) == 0
    assert least_accuracy_lost(0.80, [(0.81, 0.01), (0.81, 0.3)]) == 1  # published code takes the first
    assert least_accuracy_lost(0.80, [(0.80, 0.1), (0.79, 0.5)]) == 0


def test_what_saves_nothing_is_taken_only_where_nothing_else_is_left() -> None:
    assert least_accuracy_lost(0.90, [(0.95, -0.1), (0.80, 0.1)]) == 1
    assert least_accuracy_lost(0.90, [(0.80, 0.0), (0.95, -0.1)]) == 1  # what was measured is noise there


def _unsure(trained: Trained) -> SearchContext:
    """The trained run with logits of about 1: what so little training leaves is too sure or too flat to compare."""
    ctx = SearchContext(*trained)
    model, loader = ctx.base.eval(), ctx.loader(ctx.parts.holdout, ctx.base_candidate.size)
    with torch.no_grad():
        torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(0))
        logits = torch.cat([model(ctx.images(b.pixels, ctx.base_candidate.size)) for b in loader.epoch(0)])
        model.classifier.weight /= logits.std(0).mean()
    return ctx


def test_channels_that_do_nothing_are_the_cheapest_to_cut(trained: Trained, counted: LatencyModel) -> None:
    ctx = _unsure(trained)
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


def test_ranking_from_the_middle_is_ranking_the_whole_network(trained: Trained, counted: LatencyModel) -> None:
    """The maps before a cut are reused; the answers must be those of the network run from its input."""
    ctx = _unsure(trained)
    plan = channel_groups(ctx.base.net)
    stats = _stats(ctx)
    (now,) = counted.predict([ctx.base_candidate])
    proposal = _proposal(ctx.base_candidate, "blocks.4.exp", plan.sizes["blocks.4.exp"] // 2 // 8 * 8, counted)
    ((_, cost),) = Ranking(ctx, ctx.base, ctx.base_candidate.size, stats, now)([proposal])
    answers = []
    for network in (ctx.base, prune(ctx.base, channel_cuts(ctx.base.net, proposal.candidate.net), stats)):
        network.eval()
        loader = ctx.loader(ctx.parts.holdout.spread(128), ctx.base_candidate.size)
        (batch,) = loader.epoch(0)
        with torch.no_grad():
            logits = network(torch.from_numpy(loader.preprocess.normalize(batch.pixels)))
        answers.append(logits.softmax(1).double().numpy())
    parent, child = answers
    apart = (parent * np.log(parent / child)).sum(1).mean()
    assert cost == pytest.approx(apart / (now - proposal.predicted_ms), rel=1e-2)


def test_distillation_leaves_batch_norm_statistics_as_they_are(trained: Trained) -> None:
    ctx = SearchContext(*trained)
    model, loader = copy.deepcopy(ctx.base), ctx.loader(ctx.parts.rest, 48, train=True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    compute, preprocess = ctx.compute, ctx.preprocess(32)
    tuner = Distiller(model, ctx.recipe, compute, preprocess, loader, loader, teacher=ctx.base, sizes=[32])
    assert len(list(tuner.steps())) == len(loader)
    for name, tensor in model.state_dict().items():
        statistic = "running" in name or "num_batches" in name
        assert torch.equal(tensor, before[name]) == statistic, name


def test_the_teacher_sees_what_it_knows_and_the_student_all_sizes(trained: Trained) -> None:
    ctx = SearchContext(*trained)
    some = LimitedLoader(ctx.loader(ctx.parts.rest, 48, train=True), 24)
    model, teacher = copy.deepcopy(ctx.base), copy.deepcopy(ctx.base)
    shown: dict[str, list[int]] = {"model": [], "teacher": []}
    for name, network in (("model", model), ("teacher", teacher)):
        network.register_forward_pre_hook(lambda _, args, name=name: shown[name].append(args[0].shape[-1]))
    parts = model, ctx.recipe, ctx.compute, ctx.preprocess(48), some, some
    assert len(list(Distiller(*parts, teacher=teacher, sizes=[48, 40, 32]).steps())) == 24
    assert set(shown["model"]) == {32, 40, 48}
    assert set(shown["teacher"]) == {48}


def test_sizes_are_such_as_halve_without_a_rest_four_times() -> None:
    assert input_sizes(Candidate(build("mobilenet_v2"), 224)) == [224, 208, 192, 176, 160, 144, 128, 112]
    assert input_sizes(Candidate(build("mobilenet_v2"), 100)) == [100, 96, 80, 64, 48]
    assert input_sizes(Candidate(build("mobilenet_v2"), 32)) == [32]


def test_short_trainings_walk_through_the_epochs_of_their_loader(trained: Trained) -> None:
    ctx = SearchContext(*trained)
    loader = ctx.loader(ctx.parts.rest, 32, train=True)
    whole = [b.indices.tolist() for e in range(4) for b in loader.epoch(e)]
    assert [b.indices.tolist() for b in LimitedLoader(loader, 7, 2).epoch(0)] == whole[2:9]
    assert [b.indices.tolist() for b in LimitedLoader(loader, 3).epoch(1, 1)] == whole[4:6]


def test_the_students_loss_is_half_the_labels_and_half_the_teacher(trained: Trained) -> None:
    ctx = SearchContext(*trained)
    ctx.recipe = replace(ctx.recipe, label_smoothing=0.0)
    trainer = distiller(ctx, MobileNet(ctx.base.net), 96, epochs=1)
    images, targets = torch.randn(4, 3, 96, 96), F.one_hot(torch.tensor([0, 1, 1, 0]), 2).float()
    logits = torch.randn(4, 2)
    with torch.no_grad():
        said = ctx.base.eval()(images).softmax(1)
    expected = (1 - TEACHER_WEIGHT) * F.cross_entropy(logits, targets) + TEACHER_WEIGHT * F.cross_entropy(logits, said)
    assert trainer.loss(images, logits, targets) == pytest.approx(float(expected), rel=1e-5)


def test_photographs_that_changed_are_told_and_left_out(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = shutil.copytree(trained[1], tmp_path / "photos")
    broken = next(iter(SearchContext(trained[0], photos).parts.train)).path
    broken.write_bytes(b"no picture")
    parts = SearchContext(trained[0], photos).parts
    assert f"1 photograph is changed and left out: {broken.relative_to(photos)}" in capsys.readouterr().err
    assert len(parts.train) == len(SearchContext(*trained).parts.train) - 1
    for photo in (photos / "rose").iterdir():
        photo.write_bytes(b"no picture")
    with pytest.raises(UserError, match="no training photograph of rose is left"):
        search(SearchConfig(str(photos), str(trained[0]), 0.9 * _latency_ms(trained)), tmp_path / "out", Clockwork())
    assert not (tmp_path / "out").exists()


def _latency_ms(trained: Trained) -> float:
    nothing = search(SearchConfig(str(trained[1]), str(trained[0]), 1e6), timer=Clockwork())
    return float(nothing.summary["seed_latency_ms"])


def test_the_held_out_part_is_of_the_training_part(trained: Trained) -> None:
    parts = SearchContext(*trained).parts
    paths = {name: {s.path for s in getattr(parts, name)} for name in ("train", "rest", "holdout", "val")}
    assert paths["rest"] | paths["holdout"] == paths["train"]
    assert not paths["rest"] & paths["holdout"]
    assert not paths["val"] & paths["train"]


def test_a_search_gives_an_ordinary_run_within_the_budget(searched: Path, trained: Trained) -> None:
    summary = json.loads((searched / "search.json").read_text())
    assert {
        "engine", "threads", "seed_latency_ms", "budget_ms", "latency_ms", "predicted_ms", "seed_accuracy", "accuracy",
        "steps",
    } <= set(summary)  # fmt: skip
    assert summary["latency_ms"] <= summary["budget_ms"] < summary["seed_latency_ms"]
    assert summary["accuracy"] == json.loads((searched / "metrics.json").read_text())["accuracy"]
    assert summary["steps"][-1]["latency_ms"] == summary["latency_ms"]
    for step in summary["steps"]:
        assert step["after"] < step["before"]
        assert 1 <= len(step["tuned"]) <= 3
    for file in (
        "model.onnx",
        "model.safetensors",
        "card.json",
        "class_indices.json",
        "report.html",
        "history.csv",
        "config.yaml",
    ):
        assert (searched / file).exists(), file
    assert (searched / "data.csv").read_bytes() == (trained[0] / "data.csv").read_bytes()
    seed, card = read_card(trained[0]), read_card(searched)
    assert card.classes == seed.classes
    assert card.net != seed.net or card.preprocess.size < seed.preprocess.size
    assert channel_groups(card.net).rows == channel_groups(seed.net).rows
    assert {k: v.shape for k, v in read_tensors(searched / "model.safetensors").items()} == {
        k: tuple(v.shape) for k, v in MobileNet(card.net).state_dict().items()
    }


def test_what_was_found_is_taken_up_again_with_the_data_and_the_split_of_its_seed(
    searched: Path, trained: Trained
) -> None:
    seed, again = SearchContext(*trained), SearchContext(searched, trained[1])
    for name in ("train", "rest", "holdout", "val"):
        assert list(getattr(again.parts, name)) == list(getattr(seed.parts, name)), name
    assert again.base_candidate == Candidate(read_card(searched).net, read_card(searched).preprocess.size)
    assert again.recipe == plain(seed.recipe, epochs=3)


def test_the_training_at_the_end_takes_three_tenths_of_the_runs_rate(trained: Trained) -> None:
    ctx = SearchContext(*trained)
    trainer, rates = distiller(ctx, copy.deepcopy(ctx.base), ctx.base_candidate.size, 3), []
    for trainer.state.epoch in range(3):
        trainer.state.batch = 0
        rates += [trainer.optimizer.param_groups[0]["lr"] for _ in trainer.steps()]
    assert max(rates) == pytest.approx(0.3 * ctx.recipe.lr, rel=0.05)


def test_the_page_tells_the_path_and_loads_nothing(searched: Path) -> None:
    page = (searched / "search.html").read_text(encoding="utf-8")
    for text in ("The path", "What was cut where", "Step by step", "predicted ms", "<svg"):
        assert text in page
    assert SearchConfig(**json.loads((searched / "search.json").read_text())["asked"]).command() in unescape(page)
    assert "http" not in page
    assert "<script" not in page


def test_create_loads_what_was_found(searched: Path) -> None:
    import mobilenets as mn

    model = mn.create("mobilenet_v2", weights=searched / "model.safetensors")
    assert model.net == read_card(searched).net
    assert model.provenance["classifier"] == "pretrained"


def test_the_same_search_gives_the_same_weights(searched: Path, tmp_path: Path) -> None:
    """Latencies come from the table, everything else from the seed."""
    config = SearchConfig(**json.loads((searched / "search.json").read_text())["asked"])
    search(config, tmp_path / "again", Clockwork())
    first, second = (read_tensors(f / "model.safetensors") for f in (searched, tmp_path / "again"))
    for name, tensor in first.items():
        np.testing.assert_array_equal(tensor, second[name], err_msg=name)


def test_a_budget_out_of_reach_says_the_smallest_possible(trained: Trained, tmp_path: Path) -> None:
    run, data = trained
    with pytest.raises(UserError, match=r"out of reach of .*; the smallest possible is 0\.\d+ ms"):
        search(SearchConfig(str(data), str(run), 1e-5), tmp_path / "out", Clockwork())
    assert not (tmp_path / "out").exists()


def test_wrong_runs_and_data_are_named(trained: Trained, tmp_path: Path, photos: Path) -> None:
    run, data = trained
    with pytest.raises(UserError, match=r"nowhere: is no run folder"):
        search(SearchConfig(str(data), str(tmp_path / "nowhere"), 1.0), tmp_path / "out")
    with pytest.raises(UserError, match=r"gone: no such file or folder"):
        search(SearchConfig(str(tmp_path / "gone"), str(run), 1.0), tmp_path / "out")
    with pytest.raises(UserError, match=r"its classes are not those of"):
        search(SearchConfig(str(photos), str(run), 1.0), tmp_path / "out")
    with pytest.raises(UserError, match="exists already"):
        search(SearchConfig(str(data), str(run), 1.0), tmp_path)
    with pytest.raises(UserError, match="no search to go on with"):
        resume(tmp_path)
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "search.json").write_text("[")
    with pytest.raises(UserError, match="damaged"):
        resume(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"), [("method", "magic"), ("minutes", 0), ("seed", -1), ("tune", -1), ("epochs", 0)]
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(UserError, match=f"--{name}"):
        SearchConfig("data", "run", 1.0, **{name: value})
