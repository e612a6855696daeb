"""State dicts of other libraries: every key and shape accounted for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

from mobilenets.arch import NAMES, Net, build
from mobilenets.errors import UserError
from mobilenets.nn.model import MobileNet
from mobilenets.weights.convert import adapt_stem, convert, export_state, read_h5, recognise
from mobilenets.weights.layouts import module_names

State = dict[str, Tensor]


def _state(net: Net, layout: str) -> State:
    """Random weights of `net` under the names of `layout`."""
    torch.manual_seed(0)
    state = MobileNet(net).state_dict()
    for key, value in state.items():
        if value.dtype.is_floating_point:
            torch.nn.init.uniform_(value, 0.5, 1.5)
        assert key
    return state if layout == "ours" else export_state(state, net, layout)


LAYOUTS = [
    ("mobilenet_v1", "timm", "timm"),
    ("mobilenet_v1", "tf", "timm"),
    ("mobilenet_v2", "torchvision", "torchvision"),
    ("mobilenet_v2", "timm", "timm"),
    ("mobilenet_v3_large", "torchvision", "torchvision"),
    ("mobilenet_v3_small", "timm", "timm"),
    ("mobilenet_v3_small_minimal", "tf", "timm"),
    ("mobilenet_v4_conv_small", "timm", "timm"),
    ("mobilenet_v4_conv_medium", "timm", "timm"),
]


@pytest.mark.parametrize(("name", "flavor", "layout"), LAYOUTS)
@pytest.mark.parametrize("options", [{}, {"width": 0.35}, {"output_stride": 8}], ids=str)
def test_an_exported_state_comes_back_bit_for_bit(name: str, flavor: str, layout: str, options: dict[str, Any]) -> None:
    net = build(name, flavor=flavor, num_classes=6, **options)
    ours = _state(net, "ours")
    theirs = export_state(ours, net, layout)
    assert len(theirs) == len(ours)
    assert recognise(theirs) == layout
    converted = convert(theirs, net)
    assert converted.head_kept
    assert all(torch.equal(value, ours[key]) for key, value in converted.state.items())
    assert set(ours) - set(converted.state) == {k for k in ours if k.endswith("num_batches_tracked")}


@pytest.mark.parametrize("name", NAMES)
def test_our_own_layout_is_taken_as_it_is(name: str) -> None:
    net = build(name, width=0.25, num_classes=4)
    converted = convert(_state(net, "ours"), net)
    assert (converted.layout, converted.head_kept) == ("ours", True)


def test_the_hidden_layer_of_torchvision_is_a_linear_one() -> None:
    net = build("mobilenet_v3_small", width=0.25, flavor="torchvision")
    theirs = _state(net, "torchvision")
    assert theirs["classifier.0.weight"].ndim == 2
    assert convert(theirs, net).state["hidden.0.weight"].shape[2:] == (1, 1)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small"])
@pytest.mark.parametrize("layout", ["torchvision", "timm", "ours"])
def test_a_classifier_for_other_classes_is_left_out(name: str, layout: str) -> None:
    flavor = "torchvision" if layout == "torchvision" else "timm"
    published, wanted = (build(name, width=0.25, flavor=flavor, num_classes=n) for n in (10, 4))
    converted = convert(_state(published, layout), wanted)
    assert not converted.head_kept
    assert not [key for key in converted.state if key.startswith("classifier")]
    assert "hidden.0.weight" in converted.state or name == "mobilenet_v2"


def test_a_network_without_classifier_takes_the_backbone() -> None:
    published = build("mobilenet_v2", width=0.25, num_classes=10, flavor="torchvision")
    converted = convert(_state(published, "torchvision"), published.with_classes(0))
    assert not converted.head_kept
    assert "last.conv.weight" in converted.state


def test_a_file_without_classifier_gives_the_backbone() -> None:
    net = build("mobilenet_v3_small", width=0.25, num_classes=10)
    state = {k: v for k, v in _state(net, "timm").items() if not k.startswith(("classifier", "conv_head"))}
    converted = convert(state, net)
    assert not converted.head_kept
    assert not [key for key in converted.state if key.startswith(("classifier", "hidden"))]


def _without(state: State) -> State:
    return {k: v for k, v in state.items() if k not in ("features.3.conv.2.weight", "features.0.1.bias")}


def _with_more(state: State) -> State:
    return state | {f"aux.{i}.weight": torch.zeros(1) for i in range(6)}


def _misshapen(state: State) -> State:
    return state | {"features.0.0.weight": torch.zeros(8, 3, 5, 5)}


def _flat_stem(state: State) -> State:
    return state | {"features.0.0.weight": torch.zeros(8)}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_without, ["2 missing: features.0.1.bias, features.3.conv.2.weight"]),
        (_with_more, ["6 unexpected: aux.0.weight, ", " and 2 more"]),
        (_misshapen, ["1 misshapen: features.0.0.weight (8, 3, 5, 5) for (8, 3, 3, 3)"]),
        (_flat_stem, ["1 misshapen: features.0.0.weight (8,) for (8, 3, 3, 3)"]),
        (lambda state: _without(_with_more(state)), ["2 missing", "6 unexpected"]),
    ],
)
def test_what_does_not_fit_is_listed(change: Callable[[State], State], told: list[str]) -> None:
    net = build("mobilenet_v2", width=0.25, num_classes=3, flavor="torchvision")
    with pytest.raises(UserError) as error:
        convert(change(_state(net, "torchvision")), net)
    for part in ("torchvision's layout", "mobilenet_v2 of width 0.25", *told):
        assert part in str(error.value)


def test_weights_of_another_width_are_told_by_shape() -> None:
    wide, narrow = (build("mobilenet_v2", width=w, num_classes=3, flavor="timm") for w in (0.5, 0.25))
    with pytest.raises(UserError, match=r"misshapen: conv_stem\.weight \(16, 3, 3, 3\) for \(8, 3, 3, 3\)"):
        convert(_state(wide, "timm"), narrow)


@pytest.mark.parametrize(
    ("name", "layout"),
    [("mobilenet_v4_conv_small", "keras"), ("mobilenet_v1", "torchvision"), ("mobilenet_v4_conv_small", "torchvision")],
)
def test_a_library_without_such_a_network_is_named(name: str, layout: str) -> None:
    with pytest.raises(UserError, match=f"{name}.*{layout}"):
        module_names(build(name), layout)


def test_a_strangers_net_whose_blocks_are_not_the_familys_is_told() -> None:
    values = build("mobilenet_v2", width=0.25).to_dict()
    values["blocks"] = values["blocks"][:3]
    with pytest.raises(UserError, match="blocks are not those of timm"):
        module_names(Net.from_dict(values), "timm")


@pytest.mark.parametrize("keys", [[], ["fc.weight"], ["layer1.0.conv1.weight", "a", "b", "c", "d"]], ids=str)
def test_other_networks_are_recognised_as_such(keys: list[str]) -> None:
    with pytest.raises(UserError, match="no MobileNet of"):
        recognise(keys)


@torch.inference_mode()
def test_a_grey_picture_gives_what_its_three_channel_copy_gave() -> None:
    net, grey = (build("mobilenet_v2", width=0.25, num_classes=3, in_channels=n) for n in (3, 1))
    colour_model, grey_model = MobileNet(net).eval(), MobileNet(grey).eval()
    state = _state(net, "timm")
    colour_model.load_state_dict(convert(state, net).state, strict=False)
    grey_model.load_state_dict(convert(state, grey).state, strict=False)
    x = torch.randn(2, 1, 64, 64)
    logits = colour_model(x.expand(-1, 3, -1, -1))
    assert torch.allclose(grey_model(x), logits, rtol=1e-4, atol=1e-4 * float(logits.abs().max()))


def test_four_channels_keep_the_stems_response_to_equal_input() -> None:
    weight = torch.randn(8, 3, 3, 3)
    adapted = adapt_stem(weight, 4)
    assert adapted.shape == (8, 4, 3, 3)
    assert torch.allclose(adapted.sum(1), weight.sum(1), atol=1e-5)
    assert torch.equal(adapted[:, 0], adapted[:, 3])
    assert adapt_stem(weight, 3) is weight


_PARAMETERS = {
    "weight": {4: "kernel", 2: "kernel", 1: "gamma"},
    "running_mean": {1: "moving_mean"},
    "running_var": {1: "moving_variance"},
}


def write_keras(path: Path, net: Net, slashed: bool = False, prefix: str = "", skip: tuple[str, ...] = ()) -> State:
    """A file as Keras lays it out, with random weights; returns these in our layout.

    `slashed`: the names of V3's published files, made before Keras forbade slashes.
    """
    state = _state(net, "ours")
    names = module_names(net, "keras")
    with h5py.File(path, "w") as file:
        for key, value in state.items():
            module, _, parameter = key.rpartition(".")
            if parameter == "num_batches_tracked" or names[module] in skip:
                continue
            layer = names[module]
            is_norm = module.endswith(".norm")
            if slashed:
                layer = _with_slashes(layer)
            short = ("beta" if is_norm else "bias") if parameter == "bias" else _PARAMETERS[parameter][value.ndim]
            array = value.numpy()
            if module == "classifier" and parameter == "weight" and net.family != "v2":
                array = array[:, :, None, None]
            if array.ndim == 4:
                depthwise = array.shape[1] == 1 and "depthwise" in module
                short = "depthwise_kernel" if depthwise else "kernel"
                array = array.transpose(2, 3, 0, 1) if depthwise else array.transpose(2, 3, 1, 0)
            elif array.ndim == 2:
                array = array.T
            file[f"{prefix}{layer}/{layer}/{short}:0"] = np.ascontiguousarray(array)
        file.attrs["backend"] = "tensorflow"
        file[f"{prefix}top_level_model_weights/iterations:0"] = np.int64(7)
    return state


def _with_slashes(layer: str) -> str:
    """conv_bn → Conv/BatchNorm, expanded_conv_2_squeeze_excite_conv_1 → expanded_conv_2/squeeze_excite/Conv_1."""
    layer = layer.replace("_bn", "/BatchNorm").replace("squeeze_excite_conv", "squeeze_excite/Conv")
    for part in ("expand", "depthwise", "project", "squeeze_excite"):
        layer = layer.replace(f"_{part}/", f"/{part}/")
        if layer.endswith(f"_{part}"):
            layer = layer.removesuffix(f"_{part}") + f"/{part}"
    if layer.startswith("conv"):
        layer = "C" + layer[1:]
    return "Logits" if layer == "logits" else layer


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mobilenet_v1", {}),
        ("mobilenet_v1", {"prefix": "model_weights/"}),
        ("mobilenet_v2", {}),
        ("mobilenet_v3_small", {}),
        ("mobilenet_v3_small", {"slashed": True}),
        ("mobilenet_v3_large", {"slashed": True}),
        ("mobilenet_v3_small_minimal", {"slashed": True}),
    ],
    ids=str,
)
def test_keras_files_are_read_by_their_layers_names(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    net = build(name, width=0.5, num_classes=5, flavor="tf")
    ours = write_keras(tmp_path / "keras.h5", net, **options)
    converted = convert(read_h5(tmp_path / "keras.h5"), net)
    assert (converted.layout, converted.head_kept) == ("keras", True)
    assert all(torch.equal(value, ours[key]) for key, value in converted.state.items())


def test_slashed_names_are_those_of_the_published_files() -> None:
    assert _with_slashes("conv_bn") == "Conv/BatchNorm"
    assert _with_slashes("expanded_conv_depthwise_bn") == "expanded_conv/depthwise/BatchNorm"
    assert _with_slashes("expanded_conv_2_squeeze_excite_conv_1") == "expanded_conv_2/squeeze_excite/Conv_1"


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"])
def test_keras_files_without_top_give_the_backbone(tmp_path: Path, name: str) -> None:
    net = build(name, width=0.5, num_classes=5, flavor="tf")
    top = ("conv_preds", "predictions", "logits", "conv_2")
    write_keras(tmp_path / "no_top.h5", net, skip=top)
    converted = convert(read_h5(tmp_path / "no_top.h5"), net)
    assert not converted.head_kept
    assert "blocks.0.depthwise.conv.weight" in converted.state


def test_numbered_files_of_keras_3_are_told_with_the_remedy(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "new.weights.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 8), np.float32)
        file["layers/batch_normalization/vars/2"] = np.zeros(8, np.float32)
    with pytest.raises(UserError, match=r"numbers layers.*model\.save"):
        read_h5(tmp_path / "new.weights.h5")


@pytest.mark.parametrize("content", [b"", b"not an hdf5 file", b"\x89HDF\r\n\x1a\n" + bytes(40)], ids=repr)
def test_files_that_are_no_h5_are_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.h5").write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.h5: not a readable \.h5 file"):
        read_h5(tmp_path / "bad.h5")
