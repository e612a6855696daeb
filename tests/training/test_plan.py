"""Precision and epochs from steps that were timed: what a busy machine cannot tell is told."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from conftest import write_photos
from mobilenets.data.loader import Loader
from mobilenets.data.source import read_splits
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.spec import build
from mobilenets.training.loop import Place, Trainer
from mobilenets.training.plan import AROUND_S, EVALUATION_SHARE, Plan, make_plan, plan
from mobilenets.training.recipe import Recipe


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """Four batches of training, two of validation, 50 epochs."""
    photos = write_photos(tmp_path_factory.mktemp("plan") / "photos", ("daisy", "rose"), 12, size=32)
    splits = read_splits(photos, val=1 / 3, seed=0)
    preprocess = Preprocess(size=32)
    recipe = Recipe(epochs=50, batch_size=4)
    train = Loader(splits.train, preprocess, 4, shuffle=True, workers=0)
    model = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2))
    place = Place(torch.device("cpu"), "fp32", 0)
    return Trainer(model, recipe, place, preprocess, train, Loader(splits.val, preprocess, 4, workers=0))


class Steps:
    """Turns of steps that take so long, each up to `noise` times as long as the others; no clock."""

    def __init__(self, seconds: float, noise: float = 0.0, seed: int = 0) -> None:
        self.seconds, self.noise, self.rng = seconds, noise, np.random.default_rng(seed)

    def __call__(self, calls: int) -> list[float]:
        return [self.seconds * (1 + self.noise * self.rng.random()) for _ in range(calls)]


def _clock() -> Callable[[], float]:
    return lambda: 0.0


def test_bf16_is_taken_where_it_is_clearly_faster(trainer: Trainer, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(trainer, {"fp32": Steps(1.0), "bf16": Steps(0.5)}, None, _clock()) == Plan("bf16", 50)
    assert plan(trainer, {"fp32": Steps(1.0), "bf16": Steps(0.99)}, None, _clock()) == Plan("fp32", 50)
    assert plan(trainer, {"fp32": Steps(1.0), "bf16": Steps(2.0)}, None, _clock()) == Plan("fp32", 50)
    assert capsys.readouterr().err == ""


def test_what_a_busy_machine_cannot_tell_is_fp32_and_is_told(
    trainer: Trainer, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = {"fp32": Steps(1.0, 4.0, 1), "bf16": Steps(0.9, 4.0, 2)}
    assert plan(trainer, turns, None, _clock()).precision == "fp32"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("planning: too busy to measure ")
    assert line.endswith("in bf16; fp32 is taken")


def test_the_epochs_are_those_that_fit(trainer: Trainer, capsys: pytest.CaptureFixture[str]) -> None:
    epoch_s = 0.5 * (len(trainer.train) + EVALUATION_SHARE * len(trainer.val))
    for epochs in (0, 3, 49):
        found = plan(trainer, {"fp32": Steps(0.5)}, AROUND_S + (epochs + 0.5) * epoch_s, _clock())
        assert found == Plan("fp32", epochs)
    assert plan(trainer, {"fp32": Steps(0.5)}, 1e6, _clock()) == Plan("fp32", 50)
    assert capsys.readouterr().err == ""


def test_where_the_time_is_over_nothing_is_measured_and_nothing_trained(trainer: Trainer) -> None:
    def clock() -> float:
        pytest.fail("a clock was asked")

    assert make_plan(trainer, "auto", -20.0, clock) == Plan("fp32", 0)
    assert make_plan(trainer, "bf16", AROUND_S, clock) == Plan("bf16", 0)
    assert plan(trainer, {"fp32": Steps(0.5)}, 0.0, _clock()) == Plan("fp32", 0)


def test_a_plan_by_steps_that_vary_says_so(trainer: Trainer, capsys: pytest.CaptureFixture[str]) -> None:
    found = plan(trainer, {"fp32": Steps(0.5, 3.0)}, 100.0, _clock())
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("planning: too busy to measure ")
    assert line.endswith(f"{found.epochs} epochs are planned by the median")


def test_the_real_steps_are_timed_on_copies(trainer: Trainer) -> None:
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    assert make_plan(trainer, "auto", None).precision in ("fp32", "bf16")
    assert make_plan(trainer, "fp32", 1e6) == Plan("fp32", 50)
    assert make_plan(trainer, "bf16", None) == Plan("bf16", 50)
    for name, tensor in trainer.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert trainer.state.step == 0
