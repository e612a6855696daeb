"""How candidates are judged: short training beside a teacher, and scores."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mobilenets.nn.model import MobileNet
from mobilenets.searching.context import SearchContext
from mobilenets.searching.distill import TEACHER_WEIGHT, Distiller
from mobilenets.searching.evaluation import LimitedLoader, score
from mobilenets.searching.final_finetune import final_trainer

Trained = tuple[Path, Path]


def test_expected_accuracy_is_the_mean_probability_of_the_right_class(unsure: SearchContext) -> None:
    ctx = unsure
    size, right = ctx.base_candidate.size, []
    for batch in ctx.loader(ctx.splits.holdout, size).epoch(0):
        with torch.no_grad():
            said = ctx.base(ctx.images(batch.pixels, size)).softmax(1).numpy()
        right += [row[label] for row, label in zip(said, batch.labels, strict=True)]
    found = score(ctx, ctx.base, size, ctx.splits.holdout).expected_accuracy
    assert 0.05 < found < 0.95
    assert found == pytest.approx(np.mean(right), abs=1e-6)


def test_distillation_leaves_batch_norm_statistics_as_they_are(trained: Trained) -> None:
    ctx = SearchContext(*trained)
    model, loader = copy.deepcopy(ctx.base), ctx.loader(ctx.splits.rest, 48, train=True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    compute, preprocess = ctx.compute, ctx.preprocess(32)
    tuner = Distiller(model, ctx.recipe, compute, preprocess, loader, loader, teacher=ctx.base, sizes=[32])
    assert len(list(tuner.steps())) == len(loader)
    for name, tensor in model.state_dict().items():
        statistic = "running" in name or "num_batches" in name
        assert torch.equal(tensor, before[name]) == statistic, name


def test_the_teacher_sees_what_it_knows_and_the_student_all_sizes(trained: Trained) -> None:
    ctx = SearchContext(*trained)
    some = LimitedLoader(ctx.loader(ctx.splits.rest, 48, train=True), 24)
    model, teacher = copy.deepcopy(ctx.base), copy.deepcopy(ctx.base)
    shown: dict[str, list[int]] = {"model": [], "teacher": []}
    for name, network in (("model", model), ("teacher", teacher)):
        network.register_forward_pre_hook(lambda _, args, name=name: shown[name].append(args[0].shape[-1]))
    parts = model, ctx.recipe, ctx.compute, ctx.preprocess(48), some, some
    assert len(list(Distiller(*parts, teacher=teacher, sizes=[48, 40, 32]).steps())) == 24
    assert set(shown["model"]) == {32, 40, 48}
    assert set(shown["teacher"]) == {48}


def test_short_trainings_walk_through_the_epochs_of_their_loader(trained: Trained) -> None:
    ctx = SearchContext(*trained)
    loader = ctx.loader(ctx.splits.rest, 32, train=True)
    whole = [b.indices.tolist() for e in range(4) for b in loader.epoch(e)]
    assert [b.indices.tolist() for b in LimitedLoader(loader, 7, 2).epoch(0)] == whole[2:9]
    assert [b.indices.tolist() for b in LimitedLoader(loader, 3).epoch(1, 1)] == whole[4:6]


def test_the_students_loss_is_half_the_labels_and_half_the_teacher(trained: Trained) -> None:
    ctx = SearchContext(*trained)
    ctx.recipe = replace(ctx.recipe, label_smoothing=0.0)
    trainer = final_trainer(ctx, MobileNet(ctx.base.net), 96, epochs=1)
    images, targets = torch.randn(4, 3, 96, 96), F.one_hot(torch.tensor([0, 1, 1, 0]), 2).float()
    logits = torch.randn(4, 2)
    with torch.no_grad():
        said = ctx.base.eval()(images).softmax(1)
    expected = (1 - TEACHER_WEIGHT) * F.cross_entropy(logits, targets) + TEACHER_WEIGHT * F.cross_entropy(logits, said)
    assert trainer.loss(images, logits, targets) == pytest.approx(float(expected), rel=1e-5)


def test_the_training_at_the_end_takes_three_tenths_of_the_runs_rate(trained: Trained) -> None:
    ctx = SearchContext(*trained)
    trainer, rates = final_trainer(ctx, copy.deepcopy(ctx.base), ctx.base_candidate.size, 3), []
    for trainer.state.epoch in range(3):
        trainer.state.batch = 0
        rates += [trainer.optimizer.param_groups[0]["lr"] for _ in trainer.steps()]
    assert max(rates) == pytest.approx(0.3 * ctx.recipe.lr, rel=0.05)


def test_the_held_out_part_is_of_the_training_part(trained: Trained) -> None:
    parts = SearchContext(*trained).splits
    paths = {name: {s.path for s in getattr(parts, name)} for name in ("train", "rest", "holdout", "val")}
    assert paths["rest"] | paths["holdout"] == paths["train"]
    assert not paths["rest"] & paths["holdout"]
    assert not paths["val"] & paths["train"]
