"""A detector's file gives finished boxes: chosen inside its graph, or by whatever runs it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from mobilenets.arch import build
from mobilenets.exporting.int8.calibration import Calibration
from mobilenets.exporting.int8.kept import Layer, kept_layers
from mobilenets.exporting.job import export
from mobilenets.exporting.targets.onnx import answering_bytes, export_onnx
from mobilenets.exporting.targets.table import TARGETS, exporter, half_exporter, quantizer, with_full_input
from mobilenets.exporting.verify import FLOAT16
from mobilenets.model_card import ModelCard, read_card
from mobilenets.nn.ssd import Detector
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.registry import open_engine
from mobilenets.tasks import task_of
from small import noise

SIZE, CLASSES = 64, ("cat", "dog", "鸟")
INSIDE, OUTSIDE = ("onnx", "openvino"), ("torch", "ncnn", "litert", "executorch")
HEAVY = ("ncnn", "litert", "executorch", "coreml")  # their converters are not in the test install
ALL = [pytest.param(t, marks=pytest.mark.exports) if t in HEAVY else t for t in (*INSIDE, *OUTSIDE)]


@cache
def detector() -> TorchEngine:
    """A narrow one with scores from all over their range."""
    torch.manual_seed(0)
    model = Detector(build("ssdlite_mobilenet_v3_small", width=0.35, num_classes=len(CLASSES) + 1)).eval()
    with torch.inference_mode():
        for part in model.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(part.bias, 0, 0.2)
        for heads in model.heads:
            heads.classes.predict.weight *= 60
            heads.boxes.predict.weight *= 10
    preprocess = Preprocess(size=SIZE, crop=1.0, fit="squash")
    return TorchEngine(model, ModelCard("test", model.net, CLASSES, preprocess, task="detect"))


@pytest.mark.parametrize("target", ALL)
def test_the_file_finds_the_boxes_of_the_network(target: str, tmp_path: Path) -> None:
    path, result = export(detector(), target, exporter(target), tmp_path / "out", [])
    assert result.ran
    assert result.top1_agreement == 1
    assert result.max_probability_difference is not None
    assert result.max_probability_difference < 1e-3
    assert json.loads((path.parent / "verify.json").read_text())["quality"] == "mAP"
    if target != "torch":
        engine = open_engine(path, target if target in OUTSIDE else str(TARGETS[target].engine))
        assert engine.card.nms == ("inside" if target in INSIDE else "outside")
        pixels = noise(3, engine.card.preprocess)
        found, expected = engine(pixels), detector()(pixels)
        assert found.shape == expected.shape == (3, 100, 6)
        assert (expected[..., 5] >= 0).any()
        assert task_of(engine.card).compare(expected, found)[0] == 1


@pytest.mark.parametrize("target", INSIDE)
def test_with_full_input_a_photo_of_any_size_has_the_same_boxes(target: str, tmp_path: Path) -> None:
    _, result = export(detector(), target, with_full_input(target, exporter(target)), tmp_path / "out", [])
    assert result.input == "full"
    assert result.top1_agreement is not None
    assert result.top1_agreement > 0.98  # a few pixels are rounded the other way


def test_the_onnx_file_says_boxes_scores_and_classes(tmp_path: Path) -> None:
    export_onnx(detector().model, detector().card, tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    kinds = {end.name: end.type.tensor_type for end in graph.output}
    assert list(kinds) == ["boxes", "scores", "classes"]
    assert [dim.dim_value for dim in kinds["boxes"].shape.dim[1:]] == [100, 4]
    assert kinds["classes"].elem_type == onnx.TensorProto.INT64
    assert read_card(tmp_path / "model.onnx").nms == "inside"
    assert detector().card.nms == ""


@pytest.mark.parametrize("target", INSIDE)
def test_in_half_precision_anchors_stay_where_they_are(target: str, tmp_path: Path) -> None:
    path, _ = export(detector(), target, half_exporter(target), tmp_path / "out", [], FLOAT16)
    whole, _ = export(detector(), target, exporter(target), tmp_path / "whole", [])
    pixels = noise(3, detector().card.preprocess)
    found, expected = (open_engine(file, str(TARGETS[target].engine))(pixels) for file in (path, whole))
    assert np.abs(np.sort(found[..., 4]) - np.sort(expected[..., 4])).max() < 0.02
    assert path.stat().st_size < whole.stat().st_size or target == "openvino"


@pytest.mark.exports
def test_a_core_ml_package_says_boxes_and_scores(tmp_path: Path) -> None:
    import coremltools

    path, result = export(detector(), "coreml", exporter("coreml"), tmp_path / "out", [])
    assert not result.ran
    described = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec().description
    assert [end.name for end in described.output] == ["boxes", "scores"]
    card = ModelCard.from_json(dict(described.metadata.userDefined)["mobilenets.card"])
    assert (card.nms, card.classes) == ("outside", CLASSES)


def test_in_8_bits_boxes_are_computed_in_float_and_with_float_ends_scores_too() -> None:
    content = answering_bytes(detector().model, detector().card)
    convolutions = [node for node in onnx.load_model_from_string(content).graph.node if node.op_type == "Conv"]
    layers = [Layer(node.input[1], depthwise=False) for node in convolutions]
    pixels, levels = noise(1, detector().card.preprocess), len(detector().model.net.ssd.levels)
    first, *boxes = kept_layers(layers, detector().card, Calibration(pixels))
    assert "stem" in first
    assert [".boxes.predict." in weight for weight in boxes] == [True] * levels
    both = kept_layers(layers, detector().card, Calibration(pixels, skip_first_last=True))
    assert len(both) == 1 + 2 * levels


@pytest.mark.parametrize("target", ["onnx", pytest.param("executorch", marks=pytest.mark.exports)])
def test_in_8_bits_the_file_finds_the_boxes_of_the_network(target: str, tmp_path: Path) -> None:
    pixels = noise(12, detector().card.preprocess)
    path = tmp_path / TARGETS[target].file
    quantizer(target)(detector().model, detector().card, path, Calibration(pixels))
    found = open_engine(path, str(TARGETS[target].engine))(pixels)
    share, difference = task_of(detector().card).compare(detector()(pixels), found)
    assert share > 0.95
    assert 1e-4 < difference < 0.1


@pytest.mark.exports
def test_in_8_bits_litert_keeps_the_layers_that_make_boxes_float(tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    pixels, path = noise(12, detector().card.preprocess), tmp_path / "model.tflite"
    quantizer("litert")(detector().model, detector().card, path, Calibration(pixels))
    graph = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0).subgraphs[0]
    weights = {o.inputs[1] for o in graph.operators if isinstance(o.builtinOptions, schema.Conv2DOptionsT)}
    for part, kind in (("boxes", schema.TensorType.FLOAT32), ("classes", schema.TensorType.INT8)):
        name = f"Predictor_{part}/torch.nn.modules.conv.Conv2d_predict".encode()
        kinds = [graph.tensors[i].type for i in weights if name in graph.tensors[i].name]
        assert kinds == [kind] * len(detector().model.net.ssd.levels)
    share, difference = task_of(detector().card).compare(detector()(pixels), open_engine(path, "litert")(pixels))
    assert share > 0.95
    assert 1e-4 < difference < 0.1
