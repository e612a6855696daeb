"""A detector as data: the maps it reads, what it costs, where its anchors lie, and what no file may ask for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mobilenets.arch import DETECTORS, Net, build
from mobilenets.arch.anchors import anchors, grids
from mobilenets.arch.cost import costs, total
from mobilenets.arch.features import tap
from mobilenets.arch.ssd import Level
from mobilenets.errors import UserError
from mobilenets.tasks.detect.boxes import corners

TORCHVISION = build("ssdlite_mobilenet_v3_large", reduced_tail=True, flavor="torchvision")

# Name and channels of the maps of stride 8, 16 and 32, as 1801.04381 §6.2 and 1905.02244 §6.3 take them.
MAPS = [
    ("v1", {}, "blocks.4", 256, "blocks.10", 512, "blocks.12", 1024),
    ("v2", {}, "blocks.6.expand", 192, "blocks.13.expand", 576, "last", 1280),
    ("v3_large", {}, "blocks.6.expand", 240, "blocks.12.expand", 672, "last", 960),
    ("v3_large", {"reduced_tail": True}, "blocks.6.expand", 240, "blocks.12.expand", 672, "last", 480),
    ("v3_small", {}, "blocks.3.expand", 96, "blocks.8.expand", 288, "last", 576),
    ("v3_small", {"reduced_tail": True}, "blocks.3.expand", 96, "blocks.8.expand", 288, "last", 288),
    ("v4_conv_small", {}, "blocks.4.expand", 192, "blocks.10.expand", 576, "last", 960),
    ("v4_conv_medium", {}, "blocks.3.expand", 480, "blocks.11.expand", 960, "last", 960),
    ("v4_conv_large", {}, "blocks.3.expand", 384, "blocks.14.expand", 768, "last", 960),
]


@pytest.mark.parametrize(("name", "options", "c3", "c3_out", "c4", "c4_out", "c5", "c5_out"), MAPS)
def test_a_map_is_taken_where_its_stride_ends(
    name: str, options: dict[str, Any], c3: str, c3_out: int, c4: str, c4_out: int, c5: str, c5_out: int
) -> None:
    net = build(f"ssdlite_mobilenet_{name}", **options)
    found = [tap(net.rows(), stride) for stride in (8, 16, 32)]
    assert [(m.name, m.stride, m.channels) for m in found] == [(c3, 8, c3_out), (c4, 16, c4_out), (c5, 32, c5_out)]
    assert net.head_maps == tuple(found[1:])


def test_a_dilated_network_lacks_the_coarsest_map_and_is_refused() -> None:
    with pytest.raises(UserError, match="no map of stride 32; a detector needs output_stride 32"):
        build("ssdlite_mobilenet_v2", output_stride=16)


def test_torchvisions_detector_has_its_parameters_operations_and_boxes() -> None:
    """3,440,060 and 0.583 GMAC are what torchvision publishes with its weights."""
    params, macs = total(TORCHVISION, 320)
    assert params == 3_440_060
    assert round(macs / 1e9, 3) == 0.583
    assert anchors(TORCHVISION, 320).shape == (3234, 4)


# Million parameters and MAdds of 1905.02244, Table 6, at 320 pixels; the paper's heads are TensorFlow's.
@pytest.mark.parametrize(
    ("name", "options", "params", "macs"),
    [
        ("v3_large", {}, 4.97, 0.62e3),
        ("v3_large", {"reduced_tail": True}, 3.22, 0.51e3),
        ("v3_small", {}, 2.49, 0.21e3),
        ("v3_small", {"reduced_tail": True}, 1.77, 0.16e3),
        ("v2", {}, 4.3, 0.80e3),
    ],
)
def test_costs_are_near_those_of_the_paper(name: str, options: dict[str, Any], params: float, macs: float) -> None:
    ours = total(build(f"ssdlite_mobilenet_{name}", flavor="tf", **options), 320)
    assert ours[0] / 1e6 == pytest.approx(params, rel=0.08)
    assert ours[1] / 1e6 == pytest.approx(macs, rel=0.12)


def test_rows_of_the_head_say_the_map_they_work_on() -> None:
    rows = {row.name: row for row in costs(TORCHVISION, 320)}
    assert [rows[f"heads.{i}.boxes"].size for i in range(6)] == [20, 10, 5, 3, 2, 1]
    assert [rows[f"heads.{i}.classes"].channels for i in range(6)] == [672, 480, 512, 256, 256, 128]
    assert [rows[f"extra.{i}"].stride for i in range(4)] == [64, 128, 256, 512]
    assert rows["heads.0.classes"].out == 6 * 91


def test_the_first_anchors_are_torchvisions_to_a_ten_thousandth_of_a_pixel() -> None:
    first = corners(anchors(TORCHVISION, 320)[:4]) * 320
    known = [
        [-24, -24, 40, 40],
        [-34.332, -34.332, 50.332, 50.332],
        [-37.2548, -14.6274, 53.2548, 30.6274],
        [-14.6274, -37.2548, 30.6274, 53.2548],
    ]
    assert first == pytest.approx(np.array(known), abs=1e-3)  # as they were written down


def test_anchors_follow_level_row_column_and_shape() -> None:
    found = anchors(TORCHVISION, 320)
    assert found[6, :2].tolist() == pytest.approx([1.5 / 20, 0.5 / 20])  # the next column
    assert found[6 * 20, :2].tolist() == pytest.approx([0.5 / 20, 1.5 / 20])  # the next row
    assert found[6 * 400, :2].tolist() == pytest.approx([0.05, 0.05])  # the next level
    assert found[-1, :2].tolist() == [0.5, 0.5]
    assert found[:, 2:].max() == 1.0


@pytest.mark.parametrize(("size", "count"), [(300, 1917), (320, 2034)])
def test_tensorflows_anchors_are_fewer_and_in_its_order(size: int, count: int) -> None:
    found = anchors(build("ssdlite_mobilenet_v2", flavor="tf"), size)
    assert found.shape == (count, 4)
    half, double = 0.2 * 0.5**0.5, 0.2 * 2**0.5
    assert found[:3, 2:] == pytest.approx(np.array([[0.1, 0.1], [double, half], [half, double]]), abs=1e-6)
    cells = grids(build("ssdlite_mobilenet_v2", flavor="tf"), size, size)[0][0] ** 2
    second = found[3 * cells : 3 * cells + 6, 2:]
    s = 0.35
    ratios = [(s, s), (s * 2**0.5, s / 2**0.5), (s / 2**0.5, s * 2**0.5)]
    ratios += [(s * 3**0.5, s / 3**0.5), (s / 3**0.5, s * 3**0.5), ((s * 0.5) ** 0.5, (s * 0.5) ** 0.5)]
    assert second == pytest.approx(np.array(ratios), abs=1e-6)


def test_an_input_that_is_not_square_has_a_grid_that_is_not() -> None:
    found = anchors(TORCHVISION, 96, 160)
    assert grids(TORCHVISION, 96, 160)[0] == (6, 10)
    assert found[0, :2].tolist() == pytest.approx([0.05, 1 / 12])


def test_a_finer_map_can_be_added_with_anchors_of_its_own() -> None:
    head = TORCHVISION.ssd
    fine = replace(head, strides=(8, 16, 32), levels=(Level((0.06,), 0.06, (2.0,)), *head.levels))
    net = replace(TORCHVISION, head=fine).checked()
    assert anchors(net, 320).shape == (3234 + 3 * 40 * 40, 4)
    assert net.head_maps[0].name == "blocks.6.expand"
    assert net.max_cut == 6


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("flavor", ["timm", "tf"])
def test_a_detector_comes_back_from_json(name: str, flavor: str) -> None:
    if "v4" in name and flavor == "tf":
        pytest.skip("V4 has no such flavour")
    net = build(name, flavor=flavor, num_classes=3)
    assert Net.from_dict(json.loads(json.dumps(net.to_dict()))) == net


def test_a_classifiers_description_is_as_it_was_before_there_were_detectors() -> None:
    assert build("mobilenet_v2").to_dict()["head"] == {
        "hidden": 0, "norm": False, "act": "none", "dropout": 0.2, "num_classes": 1000
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_classes": 1}, "num_classes"),
        ({"num_classes": 10**9}, "num_classes"),
        ({"strides": [16]}, "levels: anchors for 6 maps; there are 5"),
        ({"strides": [32, 16]}, "do not rise"),
        ({"strides": []}, "do not rise"),
        ({"strides": [16, 64]}, "strides: 64"),
        ({"strides": [[16], 32]}, "strides"),
        ({"strides": "ab"}, "strides"),
        ({"strides": 7}, "not a description"),
        ({"extras": [512, 256, 256, 1]}, "extras"),
        ({"extras": [512, 256, 256, 10**7]}, "extras"),
        ({"extras": [16] * 1000}, "number of extras"),
        ({"levels": []}, "levels"),
        ({"levels": None}, "not a description"),
        ({"order": "mine"}, "order"),
        ({"norm_eps": "x"}, "norm_eps"),
        ({"kind": "yolo"}, "not a description"),
        ({"colour": 1}, "not a description"),
    ],
    ids=str,
)
def test_a_strangers_head_is_refused_in_a_line(changes: dict[str, Any], said: str) -> None:
    values = TORCHVISION.to_dict()
    values["head"] = {**values["head"], **changes}
    with pytest.raises(UserError, match=said):
        Net.from_dict(values)


@pytest.mark.parametrize(
    "level",
    [
        {"squares": [0.2], "scale": 0, "ratios": [2]},
        {"squares": [float("nan")], "scale": 0.2, "ratios": [2]},
        {"squares": [True], "scale": 0.2, "ratios": [2]},
        {"squares": ["a"], "scale": 0.2, "ratios": [2]},
        {"squares": [], "scale": 0.2, "ratios": []},
        {"squares": [0.2] * 33, "scale": 0.2, "ratios": []},
        {"squares": [0.2], "scale": 0.2, "ratios": [0.5]},
        {"squares": [0.2], "scale": 1e9, "ratios": [2]},
    ],
    ids=str,
)
def test_anchors_that_are_none_are_refused_in_a_line(level: dict[str, Any]) -> None:
    values = TORCHVISION.to_dict()
    levels = [level, *values["head"]["levels"][1:]]
    with pytest.raises(UserError, match="anchors"):
        Net.from_dict({**values, "head": {**values["head"], "levels": levels}})


def test_a_classifier_has_no_anchors_and_a_detector_no_classifier() -> None:
    with pytest.raises(UserError, match="mobilenet_v2: a classifier, not a detector"):
        anchors(build("mobilenet_v2"), 320)
    with pytest.raises(UserError, match="no classifier, and this is there for classifiers alone"):
        _ = TORCHVISION.classifier
    with pytest.raises(UserError, match="dropout: ssdlite_mobilenet_v2 has none"):
        build("ssdlite_mobilenet_v2", dropout=0.5)
