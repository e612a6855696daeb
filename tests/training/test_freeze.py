"""Freezing means weights and BatchNorm statistics, bit for bit."""

import pytest
import torch
from torch import nn

from mobilenets.arch import build
from mobilenets.errors import UserError
from mobilenets.nn.model import MobileNet
from mobilenets.training.freeze import frozen_modules, set_training


@pytest.fixture
def model() -> MobileNet:
    torch.manual_seed(0)
    return MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=3))


def _train_two_steps(model: MobileNet, freeze: str | int) -> None:
    frozen = frozen_modules(model, freeze)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        set_training(model, frozen)
        model(torch.randn(4, 3, 32, 32) + 3).square().mean().backward()
        optimizer.step()


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], prefixes: tuple[str, ...]) -> set[bool]:
    return {torch.equal(a[k], b[k]) for k in a if k.startswith(prefixes)}


def test_a_frozen_backbone_keeps_weights_and_statistics_bit_for_bit(model: MobileNet) -> None:
    before = {k: v.clone() for k, v in model.state_dict().items()}
    _train_two_steps(model, "backbone")
    after = model.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_the_first_blocks_stay_and_the_others_learn(model: MobileNet) -> None:
    before = {k: v.clone() for k, v in model.state_dict().items()}
    _train_two_steps(model, 2)
    after = model.state_dict()
    assert _same(before, after, ("stem.", "blocks.0.", "blocks.1.")) == {True}
    moved = [m for m in model.blocks[2].modules() if isinstance(m, nn.BatchNorm2d)]
    assert moved
    assert False in _same(before, after, ("blocks.2.",))


def test_nothing_frozen_moves_every_statistic(model: MobileNet) -> None:
    before = {k: v.clone() for k, v in model.state_dict().items() if k.endswith("running_mean")}
    _train_two_steps(model, "none")
    assert _same(before, model.state_dict(), ("stem.", "blocks.")) == {False}


def test_more_blocks_than_there_are_is_an_error(model: MobileNet) -> None:
    with pytest.raises(UserError, match="has 11"):
        frozen_modules(model, 99)
