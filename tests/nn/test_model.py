"""The modules: what the papers prescribe, shapes for any input, the classifier's replacement."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from mobilenets.arch import NAMES, build
from mobilenets.arch.features import feature_info
from mobilenets.arch.layers import Gate
from mobilenets.errors import UserError
from mobilenets.nn.blocks import Block
from mobilenets.nn.layers import ConvNormAct, SamePadConv2d, SqueezeExcite
from mobilenets.nn.model import MobileNet


def _small(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return MobileNet(build(name, **{"width": 0.25, "num_classes": 5, **options})).eval()


@pytest.mark.parametrize("name", [n for n in NAMES if n != "mobilenet_v1"])
def test_the_projection_is_linear(name: str) -> None:
    blocks = [block for block in _small(name).blocks if hasattr(block, "project")]
    assert blocks
    for block in blocks:
        assert isinstance(block.project, ConvNormAct)
        assert isinstance(block.project.act, nn.Identity)
        assert isinstance(block.expand, nn.Identity) or not isinstance(block.expand.act, nn.Identity)


def test_v1_activates_after_both_of_its_convolutions() -> None:
    for block in _small("mobilenet_v1").blocks:
        assert isinstance(block.depthwise.act, nn.ReLU6)
        assert isinstance(block.pointwise.act, nn.ReLU6)


def test_v4s_first_depthwise_convolution_is_linear() -> None:
    block = _small("mobilenet_v4_conv_small").blocks[4]
    assert isinstance(block.start.act, nn.Identity)
    assert isinstance(block.depthwise.act, nn.ReLU)


def test_input_is_added_only_where_stride_and_channels_allow_it() -> None:
    residual = [block.residual for block in MobileNet(build("mobilenet_v2")).blocks]
    assert [i for i, added in enumerate(residual) if added] == [2, 4, 5, 7, 8, 9, 11, 12, 14, 15]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_that_is_written_out_runs_the_layers_that_the_row_says_in_its_order(name: str) -> None:
    model = _small(name)
    for block in (block for block in model.blocks if isinstance(block, Block)):
        assert type(block).path is not Block.path
        x = torch.randn(1, next(block.parameters()).shape[1 if block.order[0] == "expand" else 0], 5, 5)
        assert torch.equal(block.path(x), Block.path(block, x))


def test_a_residual_block_of_zero_weights_is_the_identity() -> None:
    block = _small("mobilenet_v2").blocks[2]
    nn.init.zeros_(block.project.conv.weight)
    x = torch.randn(1, 8, 9, 9)
    assert torch.equal(block(x), x)


def test_the_gate_is_a_hard_sigmoid_of_the_channels_mean() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 16, 5, 7)
    gate: Any = SqueezeExcite(Gate("", 16, 8))
    mean = x.mean((2, 3))
    squeezed = (mean @ gate.reduce.weight[:, :, 0, 0].T + gate.reduce.bias).clamp(min=0)
    logits = squeezed @ gate.expand.weight[:, :, 0, 0].T + gate.expand.bias
    expected = x * ((logits + 3).clamp(0, 6) / 6)[:, :, None, None]
    assert torch.allclose(gate(x), expected, atol=1e-5)


@pytest.mark.parametrize(("flavor", "eps", "momentum"), [("timm", 1e-5, 0.1), ("tf", 1e-3, 0.001)])
def test_every_batch_norm_has_the_flavors_eps_and_momentum(flavor: str, eps: float, momentum: float) -> None:
    norms = [m for m in _small("mobilenet_v3_large", flavor=flavor).modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert {(norm.eps, norm.momentum) for norm in norms} == {(eps, momentum)}


def test_depthwise_weights_start_at_a_deviation_of_their_own_fan_out() -> None:
    torch.manual_seed(0)
    model = MobileNet(build("mobilenet_v2"))
    depthwise = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    for conv in depthwise:
        assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / 9), rel=0.15)  # k² = 9, whatever the channels
    dense = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups == 1 and m.kernel_size == (1, 1)]
    for conv in dense:
        assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / conv.out_channels), rel=0.15)


def test_activations_of_a_new_network_neither_vanish_nor_explode() -> None:
    torch.manual_seed(0)
    model = MobileNet(build("mobilenet_v1")).train()
    features = model.forward_features(torch.randn(4, 3, 96, 96))
    assert 0.1 < features.std().item() < 10


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (97, 64)], ids=str)
@torch.inference_mode()
def test_any_size_from_32_pixels_on_gives_logits(name: str, size: tuple[int, int]) -> None:
    model = _small(name, in_channels=1)
    x = torch.randn(2, 1, *size)
    assert model.forward_features(x).shape[2:] == tuple(math.ceil(side / 32) for side in size)
    logits = model(x)
    assert logits.shape == (2, 5)
    assert logits.isfinite().all()


@pytest.mark.parametrize("flavor", ["torchvision", "timm", "tf"])
@pytest.mark.parametrize("output_stride", [32, 16, 8])
@pytest.mark.parametrize("size", [64, 97])
@torch.inference_mode()
def test_feature_maps_are_as_announced_for_every_stride(flavor: str, output_stride: int, size: int) -> None:
    model = _small("mobilenet_v3_large", flavor=flavor, output_stride=output_stride)
    info = feature_info(model.net)
    maps = model.features(torch.randn(1, 3, size, size))
    assert [level.stride for level in info] == [s for s in (2, 4, 8, 16, 32) if s <= output_stride]
    for level, features in zip(info, maps, strict=True):
        assert features.shape == (1, level.channels, *[math.ceil(size / level.stride)] * 2)


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_feature_maps_of_every_network_are_as_announced(name: str) -> None:
    model = _small(name)
    x = torch.randn(1, 3, 64, 64)
    maps = model.features(x)
    shapes = [(level.channels, 64 // level.stride, 64 // level.stride) for level in feature_info(model.net)]
    assert [tuple(features.shape[1:]) for features in maps] == shapes
    assert torch.equal(maps[-1], model.forward_features(x))


@torch.inference_mode()
def test_levels_pick_maps_in_the_order_asked_for() -> None:
    model, x = _small("mobilenet_v2"), torch.randn(1, 3, 64, 64)
    every = model.features(x)
    picked = model.features(x, levels=[3, 1])
    assert [torch.equal(a, b) for a, b in zip(picked, (every[3], every[1]), strict=True)] == [True, True]


@pytest.mark.parametrize("level", [-1, 5])
def test_a_level_that_is_not_there_is_told(level: int) -> None:
    with pytest.raises(UserError, match=f"levels: {level} is not one of 0 to 4"):
        _small("mobilenet_v2").features(torch.zeros(1, 3, 32, 32), levels=[level])


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v3_small", "mobilenet_v4_conv_small"])
@torch.inference_mode()
def test_without_classes_the_output_is_what_the_classifier_would_see(name: str) -> None:
    with_head, x = _small(name), torch.randn(2, 3, 32, 32)
    without = _small(name, num_classes=0)
    missing = without.load_state_dict(with_head.state_dict(), strict=False)
    assert sorted(missing.unexpected_keys) == ["classifier.bias", "classifier.weight"]
    vector = without(x)
    assert vector.shape == (2, without.head_width)
    assert torch.equal(vector, with_head.forward_head(with_head.forward_features(x), pre_logits=True))
    assert torch.equal(with_head.classifier(vector), with_head(x))


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v3_small", "mobilenet_v4_conv_small"])
def test_a_new_classifier_leaves_everything_else_as_it_was(name: str) -> None:
    model = _small(name).double()
    before = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith("classifier")}
    model.reset_classifier(9)
    assert model.net.num_classes == 9
    assert model.classifier.weight.dtype == torch.float64
    assert model(torch.randn(1, 3, 32, 32, dtype=torch.float64)).shape == (1, 9)
    after = model.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())
    assert model.classifier.bias.abs().sum() == 0
    model.reset_classifier(0)
    assert model(torch.randn(1, 3, 32, 32, dtype=torch.float64)).shape == (1, model.head_width)


def test_a_negative_number_of_classes_is_refused() -> None:
    with pytest.raises(UserError, match="num_classes"):
        _small("mobilenet_v2").reset_classifier(-1)


def test_dropout_is_off_in_evaluation_and_on_in_training() -> None:
    model, vector = _small("mobilenet_v3_small", dropout=0.5), torch.ones(1, 1024)
    assert torch.equal(model.dropout(vector), vector)
    assert 0.3 < (model.train().dropout(vector) == 0).float().mean().item() < 0.7


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation"),
    [(32, 3, 2, 1), (33, 3, 2, 1), (7, 5, 2, 1), (8, 5, 2, 1), (9, 3, 1, 4), (8, 1, 2, 1), (5, 3, 1, 1)],
)
def test_same_padding_puts_the_odd_pixel_at_the_end(size: int, kernel: int, stride: int, dilation: int) -> None:
    conv = SamePadConv2d(1, 1, kernel, stride=stride, dilation=dilation, bias=False)
    nn.init.ones_(conv.weight)
    out_size = math.ceil(size / stride)
    reach = dilation * (kernel - 1)
    first = max((out_size - 1) * stride + reach + 1 - size, 0) // 2
    output = conv(torch.ones(1, 1, size, size))[0, 0]
    inside = [
        sum(0 <= i * stride - first + k * dilation < size for k in range(kernel)) for i in range(out_size)
    ]  # taps that fall on the image
    assert torch.equal(output, torch.outer(torch.tensor(inside), torch.tensor(inside)).float())


def test_known_classes_answer_as_before_under_their_new_numbers() -> None:
    model, images = _small("mobilenet_v2", num_classes=3), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        model.classifier.bias.normal_()
        before = model(images)
        model.extend_classes([0, 3, 1], 5)
        after = model(images)
    assert after.shape == (2, 5)
    torch.testing.assert_close(after[:, [0, 3, 1]], before)
    assert model.provenance["classifier"] == "extended"
