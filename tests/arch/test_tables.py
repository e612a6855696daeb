"""The papers' tables, read off the networks that are built from them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mobilenets.arch import NAMES, Net, build
from mobilenets.arch.features import feature_info
from mobilenets.arch.rows import Inverted, Separable
from mobilenets.errors import UserError


def _inverted(name: str, **options: Any) -> list[Inverted]:
    rows = [row for row in build(name, **options).blocks if isinstance(row, Inverted)]
    assert len(rows) == len(build(name, **options).blocks)
    return rows


def test_v1_is_table_1_of_its_paper() -> None:
    net = build("mobilenet_v1")
    assert (net.stem.kernel, net.stem.out, net.stem.stride) == (3, 32, 2)
    assert all(isinstance(row, Separable) and row.kernel == 3 for row in net.blocks)
    assert [row.out for row in net.blocks] == [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    assert [row.stride for row in net.blocks] == [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]


def test_v2_is_table_2_of_its_paper() -> None:
    net = build("mobilenet_v2")
    rows = _inverted("mobilenet_v2")
    outs = [16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320]
    assert [row.out for row in rows] == outs
    assert [row.stride for row in rows] == [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]
    assert rows[0].exp == net.stem.out == 32
    assert [row.exp for row in rows[1:]] == [6 * channels for channels in outs[:-1]]
    assert {(row.kernel, row.se, row.act) for row in rows} == {(3, 0, "relu6")}
    assert net.last is not None
    assert net.last.out == 1280


def test_v3_large_is_table_1_of_its_paper() -> None:
    rows = _inverted("mobilenet_v3_large")
    table = [
        (3, 16, 16, False, "relu", 1),
        (3, 64, 24, False, "relu", 2),
        (3, 72, 24, False, "relu", 1),
        (5, 72, 40, True, "relu", 2),
        (5, 120, 40, True, "relu", 1),
        (5, 120, 40, True, "relu", 1),
        (3, 240, 80, False, "hswish", 2),
        (3, 200, 80, False, "hswish", 1),
        (3, 184, 80, False, "hswish", 1),
        (3, 184, 80, False, "hswish", 1),
        (3, 480, 112, True, "hswish", 1),
        (3, 672, 112, True, "hswish", 1),
        (5, 672, 160, True, "hswish", 2),
        (5, 960, 160, True, "hswish", 1),
        (5, 960, 160, True, "hswish", 1),
    ]
    assert [(r.kernel, r.exp, r.out, r.se > 0, r.act, r.stride) for r in rows] == table
    net = build("mobilenet_v3_large")
    assert (net.stem.out, net.stem.act, net.feature_channels, net.head_width) == (16, "hswish", 960, 1280)


def test_v3_small_ends_as_in_table_2_of_its_paper() -> None:
    rows = _inverted("mobilenet_v3_small")
    assert [row.exp for row in rows] == [16, 72, 88, 96, 240, 240, 120, 144, 288, 576, 576]
    assert [row.out for row in rows] == [16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96]
    net = build("mobilenet_v3_small")
    assert (net.feature_channels, net.head_width) == (576, 1024)


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
def test_squeeze_works_on_a_quarter_of_the_expansion(name: str) -> None:
    for row in _inverted(name):
        if row.se:
            assert 0.9 * row.exp / 4 <= row.se < row.exp / 4 + 8
            assert row.se % 8 == 0


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
def test_minimal_v3_has_no_squeeze_no_hard_swish_and_no_kernel_of_5(name: str) -> None:
    full, minimal = _inverted(name), _inverted(f"{name}_minimal")
    assert {(row.kernel, row.se, row.act) for row in minimal} == {(3, 0, "relu")}
    assert [(row.exp, row.out, row.stride) for row in minimal] == [(row.exp, row.out, row.stride) for row in full]


def test_reduced_tail_halves_what_follows_c4_and_nothing_before() -> None:
    full = build("mobilenet_v3_large", flavor="torchvision")
    reduced = build("mobilenet_v3_large", flavor="torchvision", reduced_tail=True)
    assert reduced.blocks[:12] == full.blocks[:12]
    assert [row.out for row in reduced.blocks[12:]] == [80, 80, 80]
    assert [row.exp for row in reduced.blocks[12:] if isinstance(row, Inverted)] == [672, 480, 480]
    assert (reduced.feature_channels, reduced.head_width) == (480, 640)


@pytest.mark.parametrize(
    ("flavor", "name", "eps", "momentum"),
    [
        ("torchvision", "mobilenet_v2", 1e-5, 0.1),
        ("torchvision", "mobilenet_v3_large", 1e-3, 0.01),
        ("timm", "mobilenet_v1", 1e-5, 0.1),
        ("timm", "mobilenet_v3_small", 1e-5, 0.1),
        ("timm", "mobilenet_v4_conv_small", 1e-5, 0.1),
        ("tf", "mobilenet_v1", 1e-3, 0.01),
        ("tf", "mobilenet_v2", 1e-3, 0.001),
        ("tf", "mobilenet_v3_small_minimal", 1e-3, 0.001),
    ],
)
def test_batch_norm_is_that_of_the_flavors_library(flavor: str, name: str, eps: float, momentum: float) -> None:
    net = build(name, flavor=flavor)
    assert (net.norm_eps, net.norm_momentum) == (eps, momentum)


def test_only_tensorflows_networks_pad_as_it_does() -> None:
    assert build("mobilenet_v2", flavor="tf").padding == "same"
    assert build("mobilenet_v2", flavor="timm").padding == "symmetric"
    assert build("mobilenet_v2", flavor="torchvision").padding == "symmetric"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("output_stride", [32, 16, 8])
def test_no_map_is_coarser_than_the_output_stride(name: str, output_stride: int) -> None:
    net = build(name, output_stride=output_stride)
    strides = [level.stride for level in feature_info(net)]
    assert strides == sorted(set(strides))
    assert strides[-1] == output_stride
    assert [row.out for row in net.blocks] == [row.out for row in build(name).blocks]


def test_dilation_begins_after_the_lost_stride_except_in_torchvision() -> None:
    late = build("mobilenet_v3_large", output_stride=16, flavor="timm")
    early = build("mobilenet_v3_large", output_stride=16, flavor="torchvision")
    assert [row.dilation for row in late.blocks[11:]] == [1, 1, 2, 2]
    assert [row.dilation for row in early.blocks[11:]] == [1, 2, 2, 2]


@pytest.mark.parametrize("name", NAMES)
def test_a_net_comes_back_from_json_as_it_was(name: str) -> None:
    net = build(name, num_classes=7, in_channels=1, output_stride=16, dropout=0.5)
    assert Net.from_dict(json.loads(json.dumps(net.to_dict()))) == net


HUGE = 10**9


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("in_channels",), HUGE),
        (("in_channels",), 0),
        (("in_channels",), 3.0),
        (("in_channels",), True),
        (("in_channels",), "3"),
        (("flavor",), "caffe"),
        (("padding",), ["same"]),
        (("output_stride",), 64),
        (("norm_eps",), float("nan")),
        (("norm_eps",), -1.0),
        (("norm_momentum",), 1.5),
        (("stem", "out"), HUGE),
        (("stem", "out"), -8),
        (("stem", "act"), "__import__"),
        (("stem", "stride"), 0),
        (("stem", "kernel"), 0),
        (("stem", "kernel"), 1001),
        (("stem",), None),
        (("stem",), {"kernel": 3}),
        (("blocks",), []),
        (("blocks",), None),
        (("blocks",), "x"),
        (("blocks",), [{"kind": "conv", "kernel": 1, "out": 8, "act": "relu", "stride": 1}] * 501),
        (("blocks", 0, "kind"), "nothing"),
        (("blocks", 0, "kind"), ["conv"]),
        (("blocks", 0, "exp"), HUGE),
        (("blocks", 0, "exp"), 0),
        (("blocks", 0, "exp"), -1),
        (("blocks", 0, "se"), HUGE),
        (("blocks", 0, "dilation"), HUGE),
        (("blocks", 0, "surprise"), 1),
        (("head", "num_classes"), HUGE),
        (("head", "num_classes"), -1),
        (("head", "hidden"), 2.5),
        (("head", "norm"), "yes"),
        (("head", "act"), "gelu"),
        (("head", "dropout"), 2),
        (("head", "dropout"), float("inf")),
        (("last",), "conv"),
        (("width",), "wide"),
        (("width",), float("nan")),
        (("name",), 5),
        (("family",), "v9"),
        (("surprise",), 1),
    ],
    ids=str,
)
def test_impossible_values_of_a_strangers_file_are_told_in_one_line(place: tuple[Any, ...], value: object) -> None:
    values = build("mobilenet_v3_small").to_dict()
    target: Any = values
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with pytest.raises(UserError) as told:
        Net.from_dict(values)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("missing", sorted(build("mobilenet_v2").to_dict().keys() - {"output_stride"}))
def test_a_missing_value_is_told(missing: str) -> None:
    values = build("mobilenet_v2").to_dict()
    del values[missing]
    with pytest.raises(UserError, match=missing):
        Net.from_dict(values)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"name": "mobilenet_v9"}, "mobilenet_v9"),
        ({"width": 0.0}, "width"),
        ({"width": float("nan")}, "width"),
        ({"width": 1e9}, "width"),
        ({"flavor": "caffe"}, "flavor"),
        ({"flavor": "torchvision", "name": "mobilenet_v1"}, "flavor"),
        ({"reduced_tail": True}, "reduced_tail"),
        ({"output_stride": 4}, "output_stride"),
        ({"num_classes": -1}, "num_classes"),
        ({"in_channels": 0}, "in_channels"),
        ({"dropout": 1.5}, "dropout"),
    ],
    ids=str,
)
def test_wrong_arguments_are_named(options: dict[str, Any], names: str) -> None:
    with pytest.raises(UserError, match=names):
        build(**{"name": "mobilenet_v2", **options})
