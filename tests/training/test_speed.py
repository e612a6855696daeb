"""Precision and number of steps from steps that were timed: what a busy machine cannot tell is told."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from conftest import write_photos
from mobilenets.arch import build
from mobilenets.data.loader import Loader
from mobilenets.data.sources.read import read_splits
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.training.context import ComputeContext
from mobilenets.training.loop import Trainer
from mobilenets.training.recipe import Recipe
from mobilenets.training.speed import (
    EFFORT,
    EVALUATION_FRACTION,
    Speed,
    choose_speed,
    choose_threads,
    measure_speed,
    steps_within,
)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """Four batches of training, two of validation, 50 epochs."""
    photos = write_photos(tmp_path_factory.mktemp("plan") / "photos", ("daisy", "rose"), 12, size=32)
    splits = read_splits(photos, val=1 / 3, seed=0)
    preprocess = Preprocess(size=32)
    recipe = Recipe(epochs=50, batch_size=4)
    train = Loader(splits.train, preprocess, 4, shuffle=True, workers=0)
    model = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2))
    ctx = ComputeContext(torch.device("cpu"), "fp32", 0)
    return Trainer(model, recipe, ctx, preprocess, train, Loader(splits.val, preprocess, 4, workers=0))


class Steps:
    """Turns of steps that take so long, each up to `noise` times as long as the others; no clock."""

    def __init__(self, seconds: float, noise: float = 0.0, seed: int = 0) -> None:
        self.seconds, self.noise, self.rng = seconds, noise, np.random.default_rng(seed)

    def __call__(self, calls: int) -> list[float]:
        return [self.seconds * (1 + self.noise * self.rng.random()) for _ in range(calls)]


def _clock() -> Callable[[], float]:
    return lambda: 0.0


def _speed(trainer: Trainer, turns: dict[str, Steps]) -> Speed:
    return choose_speed(trainer, turns, EFFORT, _clock())


def test_bf16_is_taken_where_it_is_clearly_faster(trainer: Trainer, capsys: pytest.CaptureFixture[str]) -> None:
    assert _speed(trainer, {"fp32": Steps(1.0), "bf16": Steps(0.5)}) == Speed("bf16", 0.5)
    assert _speed(trainer, {"fp32": Steps(1.0), "bf16": Steps(0.99)}) == Speed("fp32", 1.0)
    assert _speed(trainer, {"fp32": Steps(1.0), "bf16": Steps(2.0)}) == Speed("fp32", 1.0)
    assert capsys.readouterr().err == ""


def test_what_a_busy_machine_cannot_tell_is_fp32_and_is_told(
    trainer: Trainer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _speed(trainer, {"fp32": Steps(1.0, 4.0, 1), "bf16": Steps(0.9, 4.0, 2)}).precision == "fp32"
    line, *_ = capsys.readouterr().err.splitlines()
    assert line.startswith("planning: too busy to measure ")
    assert line.endswith("in bf16; fp32 is taken")


def test_fewer_threads_are_taken_where_most_of_their_steps_are_faster() -> None:
    def threads(*seconds: Steps) -> int:
        return choose_threads(dict(zip((8, 7, 4), seconds, strict=False)), EFFORT, _clock())

    assert threads(Steps(1.0), Steps(1.1), Steps(1.8)) == 8
    assert threads(Steps(1.0), Steps(0.95)) == 8  # not worth other last digits
    assert threads(Steps(1.0), Steps(0.4), Steps(0.7)) == 7
    assert threads(Steps(1.0, 4.0), Steps(1.0)) == 7  # a quiet moment hides what other work costs


def test_the_number_of_threads_is_measured_and_stays_as_it_was(trainer: Trainer) -> None:
    torch.set_num_threads(2)
    assert measure_speed(trainer, "fp32", 1e6).threads in (1, 2)
    assert torch.get_num_threads() == 2
    assert measure_speed(trainer, "fp32", 1e6, threads=2).threads == 2
    assert measure_speed(trainer, "fp32", None).threads == 0


def test_the_steps_are_those_that_fit(trainer: Trainer) -> None:
    look_s = 0.5 * EVALUATION_FRACTION * len(trainer.val)
    epoch_s = 0.5 * len(trainer.train) + look_s
    for epochs in (3, 49):  # and one step more, after which there is a look too
        assert steps_within(trainer, 0.5, epochs * epoch_s + 0.6 + look_s) == epochs * len(trainer.train) + 1
    assert steps_within(trainer, 0.5, 3 * epoch_s + 0.01) == 3 * len(trainer.train)
    assert steps_within(trainer, 0.5, 1e6) == 50 * len(trainer.train)


def test_where_hardly_a_step_fits_there_is_none(trainer: Trainer) -> None:
    assert steps_within(trainer, 0.5, -100) == 0
    assert steps_within(trainer, 0.5, 1.5) == 0


def test_warm_up_and_averaging_become_shorter_with_the_training() -> None:
    recipe = Recipe(epochs=50, warmup_epochs=1.0, ema=0.99)
    short = recipe.planned(25, per_epoch=10)
    assert (short.epochs, short.steps) == (3, 25)
    assert short.warmup_epochs == pytest.approx(0.25)
    assert short.ema == pytest.approx(0.6)
    long = recipe.planned(5000, per_epoch=100)
    assert (long.epochs, long.warmup_epochs, long.ema) == (50, 1.0, 0.99)


def test_a_speed_by_steps_that_vary_says_so(trainer: Trainer, capsys: pytest.CaptureFixture[str]) -> None:
    _speed(trainer, {"fp32": Steps(0.5, 3.0)})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("planning: too busy to measure ")
    assert line.endswith("the median is planned by")


def test_the_real_steps_are_timed_on_copies(trainer: Trainer) -> None:
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    assert measure_speed(trainer, "auto", None).precision in ("fp32", "bf16")
    assert measure_speed(trainer, "fp32", 1e6).step_s > 0
    assert measure_speed(trainer, "bf16", None) == Speed("bf16")
    for name, tensor in trainer.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert trainer.state.step == 0
