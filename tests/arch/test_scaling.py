"""The arithmetic of width, for any width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.arch import NAMES, build
from mobilenets.arch.build import make_divisible
from mobilenets.arch.rows import Inverted, Universal

WIDTHS = st.floats(0.05, 4.0)
FLAVORS = {
    "mobilenet_v1": ("timm", "tf"),
    "mobilenet_v2": ("torchvision", "timm", "tf"),
    "mobilenet_v3_large": ("torchvision", "timm", "tf"),
    "mobilenet_v3_small": ("torchvision", "timm", "tf"),
}


@given(st.floats(0.001, 1e6), st.sampled_from([1, 2, 4, 8, 16, 32]))
def test_channels_are_a_near_multiple_of_the_divisor(value: float, divisor: int) -> None:
    rounded = make_divisible(value, divisor)
    assert rounded % divisor == 0
    assert rounded >= divisor
    assert rounded >= 0.9 * value
    assert rounded <= value + divisor


@given(st.integers(1, 10_000))
def test_multiples_of_eight_stay(eighth: int) -> None:
    assert make_divisible(8 * eighth) == 8 * eighth


@given(st.floats(0.001, 1e4), st.floats(0.001, 1e4))
def test_a_wider_value_never_gets_fewer_channels(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert make_divisible(low) <= make_divisible(high)


@pytest.mark.parametrize(
    ("value", "rounded"), [(3, 8), (11, 16), (12, 16), (18, 24), (19, 24), (20, 24), (24 * 0.75, 24), (32 * 0.35, 16)]
)
def test_rounding_down_stops_at_a_tenth(value: float, rounded: int) -> None:
    assert make_divisible(value) == rounded


@given(st.sampled_from(NAMES), WIDTHS)
def test_every_width_gives_a_network_of_the_same_shape(name: str, width: float) -> None:
    net, full = build(name, width=width), build(name)
    assert len(net.blocks) == len(full.blocks)
    assert [row.stride for row in net.blocks] == [row.stride for row in full.blocks]
    assert [type(row) for row in net.blocks] == [type(row) for row in full.blocks]
    assert all(row.out % 8 == 0 for row in net.blocks)
    expansions = [row.exp for row in net.blocks if isinstance(row, Inverted | Universal)]
    assert all(exp % 8 == 0 for exp in expansions)


@given(st.sampled_from(sorted(FLAVORS)), st.sampled_from([0.5, 1.0, 1.5, 2.0]))
def test_flavors_agree_on_the_blocks_where_nothing_needs_rounding(name: str, width: float) -> None:
    outs = {tuple(row.out for row in build(name, width=width, flavor=f).blocks) for f in FLAVORS[name]}
    assert len(outs) == 1


def test_keras_truncates_v1_where_timm_rounds_to_eight() -> None:
    assert build("mobilenet_v1", width=0.33, flavor="tf").blocks[0].out == int(64 * 0.33) == 21
    assert build("mobilenet_v1", width=0.33, flavor="timm").blocks[0].out == 24


@given(st.floats(0.05, 1.0))
def test_v2_never_narrows_its_last_convolution(width: float) -> None:
    assert build("mobilenet_v2", width=width).feature_channels == 1280


def test_v2_widens_its_last_convolution() -> None:
    assert build("mobilenet_v2", width=1.4).feature_channels == 1792


@pytest.mark.parametrize(
    ("flavor", "stem", "hidden"), [("torchvision", 8, 512), ("timm", 16, 1024), ("tf", 16, 1024)], ids=str
)
def test_narrow_v3_keeps_stem_and_hidden_layer_as_its_library_does(flavor: str, stem: int, hidden: int) -> None:
    net = build("mobilenet_v3_small", width=0.5, flavor=flavor)
    assert (net.stem.out, net.head_width) == (stem, hidden)
