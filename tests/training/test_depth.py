"""How much of a network is trained: the more time there is, the more of it."""

from pathlib import Path

import pytest
import torch

from conftest import write_photos
from mobilenets.arch import build
from mobilenets.arch.cost import costs
from mobilenets.data.augment import Augment
from mobilenets.data.loader import Loader
from mobilenets.data.sources.read import read_splits
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.training.context import ComputeContext
from mobilenets.training.depth import (
    ENOUGH,
    MAX_BYTES,
    MAX_VIEWS,
    TRAINED,
    Depth,
    Steps,
    choose_depth,
    frozen_blocks,
    trained_fractions,
)
from mobilenets.training.loop import Trainer
from mobilenets.training.recipe import Recipe

V2 = build("mobilenet_v2", num_classes=2)
SHARES = trained_fractions(V2, 224)
WHOLE_S, LOOK_S = 1 / 30, 1 / 200  # of a photograph: a step that trains all of the network, and running it once


class Machine:
    """It takes as long as there are multiply-adds to train; what it was asked about is in `asked`."""

    def __init__(self, faster: float = 1.0) -> None:
        self.faster, self.asked = faster, []

    def __call__(self, frozen: int, seconds: float | None) -> float:
        self.asked.append(frozen)
        return WHOLE_S * SHARES[frozen] / self.faster


def _depth(seconds: float, images: int = 2000, machine: Machine | None = None) -> Depth:
    machine = machine or Machine()
    depth = choose_depth(V2, 224, images, images // 4, LOOK_S / machine.faster, machine, lambda: seconds)
    assert depth is not None
    return depth


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v4_conv_small"])
def test_shares_of_the_multiply_adds_become_numbers_of_blocks(name: str) -> None:
    net = build(name, num_classes=2)
    *some, none = frozen_blocks(net, 224)
    assert none == 0
    assert some == sorted(set(some), reverse=True)
    for frozen in some:
        assert min(abs(trained_fractions(net, 224)[frozen] - wanted) for wanted in TRAINED) < 0.15


def test_what_is_trained_is_the_share_of_the_multiply_adds_behind_the_frozen_blocks() -> None:
    rows = costs(V2, 224)
    total = sum(row.macs for row in rows)
    assert SHARES[0] == 1
    assert SHARES[13] == pytest.approx(sum(row.macs for row in rows[14:]) / total)


def test_more_time_trains_more_blocks_and_in_the_end_all() -> None:
    frozen = [_depth(seconds).frozen for seconds in (30, 60, 120, 240, 480, 960, 3600)]
    assert frozen == sorted(frozen, reverse=True)
    assert frozen[0] > len(V2.blocks) / 2
    assert frozen[-1] == 0
    assert len(set(frozen)) >= 3


def test_a_whole_network_has_no_stored_views() -> None:
    assert _depth(3600) == Depth(0, 0, WHOLE_S)


def test_what_would_take_too_long_is_not_even_measured() -> None:
    machine = Machine()
    assert _depth(60, machine=machine).frozen == frozen_blocks(V2, 224)[0]
    assert len(machine.asked) <= 2
    assert _depth(3600, machine=machine).frozen == machine.asked[-1] == 0


@pytest.mark.parametrize("seconds", [60, 90, 150, 250, 400, 700])
def test_more_blocks_are_trained_only_where_there_is_time_for_more_epochs(seconds: float) -> None:
    depth = _depth(seconds)
    views_s = (depth.views * 2000 + 500) * LOOK_S if depth.views else 0
    epochs = (seconds - views_s) / ((2000 + 0.4 * 500) * depth.image_s)
    assert epochs >= ENOUGH * SHARES[depth.frozen]


def test_views_fit_into_time_and_room() -> None:
    for seconds in (60, 120, 240, 480):
        depth = _depth(seconds)
        if depth.frozen:
            assert 1 <= depth.views <= MAX_VIEWS
            row = costs(V2, 224)[depth.frozen]
            assert depth.views * 2000 * 2 * row.out * row.out_size**2 <= MAX_BYTES
            assert depth.views * 2000 * LOOK_S < seconds / 2


def test_where_there_is_hardly_any_time_one_view_is_stored() -> None:
    assert _depth(25).views == 1


def test_no_view_is_stored_that_nothing_could_be_learned_from() -> None:
    """Looking at all photos takes 12.5 s, one epoch of the last blocks 11 s."""
    machine = Machine()
    assert choose_depth(V2, 224, 2000, 500, LOOK_S, machine, lambda: 14.0) is None
    assert len(machine.asked) == 1


def test_of_very_many_photographs_less_than_an_epoch_is_learned() -> None:
    depth = _depth(30, images=1_000_000)
    assert (depth.frozen, depth.views) == (frozen_blocks(V2, 224)[0], 0)


def test_of_very_many_photographs_no_views_are_stored() -> None:
    assert _depth(300, images=1_000_000).views == 0


def test_a_faster_machine_trains_more_in_the_same_time() -> None:
    assert _depth(200, machine=Machine(faster=10)).frozen < _depth(200).frozen


def test_steps_of_every_depth_are_timed_and_change_nothing(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", ("daisy", "rose"), 8, size=32)
    samples, preprocess = read_splits(photos, val=0.5).train, Preprocess(size=32)
    model = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    loader = Loader(samples, preprocess, 4, shuffle=True, workers=0)
    ctx = ComputeContext(torch.device("cpu"), "fp32", 0)
    trainer = Trainer(model, Recipe(batch_size=4, augment=Augment(hflip=0.0)), ctx, preprocess, loader, loader)
    steps = Steps(trainer, "fp32")
    assert all(steps(frozen, 60.0) > 0 for frozen in frozen_blocks(model.net, 32))
    assert steps.precision == "fp32"
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.requires_grad for parameter in model.parameters())
