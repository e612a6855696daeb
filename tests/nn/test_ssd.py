"""The detector's module: what comes out for every anchor, frozen fronts, folding, other classes and other anchors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mobilenets.arch import DETECTORS, build
from mobilenets.arch.anchors import anchors
from mobilenets.arch.cost import total
from mobilenets.arch.ssd import Level
from mobilenets.errors import UserError
from mobilenets.exporting.deploy import fold_norms
from mobilenets.model_card import ModelCard
from mobilenets.nn.io import read_network, write_network
from mobilenets.nn.network import make_network
from mobilenets.nn.ssd import Detector

SIZE = 96


def _detector(name: str, **options: Any) -> Detector:
    """A narrow one with BatchNorm statistics that are nobody's defaults."""
    torch.manual_seed(0)
    model = make_network(build(name, **{"width": 0.35, "num_classes": 4, **options}))
    assert isinstance(model, Detector)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, 0, 0.2)
            nn.init.uniform_(part.running_var, 0.5, 2)
    return model.eval()


def _fine(model: Detector) -> Any:
    """The head of `model` with the map of stride 8 too."""
    head = model.net.ssd
    return replace(head, strides=(8, 16, 32), levels=(Level((0.06,), 0.06, (2.0,)), *head.levels))


def test_torchvisions_detector_has_as_many_tensors_and_parameters() -> None:
    model = make_network(build("ssdlite_mobilenet_v3_large", reduced_tail=True, flavor="torchvision"))
    assert len(model.state_dict()) == 476
    assert sum(p.numel() for p in model.parameters()) == 3_440_060


@pytest.mark.parametrize("name", DETECTORS)
@torch.inference_mode()
def test_every_anchor_has_classes_a_box_and_itself(name: str) -> None:
    model = _detector(name)
    outputs = model(torch.randn(2, 3, SIZE, SIZE))
    boxes = torch.tensor(anchors(model.net, SIZE))
    assert outputs.shape == (2, len(boxes), 4 + 4 + 4)
    assert torch.equal(outputs[1, :, 8:], boxes)
    assert outputs.isfinite().all()
    assert sum(p.numel() for p in model.parameters()) == total(model.net, SIZE)[0]


@torch.inference_mode()
def test_the_outputs_of_a_place_come_from_that_place_of_its_map() -> None:
    """Only the last convolution's bias of one anchor and class is set, and only its rows answer."""
    model = _detector("ssdlite_mobilenet_v2")
    for heads in model.heads:
        for part in (heads.classes, heads.boxes):
            nn.init.zeros_(part.predict.weight)
            nn.init.zeros_(part.predict.bias)
    model.heads[0].classes.predict.bias[1 * 4 + 2] = 1.0  # anchor 1, class 2
    model.heads[1].boxes.predict.bias[3 * 4 + 0] = 2.0  # anchor 3, x
    found = model(torch.randn(1, 3, SIZE, SIZE))[0]
    per_cell = [level.count for level in model.net.ssd.levels]
    first = per_cell[0] * 6 * 6
    assert found[:, :8].nonzero()[:, 0].tolist() == [
        *range(1, first, per_cell[0]),
        *range(first + 3, first + per_cell[1] * 3 * 3, per_cell[1]),
    ]
    assert (found[1 : first : per_cell[0], 2] == 1).all()
    assert (found[first + 3 : first + per_cell[1] * 9 : per_cell[1], 4] == 2).all()


@pytest.mark.parametrize("name", ["ssdlite_mobilenet_v1", "ssdlite_mobilenet_v2", "ssdlite_mobilenet_v4_conv_small"])
@pytest.mark.parametrize("is_fine", [False, True])
@torch.inference_mode()
def test_the_rest_behind_frozen_blocks_gives_the_same(name: str, is_fine: bool) -> None:
    model, x = _detector(name), torch.randn(1, 3, SIZE, SIZE)
    if is_fine:
        model.reset_head(_fine(model))
    whole = model(x)
    for cut in (0, 1, model.net.max_cut):
        front = model.stem(x)
        for block in model.blocks[:cut]:
            front = block(front)
        assert torch.equal(model(front, after=cut), whole)
    front = model.blocks[cut](front)
    with pytest.raises(UserError, match=rf"{name}: no map 'blocks.* behind {cut + 1} blocks"):
        model(front, after=cut + 1)


