"""The loop's arithmetic: schedule, decay groups, which epoch is better, checkpoints."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mobilenets.arch import build
from mobilenets.data.loader import Batch
from mobilenets.errors import UserError
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.tasks.objective import Objective
from mobilenets.training import checkpoint
from mobilenets.training.checkpoint import State
from mobilenets.training.context import ComputeContext
from mobilenets.training.interrupt import Interrupt
from mobilenets.training.loop import Trainer
from mobilenets.training.optimizer import make_optimizer, schedule
from mobilenets.training.recipe import OPTIMIZERS, Recipe


@given(epochs=st.integers(1, 60), steps=st.integers(1, 50), warmup=st.floats(0, 10))
def test_the_rate_rises_to_its_peak_and_falls_to_zero(epochs: int, steps: int, warmup: float) -> None:
    recipe = Recipe(epochs=epochs, warmup_epochs=warmup)
    rates = [schedule(step, steps, recipe) for step in range(epochs * steps)]
    peak = rates.index(max(rates))
    assert 0 < max(rates) <= 1 + 1e-9
    assert all(a <= b + 1e-12 for a, b in pairwise(rates[: peak + 1]))
    assert all(a >= b - 1e-12 for a, b in pairwise(rates[peak:]))
    assert schedule(epochs * steps, steps, recipe) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_batchnorm_and_biases_are_not_decayed(name: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    decayed, free = make_optimizer(model, Recipe(optimizer=name, weight_decay=0.1)).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert {p.ndim for p in decayed["params"]} == {4, 2}
    assert {p.ndim for p in free["params"]} == {1}


@pytest.mark.parametrize(
    ("name", "torchs"),
    [
        ("adamw", partial(torch.optim.AdamW, fused=True)),
        ("sgd", partial(torch.optim.SGD, momentum=0.9, nesterov=True, fused=True)),
        ("rmsprop", partial(torch.optim.RMSprop, momentum=0.9, alpha=0.9, eps=0.0316)),
    ],
)
def test_a_step_is_that_of_torchs_own_optimiser(name: str, torchs: Callable[..., torch.optim.Optimizer]) -> None:
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    recipe = Recipe(optimizer=name, lr=0.1, weight_decay=0.0)
    optimizers = make_optimizer(ours, recipe), torchs(theirs.parameters(), lr=0.1, weight_decay=0.0)
    for _ in range(3):
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            torch.autograd.backward(model(torch.ones(1, 3)).square().sum())
            optimizer.step()
        optimizers[0].load_state_dict(optimizers[0].state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_no_step_imports_torchs_compiler() -> None:
    code = (
        "import sys, torch; from mobilenets.training.optimizer import make_optimizer; "
        "from mobilenets.training.recipe import Recipe; model = torch.nn.Linear(2, 2)\n"
        "for name in ('adamw', 'sgd', 'rmsprop'):\n"
        "    optimizer = make_optimizer(model, Recipe(optimizer=name)); optimizer.zero_grad()\n"
        "    torch.autograd.backward(model(torch.ones(1, 2)).sum()); optimizer.step(); optimizer.state_dict()\n"
        "print('torch._dynamo' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_frozen_parameters_are_left_to_no_optimiser() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    groups = make_optimizer(model, Recipe()).param_groups
    assert sum(p.numel() for group in groups for p in group["params"]) == 6


def test_accuracy_decides_and_the_loss_breaks_ties() -> None:
    best = {"val_accuracy": 0.8, "val_loss": 0.5}
    better = Objective.classification(("daisy", "rose")).better
    assert better(best, {})
    assert better({"val_accuracy": 0.9, "val_loss": 0.9}, best)
    assert better({"val_accuracy": 0.8, "val_loss": 0.4}, best)
    assert not better({"val_accuracy": 0.8, "val_loss": 0.5}, best)
    assert not better({"val_accuracy": 0.7, "val_loss": 0.1}, best)


def test_a_checkpoint_gives_back_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint" / "last.pt"
    state = State(epoch=2, batch=3, step=19, best={"val_accuracy": 0.5, "val_loss": 1.0}, history=[{"epoch": 1}])
    checkpoint.save(path, state, {"model": {"w": torch.arange(3.0)}})
    loaded, tensors = checkpoint.load(path)
    assert loaded == state
    assert torch.equal(tensors["model"]["w"], torch.arange(3.0))
    assert [p.name for p in path.parent.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 truncated"])
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"last\.pt"):
        checkpoint.load(path)


class Noise:
    """Five batches of random pixels, in place of a loader."""

    labels = np.tile([0, 1], 10)

    def __len__(self) -> int:
        return 5

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        for number in range(start_batch, len(self)):
            pixels = np.random.default_rng((epoch, number)).integers(0, 256, (4, 32, 32, 3), np.uint8)
            yield Batch(pixels, self.labels[:4], np.arange(4 * number, 4 * number + 4))


def test_figures_that_are_fetched_now_and_then_are_those_of_every_step(tmp_path: Path) -> None:
    states = []
    for fetch_every in (1, 3):
        torch.manual_seed(0)
        model = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2))
        ctx = ComputeContext(torch.device("cpu"), "fp32", 0)
        trainer = Trainer(model, Recipe(), ctx, Preprocess(size=32), Noise(), Noise())
        trainer.fetch_every = fetch_every
        seen = [trainer.state.seen for _ in islice(trainer.steps(), 3)]
        assert seen == {1: [4, 8, 12], 3: [4, 4, 4]}[fetch_every]  # the first at once: there is something to tell
        trainer.save(tmp_path / "last.pt")
        states.append(checkpoint.load(tmp_path / "last.pt")[0])
    assert states[0] == states[1]
    assert states[0].seen == 12


@pytest.mark.parametrize(("patience", "epochs"), [(0, 4), (1, 1), (2, 2)])
def test_so_many_epochs_that_are_no_better_end_the_training(patience: int, epochs: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2))
    recipe = Recipe(epochs=4, patience=patience)
    ctx = ComputeContext(torch.device("cpu"), "fp32", 0)
    trainer = Trainer(model, recipe, ctx, Preprocess(size=32), Noise(), Noise())
    trainer.follow(recipe, {"val_accuracy": 1.1, "val_loss": 0.0})  # which no epoch reaches
    kept: list[MobileNet] = []
    with Interrupt() as interrupt:
        assert trainer.fit(lambda model, figures: kept.append(model), tmp_path, interrupt)
    assert (len(trainer.state.history), trainer.state.stale_epochs, kept) == (epochs, epochs, [])
