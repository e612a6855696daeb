"""A network travels: through pickle, through `torch.export`, to another dtype, into channels-last memory."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from mobilenets.arch import NAMES, build
from mobilenets.nn.layers import channels_last
from mobilenets.nn.model import MobileNet


def _small(name: str, num_classes: int = 4) -> MobileNet:
    torch.manual_seed(0)
    return MobileNet(build(name, width=0.25, num_classes=num_classes)).eval()


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_a_pickled_copy_computes_the_same(name: str) -> None:
    model, x = _small(name), torch.randn(2, 3, 64, 64)
    copied = pickle.loads(pickle.dumps(model))
    assert copied.net == model.net
    assert torch.equal(copied(x), model(x))
    assert torch.equal(copy.deepcopy(model)(x), model(x))


@pytest.mark.parametrize("flavor", ["timm", "tf"])
def test_an_exported_program_takes_any_batch(flavor: str) -> None:
    torch.manual_seed(0)
    model = MobileNet(build("mobilenet_v3_small", width=0.25, num_classes=4, flavor=flavor)).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (torch.randn(2, 3, 65, 65),), dynamic_shapes=({0: batch},))
    x = torch.randn(5, 3, 65, 65)
    with torch.inference_mode():
        assert torch.allclose(program.module()(x), model(x), atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v3_small", "mobilenet_v4_conv_small"])
@torch.inference_mode()
def test_memory_order_changes_no_result(name: str) -> None:
    model, x = _small(name).double(), torch.randn(2, 3, 64, 64).double()
    before = model(x)
    after = channels_last(model)(x.contiguous(memory_format=torch.channels_last))
    assert model.stem.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(before, after, atol=1e-12)


@torch.inference_mode()
def test_a_new_classifier_has_the_dtype_of_the_network() -> None:
    model = _small("mobilenet_v2").double()
    model.reset_classifier(7)
    assert model(torch.randn(1, 3, 32, 32).double()).dtype == torch.float64


@torch.inference_mode()
def test_later_layers_leave_the_feature_maps_as_they_were() -> None:
    model, x = _small("mobilenet_v4_conv_small"), torch.randn(1, 3, 64, 64)
    together = model.features(x)
    alone = [model.features(x, [level])[0] for level in range(len(together))]
    first = model.blocks[1](model.blocks[0](model.stem(x)))
    assert torch.equal(together[0], first)
    assert all(torch.equal(a, b) for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v4_conv_medium"])
def test_activations_in_place_leave_the_backward_pass_what_it_needs(name: str) -> None:
    torch.manual_seed(0)
    model = MobileNet(build(name, width=0.25, num_classes=3, dropout=0.0)).double().train()
    reference = copy.deepcopy(model)
    changed = [m for m in reference.modules() if getattr(m, "inplace", False)]
    for module in changed:
        module.inplace = False
    assert len(changed) == sum(isinstance(m, nn.ReLU | nn.ReLU6) for m in model.modules()) > 0
    x = torch.randn(4, 3, 64, 64).double()
    for network in (model, reference):
        network(x).square().sum().backward()
    for ours, plain in zip(model.parameters(), reference.parameters(), strict=True):
        assert ours.grad is not None
        assert torch.equal(ours.grad, plain.grad)