@torch.inference_mode()
def test_a_tap_inside_a_block_leaves_the_blocks_output_as_it_is() -> None:
    model, x = _detector("ssdlite_mobilenet_v3_large"), torch.randn(1, 3, SIZE, SIZE)
    inner, last = model.maps(x, ["blocks.12.expand", "last"])
    assert torch.equal(last, model.forward_features(x))
    front = model.stem(x)
    for block in model.blocks[:12]:
        front = block(front)
    assert torch.equal(inner, model.blocks[12].expand(front))


def test_a_map_that_is_not_there_is_told() -> None:
    with pytest.raises(UserError, match=r"no map 'blocks\.99' behind 0 blocks"):
        _detector("ssdlite_mobilenet_v2").maps(torch.zeros(1, 3, 32, 32), ["blocks.99"])


@torch.inference_mode()
def test_folded_norms_change_nothing() -> None:
    model, x = _detector("ssdlite_mobilenet_v3_small"), torch.randn(2, 3, SIZE, SIZE)
    folded = fold_norms(model)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    torch.testing.assert_close(folded(x), model(x), atol=1e-5, rtol=1e-5)


def test_a_detector_is_kept_and_read_with_its_card(tmp_path: Path) -> None:
    model, x = _detector("ssdlite_mobilenet_v2", num_classes=3), torch.randn(1, 3, SIZE, SIZE)
    card = ModelCard("d", model.net, ("cat", "dog"), model.preprocess, task="detect")
    write_network(tmp_path / "d.safetensors", model, card)
    found = read_network(tmp_path / "d.safetensors")
    assert isinstance(found.model, Detector)
    assert found.card == card
    with torch.inference_mode():
        torch.testing.assert_close(found.model(x), model(x), atol=1e-5, rtol=1e-5)


def test_other_classes_leave_boxes_and_backbone_as_they_are() -> None:
    model = _detector("ssdlite_mobilenet_v2").double()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.reset_classifier(8)
    assert model.net.num_classes == 8
    after = model.state_dict()
    changed = {k for k, v in after.items() if k not in before or not torch.equal(v, before[k])}
    assert changed == {f"heads.{i}.classes.predict.{p}" for i in range(6) for p in ("weight", "bias")}
    assert model(torch.zeros(1, 3, SIZE, SIZE, dtype=torch.float64)).shape[2] == 16
    assert model.provenance["classifier"] == "new"


def test_a_head_for_finer_maps_keeps_the_extra_ones_and_begins_its_predictions_anew() -> None:
    model = _detector("ssdlite_mobilenet_v2")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.reset_head(_fine(model))
    after = model.state_dict()
    assert len(model.heads) == 7
    assert all(torch.equal(after[k], v) for k, v in before.items() if not k.startswith("heads."))
    assert not torch.equal(after["heads.1.boxes.predict.weight"], before["heads.0.boxes.predict.weight"])
    assert model(torch.zeros(1, 3, SIZE, SIZE)).shape[1] == len(anchors(model.net, SIZE))


def test_new_predictions_expect_the_background_and_their_norms_are_those_of_detectors() -> None:
    torch.manual_seed(0)
    model = make_network(build("ssdlite_mobilenet_v2", num_classes=21))
    assert isinstance(model, Detector)
    predict = model.heads[0].classes.predict
    assert predict.weight.std().item() == pytest.approx(0.03, rel=0.05)
    expected = predict.bias.view(-1, 21).softmax(1)
    torch.testing.assert_close(expected[:, 0], torch.full((6,), 0.99))
    assert expected[:, 1:].std(1).max() == 0
    assert model.heads[0].boxes.predict.bias.abs().sum() == 0
    norms = [m for part in model.head_modules for m in part.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}
    assert len(norms) == 4 * 3 + 6 * 2


def test_gradients_reach_every_weight() -> None:
    model = _detector("ssdlite_mobilenet_v3_small").train()
    model(torch.randn(2, 3, SIZE, SIZE))[..., :8].square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
