"""How much of a network is trained: the more time there is, the more of it."""

from pathlib import Path

import pytest
import torch

from conftest import write_photos
from mobilenets.data.augment import Augment
from mobilenets.data.loader import Loader
from mobilenets.data.source import read_splits
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.spec import build
from mobilenets.spec.cost import costs
from mobilenets.training.depth import (
    FEWEST_VIEWS,
    MOST_BYTES,
    MOST_VIEWS,
    TRAINED,
    Costs,
    Depth,
    choose_depth,
    frozen_blocks,
    measure_steps,
)
from mobilenets.training.loop import Place, Trainer
from mobilenets.training.recipe import Recipe

V2 = build("mobilenet_v2", num_classes=2)
# Per photograph: training what lies behind so many blocks, and running it once.
EACH = Costs({0: 1 / 30, 3: 1 / 45, 7: 1 / 100, 13: 1 / 250}, 1 / 200)


def _depth(seconds: float, images: int = 2000, size: int = 224) -> Depth:
    return choose_depth(V2, size, images, images // 4, EACH, seconds)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v4_conv_small"])
def test_shares_of_the_multiply_adds_become_numbers_of_blocks(name: str) -> None:
    net = build(name, num_classes=2)
    first, *others = frozen_blocks(net, 224)
    assert first == 0
    total = sum(row.macs for row in costs(net, 224))
    for frozen in others:
        share = 1 - sum(row.macs for row in costs(net, 224)[: frozen + 1]) / total
        assert min(abs(share - wanted) for wanted in TRAINED) < 0.15
    assert others == sorted(set(others))


def test_more_time_trains_more_blocks_and_in_the_end_all() -> None:
    frozen = [_depth(seconds).frozen for seconds in (20, 60, 120, 240, 480, 960, 3600)]
    assert frozen == sorted(frozen, reverse=True)
    assert frozen[0] > len(V2.blocks) / 2
    assert frozen[-1] == 0
    assert len(set(frozen)) >= 3


def test_a_whole_network_has_no_stored_views() -> None:
    assert _depth(3600) == Depth(0, 0)


def test_views_fit_into_time_and_room() -> None:
    for seconds in (60, 120, 240, 480):
        depth = _depth(seconds)
        if depth.frozen:
            assert FEWEST_VIEWS <= depth.views <= MOST_VIEWS
            row = costs(V2, 224)[depth.frozen]
            assert depth.views * 2000 * 2 * row.out * row.out_size**2 <= MOST_BYTES
            assert depth.views * 2000 * EACH.look < seconds / 2


def test_of_very_many_photographs_no_views_are_stored() -> None:
    assert _depth(300, images=1_000_000).views == 0


def test_a_faster_machine_trains_more_in_the_same_time() -> None:
    faster = Costs({frozen: s / 10 for frozen, s in EACH.train.items()}, EACH.look / 10)
    fast = choose_depth(V2, 224, 2000, 500, faster, 200)
    assert fast.frozen < _depth(200).frozen


def test_steps_of_every_depth_are_timed_and_change_nothing(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", ("daisy", "rose"), 8, size=32)
    samples, preprocess = read_splits(photos, val=0.5).train, Preprocess(size=32)
    model = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    loader = Loader(samples, preprocess, 4, shuffle=True, workers=0)
    place = Place(torch.device("cpu"), "fp32", 0)
    trainer = Trainer(model, Recipe(batch_size=4, augment=Augment(hflip=0.0)), place, preprocess, loader, loader)
    speeds = measure_steps(trainer, "fp32", 60.0)
    assert sorted(speeds) == frozen_blocks(model.net, 32)
    assert all(speed.precision == "fp32" and speed.step_s > 0 for speed in speeds.values())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.requires_grad for parameter in model.parameters())
