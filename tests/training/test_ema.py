"""The averaged weights trail the trained ones."""

import pytest
import torch
from torch import nn

from mobilenets.training.ema import EMA


def test_the_average_starts_at_the_model_and_follows_with_its_decay() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 0.0)
    ema = EMA(layer, 0.5)
    nn.init.constant_(layer.weight, 1.0)
    ema.update(layer, step=0)  # the decay starts at 1/10
    assert ema.model.weight.item() == pytest.approx(0.9)
    ema.update(layer, step=1000)  # and is bounded by the one asked for
    assert ema.model.weight.item() == pytest.approx(0.95)


def test_without_decay_the_average_is_the_trained_model() -> None:
    layer = nn.Linear(2, 2)
    ema = EMA(layer, 0.0)
    nn.init.ones_(layer.weight)
    ema.update(layer, step=5)
    assert torch.equal(ema.model.weight, layer.weight)
