"""Pruning groups derived from the table, and networks cut along them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenets.arch import NAMES, build
from mobilenets.arch.net import Net
from mobilenets.nn.model import MobileNet
from mobilenets.searching.pruning.groups import channel_groups, with_channels
from mobilenets.searching.pruning.importance import importance, keep_important, slice_channels
from small import network


@pytest.mark.parametrize("name", NAMES)
def test_every_channel_of_every_tensor_belongs_to_a_group(name: str) -> None:
    net = build(name, width=0.35, num_classes=3)
    groups = channel_groups(net)
    with torch.device("meta"):
        state = MobileNet(net).state_dict()
    assert set(groups.tensors) <= set(state)
    for tensor, names in groups.tensors.items():
        for dimension, group in enumerate(names):
            if group is not None:
                assert state[tensor].shape[dimension] == groups.by_name[group].size, tensor
    described = {
        tensor for tensor in state if not tensor.endswith("num_batches_tracked") and ".se.reduce.bias" not in tensor
    }
    assert described - set(groups.tensors) == {"classifier.bias"}


def test_blocks_of_a_residual_chain_share_one_width() -> None:
    groups = channel_groups(build("mobilenet_v2"))
    shared = groups.by_name["blocks.7.out"] if "blocks.7.out" in groups.by_name else groups.by_name["blocks.6.out"]
    assert shared.describe() == "width of blocks 6 to 9"
    assert shared.size == 64
    widths = [group for name, group in groups.by_name.items() if name.endswith(".out")]
    assert [group.size for group in widths] == [16, 24, 32, 64, 96, 160, 320]
    assert len([name for name in groups.by_name if name.endswith(".exp")]) == 16  # the first block has no expansion
    assert groups.by_name["blocks.3.exp"].describe() == "expansion of block 3"


def test_a_width_that_would_gain_a_shortcut_or_lose_an_expansion_is_refused() -> None:
    net = build("mobilenet_v2")
    assert (
        with_channels(net, {"blocks.10.out": 64}) is None
    )  # from 64 to 64 at stride 1: a shortcut the paper does not have
    assert with_channels(net, {"blocks.10.out": 72}) is not None
    assert with_channels(net, {"blocks.2.exp": 24}) is None  # as wide as its input: no expansion convolution
    assert with_channels(net, {}) == net


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mobilenet_v1", {}),
        ("mobilenet_v2", {}),
        ("mobilenet_v3_small", {}),
        ("mobilenet_v3_large", {"flavor": "tf"}),
        ("mobilenet_v4_conv_small", {}),
        ("mobilenet_v4_conv_medium", {}),
    ],
)
def test_channels_that_are_zero_can_be_cut_without_a_trace(name: str, options: dict[str, str]) -> None:
    """The strongest check of the groups: silence some channels of every group, cut them, compare the outputs."""
    model = network(name, **options)
    groups = channel_groups(model.net)
    state = model.state_dict()
    keep = {}
    for group in groups.by_name.values():
        kept = torch.randperm(group.size)[: group.size - group.size // 3].sort().values
        if with_channels(model.net, {group.name: len(kept)}) is None:
            continue
        keep[group.name] = kept
    if with_channels(model.net, {n: len(k) for n, k in keep.items()}) is None:
        keep = {n: k for n, k in keep.items() if n.endswith(".exp")}
    for tensor, (out, _) in groups.tensors.items():
        # Behind a zero from BatchNorm (scale and shift 0) every activation here gives zero.
        if out in keep and tensor.endswith((".norm.weight", ".norm.bias", "hidden.0.weight", "hidden.0.bias")):
            silent = torch.ones(groups.by_name[out].size, dtype=torch.bool)
            silent[keep[out]] = False
            state[tensor][silent] = 0
    model.load_state_dict(state)
    x = torch.randn(2, 3, 40, 40)
    with torch.inference_mode():
        narrow = slice_channels(model, keep)
        assert sum(p.numel() for p in narrow.parameters()) < sum(p.numel() for p in model.parameters())
        torch.testing.assert_close(narrow(x), model(x), atol=1e-4, rtol=1e-4)


def test_a_table_of_cut_channels_goes_through_a_card_unchanged() -> None:
    net = with_channels(build("mobilenet_v3_small", num_classes=3), {"blocks.3.exp": 40, "last": 200, "hidden": 48})
    assert net is not None
    assert Net.from_dict(net.to_dict()) == net


def test_the_channels_that_matter_are_kept() -> None:
    model = network("mobilenet_v2")
    name = "blocks.5.exp"
    state = model.state_dict()
    strong = torch.tensor([1, 4, 7])
    weight = state["blocks.5.depthwise.norm.weight"]
    shift, cut = state["blocks.5.depthwise.norm.bias"], torch.ones_like(weight, dtype=torch.bool)
    cut[strong] = False
    weight[cut], shift[cut] = 0, 0
    model.load_state_dict(state)
    x, y = torch.randn(8, 3, 40, 40), torch.randint(0, 3, (8,))
    scores = importance(model, (torch.nn.functional.cross_entropy(model(x), y) for _ in range(1)))
    assert {group: len(s) for group, s in scores.items()} == channel_groups(model.net).sizes
    assert keep_important(scores, {name: 3})[name].tolist() == strong.tolist()


@settings(max_examples=25)
@given(st.data())
def test_narrowing_twice_is_narrowing_once(data: st.DataObject) -> None:
    net = build("mobilenet_v2", width=0.5, num_classes=2)
    groups = channel_groups(net)
    name = data.draw(st.sampled_from(sorted(groups.by_name)))
    big = data.draw(st.integers(1, groups.by_name[name].size))
    small = data.draw(st.integers(1, big))
    once, wide = with_channels(net, {name: small}), with_channels(net, {name: big})
    if once is not None and wide is not None:
        assert with_channels(wide, {name: small}) == once
