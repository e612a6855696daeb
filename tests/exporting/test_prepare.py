"""What a network loses in 8 bits is made small before: equal channels, weights whose errors cancel."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mobilenets.arch import build
from mobilenets.exporting.deploy import fold_norms
from mobilenets.exporting.int8.calibration import Calibration, read_calibration
from mobilenets.exporting.int8.equalise import equalise
from mobilenets.exporting.int8.prepare import prepare_for_int8
from mobilenets.exporting.int8.quantize import rounded_weight, weight_steps
from mobilenets.exporting.int8.rounding import round_together, round_weights
from mobilenets.exporting.targets.table import TARGETS, quantizer
from mobilenets.nn.model import MobileNet
from mobilenets.nn.ssd import Detector
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.registry import open_engine
from small import card_of, coloured, learned, network, noise

NETWORKS = [("mobilenet_v1", 9), ("mobilenet_v2", 9), ("mobilenet_v3_small", 4), ("mobilenet_v4_conv_small", 5)]
SIZE = 32


def folded(name: str, blocks: int) -> MobileNet:
    return fold_norms(network(name, blocks=blocks)).requires_grad_(False)


def images(model: MobileNet) -> torch.Tensor:
    preprocess = card_of(model, SIZE).preprocess
    return torch.from_numpy(preprocess.normalize(noise(24, preprocess)))


@pytest.mark.parametrize(("name", "blocks"), NETWORKS)
def test_equal_channels_change_no_answer_and_nothing_that_is_given_beside_it(name: str, blocks: int) -> None:
    model = folded(name, blocks)
    scaled, given = copy.deepcopy(model), images(model)
    equalise(scaled, [given])
    changed = [not torch.equal(a, b) for a, b in zip(model.parameters(), scaled.parameters(), strict=True)]
    assert any(changed)
    for pre_logits in (False, True):
        before, after = (m.forward_head(m.forward_features(given), pre_logits) for m in (model, scaled))
        torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(scaled.with_vectors(given)[2], model.with_vectors(given)[2], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["ssdlite_mobilenet_v1", "ssdlite_mobilenet_v2"])
def test_what_a_detectors_head_reads_of_the_backbone_stays_as_it_is(name: str) -> None:
    torch.manual_seed(0)
    model = fold_norms(Detector(build(name, width=0.35, num_classes=3)).eval()).requires_grad_(False)
    scaled, given = copy.deepcopy(model), torch.rand(2, 3, 96, 96)
    equalise(scaled, [given])
    torch.testing.assert_close(scaled(given), model(given), rtol=1e-3, atol=1e-4)


def test_a_channel_between_blocks_that_was_larger_than_all_others_is_so_no_longer() -> None:
    model = folded("mobilenet_v2", 9)
    before, after = model.blocks[1].project.conv, model.blocks[2].expand.conv
    before.weight[0] *= 50
    before.bias[0] *= 50
    after.weight[:, 0] /= 50
    maps: list[torch.Tensor] = []
    model.blocks[1].register_forward_hook(lambda module, given, output: maps.append(output.abs().amax((0, 2, 3))))
    model(images(model))
    equalise(model, [images(model)])
    model(images(model))
    spread = [values.max() / values.median() for values in (maps[0], maps[-1])]
    assert spread[1] < spread[0] / 3


@pytest.mark.parametrize("layer", [nn.Conv2d(8, 8, 3, groups=8, padding=1), nn.Conv2d(8, 12, 1), nn.Linear(8, 5)])
def test_rounded_weights_change_what_a_layer_gives_less_than_each_rounded_by_itself(layer: nn.Module) -> None:
    """Where its inputs go together, as neighbours in an image do."""
    generator = torch.Generator().manual_seed(0)
    layer.weight.data = 0.2 * torch.randn(layer.weight.shape, generator=generator)
    shape = (400, 8) if isinstance(layer, nn.Linear) else (40, 8, 9, 9)
    common = torch.randn((shape[0], 1, *[1] * (len(shape) - 2)), generator=generator)
    x = 3 + common + 0.1 * torch.randn(shape, generator=generator)
    nearest, chosen = copy.deepcopy(layer), copy.deepcopy(layer)
    steps = weight_steps(layer.weight)
    nearest.weight.data = rounded_weight(layer.weight.data, steps)
    round_weights(chosen, [x[: len(x) // 2], x[len(x) // 2 :]])
    wanted, by_itself, together = (module(x) for module in (layer, nearest, chosen))
    assert (together - wanted).square().mean() < 0.3 * (by_itself - wanted).square().mean()
    torch.testing.assert_close(weight_steps(chosen.weight), steps)  # the grid that a quantiser will find
    torch.testing.assert_close(rounded_weight(chosen.weight, steps), chosen.weight)


def test_inputs_whose_covariance_is_lost_in_rounding_leave_each_weight_rounded_by_itself() -> None:
    weight = torch.randn(1, 3, 2, generator=torch.Generator().manual_seed(0))
    steps = weight_steps(weight[0])[None]
    impossible = torch.tensor([[[1.0, 2.0], [2.0, 1.0]]], dtype=torch.float64)  # a correlation of 2
    alone = (weight / steps[:, :, None]).round() * steps[:, :, None]
    torch.testing.assert_close(round_together(weight, steps, impossible), alone)


def test_what_stays_float_keeps_its_weights() -> None:
    model = network("mobilenet_v2", blocks=5)
    card = card_of(model, SIZE)
    for skipped in (False, True):
        prepared = prepare_for_int8(model, card, Calibration(noise(8, card.preprocess), skipped))
        assert torch.equal(prepared.classifier.weight, model.classifier.weight) == skipped


@pytest.mark.parametrize("target", ["onnx", pytest.param("litert", marks=pytest.mark.exports)])
def test_a_network_that_8_bits_would_ruin_keeps_its_answers(target: str, tmp_path: Path) -> None:
    """In each map between blocks one channel is a thousand times as large as it was, and divided by that behind."""
    usual = learned("mobilenet_v3_small", SIZE, 4)
    model = copy.deepcopy(usual)
    with torch.no_grad():
        for before, after in zip(model.blocks[:-1], model.blocks[1:], strict=True):
            if not before.residual and not after.residual:
                channel = before.project.norm.weight.abs().argmax()
                before.project.norm.weight[channel] *= 1000
                before.project.norm.bias[channel] *= 1000
                after.expand.conv.weight[:, channel] /= 1000
    card, file = card_of(model, SIZE), tmp_path / TARGETS[target].file
    calibration = read_calibration(card.preprocess, coloured(tmp_path, 60, SIZE))
    quantizer(target)(model, card, file, calibration)
    answers = open_engine(file, TARGETS[target].engine or "")(calibration.pixels)
    expected = TorchEngine(usual, card)(calibration.pixels)
    assert np.mean(answers.argmax(1) == expected.argmax(1)) >= 0.95
