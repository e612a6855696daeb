"""What dilation must not change: shortcuts as each library has them, and the names weights are loaded by."""

from __future__ import annotations

import pytest
import torch

from mobilenets.arch import NAMES, Net, build
from mobilenets.arch.rows import Inverted
from mobilenets.nn.model import MobileNet
from mobilenets.weights.convert import convert, export_state


def _weights(net: Net) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {k: v for k, v in MobileNet(net).state_dict().items() if not k.endswith("num_batches_tracked")}


def test_torchvisions_row_that_lost_its_stride_has_no_shortcut_though_its_channels_would_allow_one() -> None:
    net = build("mobilenet_v3_small", flavor="torchvision", reduced_tail=True, output_stride=16)
    lost, before = net.blocks[8], net.blocks[7]
    assert isinstance(lost, Inverted)
    assert (lost.stride, lost.out) == (1, before.out)
    block = MobileNet(net).eval().blocks[8]
    x = torch.randn(1, lost.out, 6, 6)
    with torch.inference_mode():
        assert torch.equal(block(x), block.path(x))


def test_elsewhere_such_a_row_has_a_shortcut() -> None:
    net = build("mobilenet_v3_small", flavor="timm", reduced_tail=True, output_stride=16)
    block = MobileNet(net).eval().blocks[8]
    x = torch.randn(1, net.blocks[8].out, 6, 6)
    with torch.inference_mode():
        assert torch.equal(block(x), x + block.path(x))


@pytest.mark.parametrize("output_stride", [16, 8])
@pytest.mark.parametrize("name", NAMES)
def test_published_weights_load_into_the_dilated_network(name: str, output_stride: int) -> None:
    plain, dilated = (build(name, width=0.25, num_classes=3, output_stride=s) for s in (32, output_stride))
    state = _weights(plain)
    layout = "timm" if plain.flavor == "timm" else "ours"
    published = export_state(state, plain, layout)
    converted = convert(published, dilated)
    assert converted.layout == layout
    assert converted.state.keys() == state.keys()
    assert all(torch.equal(converted.state[key], value) for key, value in state.items())


@pytest.mark.parametrize("padding_of", ["timm", "tf"])
@pytest.mark.parametrize(("output_stride", "side"), [(32, 4), (16, 7), (8, 13)])
def test_the_last_map_of_an_odd_size_has_the_output_stride(padding_of: str, output_stride: int, side: int) -> None:
    net = build("mobilenet_v2", width=0.25, num_classes=0, output_stride=output_stride, flavor=padding_of)
    with torch.inference_mode():
        last = MobileNet(net).eval().forward_features(torch.randn(1, 3, 97, 101))
    assert last.shape[2:] == (side, side)
