"""The catalogue: every entry builds, is unique and says what it needs to be fetched and used."""

from __future__ import annotations

import re

import pytest

from mobilenets.arch import NAMES, build
from mobilenets.arch.cost import total
from mobilenets.weights.catalog import CATALOG, COCO, Checkpoint, checkpoints, matching
from mobilenets.weights.imagenet import class_names
from mobilenets.weights.layouts import module_names


def _name(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.model}-{checkpoint.width:g}-{checkpoint.tag}"


@pytest.mark.parametrize("checkpoint", CATALOG, ids=_name)
def test_every_checkpoint_has_a_network_that_its_library_has_too(checkpoint: Checkpoint) -> None:
    net = build(checkpoint.model, width=checkpoint.width, flavor=checkpoint.flavor)
    layout = {"torchvision": "torchvision", "keras": "keras"}.get(checkpoint.base, "timm")
    names = module_names(net, layout)
    assert len(set(names.values())) == len(names)
    assert checkpoint.preprocess.size >= 96
    assert 40 < checkpoint.top1 < 85
    assert checkpoint.licence in ("Apache-2.0", "BSD-3-Clause")


@pytest.mark.parametrize("checkpoint", CATALOG + COCO, ids=_name)
def test_every_digest_is_one(checkpoint: Checkpoint) -> None:
    assert re.fullmatch(r"|sha256:[0-9a-f]{8,64}|md5:[0-9a-f]{8,32}", checkpoint.digest)
    if checkpoint.base in ("torchvision", "github"):
        assert checkpoint.digest.startswith("sha256:")
        assert checkpoint.name.endswith(f"-{checkpoint.digest.removeprefix('sha256:')}.pth")


def test_a_tag_names_one_checkpoint_of_a_network_and_width() -> None:
    keys = [(c.model, c.width, c.tag) for c in CATALOG + COCO]
    assert len(set(keys)) == len(keys)


def test_the_detector_of_torchvision_is_the_one_with_half_a_tail() -> None:
    (checkpoint,) = checkpoints("ssdlite_mobilenet_v3_large")
    assert (checkpoint.is_detector, checkpoint.reduced_tail, checkpoint.top1) == (True, True, 21.3)
    net = build(checkpoint.model, flavor=checkpoint.flavor, reduced_tail=True)
    assert total(net, checkpoint.preprocess.size)[0] == 3_440_060
    names = module_names(net, "torchvision-ssdlite")
    assert len(set(names.values())) == len(names)


def test_no_two_checkpoints_share_a_file_in_the_cache() -> None:
    assert len({c.name for c in CATALOG + COCO}) == len(CATALOG + COCO)


def test_every_network_has_published_weights_at_width_1() -> None:
    assert all(checkpoints(name) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_default_is_the_most_accurate_that_needs_no_h5py(name: str) -> None:
    first, *others = checkpoints(name)
    assert first.base != "keras"
    assert all(other.top1 <= first.top1 for other in others if other.base != "keras")


def test_v1_at_width_125_is_timms() -> None:
    (checkpoint,) = checkpoints("mobilenet_v1", 1.25)
    assert checkpoint.file == "timm/mobilenetv1_125.ra4_e3600_r224_in1k"
    assert total(build("mobilenet_v1", width=1.25, flavor="timm"), 224)[0] == 6_270_840


def test_a_width_that_only_keras_published_has_a_keras_default() -> None:
    assert checkpoints("mobilenet_v1", 0.25)[0].tag == "keras-224"
    assert checkpoints("mobilenet_v1", 0.3) == []


def test_the_default_flavor_is_that_of_the_default_weights() -> None:
    for name in NAMES:
        assert build(name).flavor == checkpoints(name)[0].flavor, name


@pytest.mark.parametrize(
    ("pattern", "models"),
    [("mobilenet*", set(NAMES)), ("ssd*", {"ssdlite_mobilenet_v3_large"}),
     ("mobilenet_v2", {"mobilenet_v2"}), ("mobilenet_v2/torchvision-*", {"mobilenet_v2"}),
     ("*/keras-96", {"mobilenet_v2"}), ("resnet*", set())],
)  # fmt: skip
def test_patterns_match_models_and_tags(pattern: str, models: set[str]) -> None:
    assert {c.model for c in matching(pattern)} == models


def test_there_are_a_thousand_class_names_in_torchvisions_order() -> None:
    names = class_names()
    assert len(names) == len(set(names)) == 1000
    known = {0: "tench", 1: "goldfish", 207: "golden retriever", 281: "tabby", 985: "daisy", 999: "toilet tissue"}
    assert {i: names[i] for i in known} == known
    assert all(name == name.strip() and name for name in names)
