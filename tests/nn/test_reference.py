"""Our networks against independent ones, with the same random weights: transformers and Keras 3 (on torch)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mobilenets.arch import build
from mobilenets.arch.cost import total
from mobilenets.nn.model import MobileNet
from mobilenets.weights.convert import convert, read_h5

pytestmark = pytest.mark.reference

DOUBLE, SINGLE = 1e-10, 1e-5  # of the norm of the logits, by the precision the other library computes in


def _randomise(values: list[tuple[str, tuple[int, ...]]]) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    """Weights that keep activations in range, and BatchNorm statistics that are not the initial ones.

    In range matters: a kernel that amplifies lets rounding errors grow a thousandfold by the last layer.
    """
    rng = np.random.default_rng(0)
    result = []
    for name, shape in values:
        z = rng.standard_normal(shape)
        if len(shape) > 1:
            z *= np.sqrt(2 / _fan_in(name, shape))
        elif name.endswith(("var", "variance", "weight", "gamma")):
            z = np.exp(0.1 * z)
        else:
            z *= 0.1
        result.append(z.astype(np.float32))
    return result


def _fan_in(name: str, shape: tuple[int, ...]) -> int:
    """torch has the outputs first, Keras last; Keras' depthwise kernels are (height, width, channels, 1)."""
    if name.endswith("weight"):
        return int(np.prod(shape[1:]))
    return int(np.prod(shape[:2] if "conv_dw" in name or "depthwise" in name else shape[:-1]))


def _assert_same(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> None:
    assert ours.shape == theirs.shape
    assert theirs.std() > 0
    assert (ours - theirs).abs().max() <= tolerance * theirs.norm(dim=-1).max()


def _copied(theirs: nn.Module, ours: MobileNet) -> None:
    """Random weights into `theirs`, and one after another into `ours`: both keep them in the paper's order."""
    state = theirs.state_dict()
    names = [k for k in state if not k.endswith("num_batches_tracked")]
    values = _randomise([(k, tuple(state[k].shape)) for k in names])
    filled = dict(zip(names, map(torch.from_numpy, values), strict=True))
    theirs.load_state_dict(filled, strict=False)
    own = [k for k in ours.state_dict() if not k.endswith("num_batches_tracked")]
    ours.load_state_dict(dict(zip(own, filled.values(), strict=True)), strict=False)


@pytest.mark.parametrize("size", [(224, 224), (97, 131)], ids=str)
@pytest.mark.parametrize("width", [0.25, 0.5, 1.0, 1.25])
def test_v1_computes_what_transformers_does_also_at_odd_sizes(width: float, size: tuple[int, int]) -> None:
    from transformers import MobileNetV1Config, MobileNetV1ForImageClassification

    config = MobileNetV1Config(depth_multiplier=width, num_labels=17)
    theirs = MobileNetV1ForImageClassification(config).eval()
    ours = MobileNet(build("mobilenet_v1", width=width, num_classes=17, flavor="tf")).eval()
    _copied(theirs, ours)
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1)).double()
    with torch.inference_mode():
        _assert_same(ours.double()(x), theirs.double()(x).logits, DOUBLE)


@pytest.mark.parametrize("size", [(224, 224), (97, 131)], ids=str)
@pytest.mark.parametrize("output_stride", [32, 16, 8])
@pytest.mark.parametrize("width", [0.35, 0.75, 1.0, 1.4])
def test_v2_computes_what_transformers_does_also_dilated(
    width: float, output_stride: int, size: tuple[int, int]
) -> None:
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    config = MobileNetV2Config(depth_multiplier=width, output_stride=output_stride, num_labels=17)
    theirs = MobileNetV2ForImageClassification(config).eval()
    net = build("mobilenet_v2", width=width, output_stride=output_stride, num_classes=17, flavor="tf")
    ours = MobileNet(net).eval()
    _copied(theirs, ours)
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1)).double()
    with torch.inference_mode():
        _assert_same(ours.double()(x), theirs.double()(x).logits, DOUBLE)


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    import keras

    assert keras.backend.backend() == "torch"
    return keras


KERAS = {
    "mobilenet_v1": ("MobileNet", {}),
    "mobilenet_v2": ("MobileNetV2", {}),
    "mobilenet_v3_large": ("MobileNetV3Large", {"include_preprocessing": False}),
    "mobilenet_v3_small": ("MobileNetV3Small", {"include_preprocessing": False}),
    "mobilenet_v3_large_minimal": ("MobileNetV3Large", {"include_preprocessing": False, "minimalistic": True}),
    "mobilenet_v3_small_minimal": ("MobileNetV3Small", {"include_preprocessing": False, "minimalistic": True}),
}


# Keras' V1 pads a stride by (0, 1) whatever the size, which is SAME only where the map is even: our odd sizes follow
# TF-slim's V1, as transformers does (above). V2 and V3 look at the size in Keras too.
SIZES = [(name, width, 96) for name in KERAS for width in (0.75, 1.3)]
SIZES += [(name, 0.5, 97) for name in KERAS if name != "mobilenet_v1"]
SIZES += [(name, 1.0, 192) for name in KERAS]


@pytest.mark.parametrize(("name", "width", "size"), SIZES)
def test_a_file_saved_by_keras_computes_what_keras_does(
    keras: Any, tmp_path: Path, name: str, width: float, size: int
) -> None:
    function, options = KERAS[name]
    theirs = getattr(keras.applications, function)(
        input_shape=(size, size, 3), alpha=width, weights=None, classes=11, classifier_activation=None, **options
    )
    theirs.set_weights(_randomise([(w.path, tuple(w.shape)) for w in theirs.weights]))
    file = tmp_path / "keras.h5"
    theirs.save(file)

    net = build(name, width=width, num_classes=11, flavor="tf")
    assert total(net)[0] == sum(int(np.prod(w.shape)) for w in theirs.trainable_weights)
    converted = convert(read_h5(file), net)
    assert (converted.layout, converted.head_kept) == ("keras", True)
    ours = MobileNet(net).eval()
    ours.load_state_dict(converted.state, strict=False)
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        reference = theirs(x.permute(0, 2, 3, 1).contiguous(), training=False).detach().cpu()
        _assert_same(ours(x), reference, SINGLE)


@pytest.mark.parametrize("name", KERAS)
def test_a_file_saved_by_keras_without_top_gives_its_last_map(keras: Any, tmp_path: Path, name: str) -> None:
    function, options = KERAS[name]
    theirs = getattr(keras.applications, function)(
        input_shape=(96, 96, 3), alpha=0.5, weights=None, include_top=False, **options
    )
    theirs.set_weights(_randomise([(w.path, tuple(w.shape)) for w in theirs.weights]))
    file = tmp_path / "no_top.h5"
    theirs.save(file)

    net = build(name, width=0.5, num_classes=11, flavor="tf")
    converted = convert(read_h5(file), net)
    assert not converted.head_kept
    ours = MobileNet(net).eval()
    left = ours.load_state_dict(converted.state, strict=False).missing_keys
    assert {k.split(".")[0] for k in left if not k.endswith("num_batches_tracked")} <= {"hidden", "classifier"}
    x = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        reference = theirs(x.permute(0, 2, 3, 1).contiguous(), training=False).detach().cpu()
        _assert_same(ours.forward_features(x).flatten(1), reference.permute(0, 3, 1, 2).flatten(1), SINGLE)
