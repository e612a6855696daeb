"""Detectors from files: torchvision's under its own names, a classifier's as the backbone, our own with their card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mobilenets.arch import build
from mobilenets.errors import UserError
from mobilenets.model_card import ModelCard
from mobilenets.nn.io import write_network
from mobilenets.nn.model import MobileNet
from mobilenets.nn.network import make_network
from mobilenets.runtime.base import features_engine
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.verbs.model_argument import open_network
from mobilenets.weights.catalog import COCO_FILE
from mobilenets.weights.coco import class_names
from mobilenets.weights.convert import export_state
from mobilenets.weights.create import create

State = dict[str, torch.Tensor]


def _random(net: Any) -> State:
    torch.manual_seed(1)
    state = make_network(net).state_dict()
    return {k: torch.rand_like(v) + 0.5 if v.dtype.is_floating_point else v for k, v in state.items()}


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    """A file like torchvision's of COCO, under its name, of random numbers; and what it holds under our names."""
    net = build("ssdlite_mobilenet_v3_large", reduced_tail=True, flavor="torchvision")
    path, ours = tmp_path_factory.mktemp("coco") / COCO_FILE, _random(net)
    torch.save(export_state(ours, net, "torchvision-ssdlite"), path)
    return path, ours


def test_torchvisions_file_is_read_with_everything_in_it(coco: tuple[Path, State]) -> None:
    path, ours = coco
    for name in ("ssdlite_mobilenet_v3_large", None):  # its tail and name are seen from its shapes
        model = create(name, weights=path)
        assert model.net.name == "ssdlite_mobilenet_v3_large"
        assert (model.net.feature_channels, model.net.num_classes) == (480, 91)
        assert (model.net.flavor, model.provenance["classifier"]) == ("torchvision", "pretrained")
        found = model.state_dict()
        assert all(torch.equal(found[k], v) for k, v in ours.items() if "num_batches" not in k)
        preprocess = model.preprocess
        assert (preprocess.size, preprocess.fit, preprocess.mean, preprocess.std) == (
            320, "squash", (0.5,) * 3, (0.5,) * 3
        )  # fmt: skip


def test_other_classes_take_all_but_what_predicts_them(coco: tuple[Path, State]) -> None:
    path, ours = coco
    model = create("ssdlite_mobilenet_v3_large", weights=path, num_classes=4)
    found = model.state_dict()
    same = {k for k, v in ours.items() if "num_batches" not in k and torch.equal(v, found[k])}
    new = {k for k in found if ".classes.predict." in k}
    assert same | new == {k for k in found if "num_batches" not in k}
    assert model.provenance["classifier"] == "new"


def test_a_file_of_another_width_or_network_is_told(coco: tuple[Path, State]) -> None:
    with pytest.raises(UserError, match=f"{COCO_FILE}: a detector, but no ssdlite_mobilenet_v3_large of width 0.5"):
        create("ssdlite_mobilenet_v3_large", weights=coco[0], width=0.5)
    with pytest.raises(UserError, match=f"{COCO_FILE}: a detector, but no mobilenet_v3_large"):
        create("mobilenet_v3_large", weights=coco[0])


@pytest.mark.parametrize(
    ("name", "layout", "flavor"),
    [("mobilenet_v1", "timm", "timm"), ("mobilenet_v2", "torchvision", "torchvision"),
     ("mobilenet_v3_small", "timm", "timm"), ("mobilenet_v4_conv_small", "timm", "timm")],
)  # fmt: skip
def test_a_classifiers_weights_become_the_backbone(name: str, layout: str, flavor: str, tmp_path: Path) -> None:
    net = build(name, flavor=flavor, width=0.5)
    ours = _random(net)
    torch.save(export_state(ours, net, layout), tmp_path / "classifier.pth")
    model = create(f"ssdlite_{name}", weights=tmp_path / "classifier.pth", width=0.5, num_classes=3)
    found = model.state_dict()
    backbone = {k for k in ours if not k.startswith(("hidden", "classifier")) and "num_batches" not in k}
    assert all(torch.equal(found[k], ours[k]) for k in backbone)
    assert {k for k in found if not k.startswith(("extra.", "heads.")) and "num_batches" not in k} == backbone
    assert (model.net.num_classes, model.provenance["classifier"]) == (3, "new")
    assert model.preprocess.fit == "squash"


def test_the_published_weights_of_a_classifier_are_found_by_their_tag() -> None:
    model, classifier = (create(f"{kind}mobilenet_v2", weights="torchvision-v1") for kind in ("ssdlite_", ""))
    assert torch.equal(model.get_parameter("last.conv.weight"), classifier.get_parameter("last.conv.weight"))
    assert model.provenance["weights"] == "torchvision-v1"
    assert (model.preprocess.mean, model.preprocess.size) == (classifier.preprocess.mean, 320)


def test_a_classifier_of_our_own_becomes_a_detector_and_a_detector_stays_one(tmp_path: Path) -> None:
    net = build("mobilenet_v2", width=0.35, num_classes=2)
    classifier = MobileNet(net)
    write_network(tmp_path / "c.safetensors", classifier, ModelCard("c", net, ("a", "b"), classifier.preprocess))
    model = create("ssdlite_mobilenet_v2", weights=tmp_path / "c.safetensors", num_classes=3)
    assert torch.equal(model.get_parameter("last.conv.weight"), classifier.get_parameter("last.conv.weight"))
    card = ModelCard("d", model.net, ("a", "b"), model.preprocess, task="detect")
    write_network(tmp_path / "d.safetensors", model, card)
    with pytest.raises(UserError, match="d: finds boxes and gives no features of a photo"):
        features_engine(TorchEngine.read(tmp_path / "d.safetensors"))
    again = create(weights=tmp_path / "d.safetensors")
    assert again.net == model.net
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in model.state_dict().items())
    with pytest.raises(UserError, match="holds a ssdlite_mobilenet_v2, not a mobilenet_v2"):
        create("mobilenet_v2", weights=tmp_path / "d.safetensors")


def test_published_weights_say_which_tail_they_have() -> None:
    with pytest.raises(UserError, match="torchvision-coco is of ssdlite_mobilenet_v3_large with reduced_tail True"):
        create("ssdlite_mobilenet_v3_large", weights="torchvision-coco", reduced_tail=False)
    with pytest.raises(
        UserError, match="tag of ssdlite_mobilenet_v3_large at width 1; there are torchvision-coco, timm"
    ):
        create("ssdlite_mobilenet_v3_large", weights="nothing")


def test_the_names_of_cocos_classes_stand_at_its_numbers() -> None:
    names = class_names()
    assert len(names) == len(set(names)) == 90
    assert (names[0], names[16], names[11], names[89]) == ("person", "cat", "(none 12)", "toothbrush")


@pytest.mark.parametrize("text", ["ssdlite_mobilenet_v2", "ssdlite_mobilenet_v3_large/torchvision-v1"])
def test_a_backbone_alone_is_no_detector_to_predict_with(text: str) -> None:
    with pytest.raises(UserError, match=f"{text}: no detector with such weights is published, only ssdlite_"):
        open_network(text)
