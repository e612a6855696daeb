"""OpenVINO IR: a graph (`.xml`) that carries the card, and its weights (`.bin`) beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops
from openvino import passes

from mobilenets.artifact import METADATA_KEY, ModelCard
from mobilenets.export.calibration import Calibration
from mobilenets.export.graph import deployed
from mobilenets.export.onnx import onnx_bytes
from mobilenets.export.quiet import quiet
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess

LAYERS = ("Convolution", "GroupConvolution", "MatMul")


def export_openvino(model: MobileNet, card: ModelCard, path: Path) -> None:
    """Write `path` (.xml) and its .bin, in float32, the number of pictures free.

    The graph is that of the ONNX export: OpenVINO reads it without a converter.
    """
    _save(_graph(model, card), card, path)


def quantize_openvino(model: MobileNet, card: ModelCard, path: Path, calibration: Calibration) -> None:
    """Write `model` with 8-bit weights per output channel and 8-bit activations, by NNCF."""
    with quiet():
        import nncf
        import nncf.openvino
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet

        graph = _graph(model, card)
        layers = [o.get_friendly_name() for o in graph.get_ordered_ops() if o.get_type_name() in LAYERS]
        extremes = nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX  # see `calibration.py`
        )
        ends = [layers[0], layers[-1]] if calibration.float_ends else []
        kept = list(dict.fromkeys([*ends, *_computed_wrongly(graph)]))
        quantized = nncf.quantize(
            graph,
            nncf.Dataset(list(calibration.pixels[:, None])),
            preset=nncf.QuantizationPreset.MIXED,  # asymmetric activations: h-swish is not symmetric
            subset_size=len(calibration.pixels),
            ignored_scope=nncf.IgnoredScope(names=kept) if kept else None,
            advanced_parameters=extremes,
        )
    _save(quantized, card, path)


def _computed_wrongly(graph: openvino.Model) -> list[str]:
    """Depthwise convolutions over maps of one pixel, as late blocks have in pictures of 32.

    In 8 bits OpenVINO 2026.4 gets them wrong on the CPU: a V3-Small gave one class to every picture, and gives the
    float network's with these float.
    """
    depthwise = (o for o in graph.get_ordered_ops() if o.get_type_name() == "GroupConvolution")
    return [
        o.get_friendly_name() for o in depthwise if o.get_input_partial_shape(0)[2:] == openvino.PartialShape([1, 1])
    ]


def full_openvino(path: Path, card: ModelCard) -> None:
    """Put resize and crop before the exported `path`: `image` uint8 (H, W, 3) → `probabilities` (1, K).

    The steps are those of `Preprocess.pixels`, by the interpolation that OpenVINO took over from Pillow.
    """
    preprocess, core = card.preprocess, openvino.Core()
    core.set_property({"ENABLE_MMAP": False})  # the file is replaced below
    graph = core.read_model(path)
    image = ops.parameter([-1, -1, 3], np.uint8, name="image")
    sides = ops.slice(ops.shape_of(image), _whole(0), _whole(2), _whole(1))
    resized = ops.divide(ops.multiply(sides, _whole(preprocess.resize_side)), ops.reduce_min(sides, _whole(0), True))
    planes = ops.convert(ops.unsqueeze(ops.transpose(image, _whole(2, 0, 1)), _whole(0)), np.float32)
    across = _resized(planes, 3, ops.slice(resized, _whole(1), _whole(2), _whole(1)), preprocess)
    levels = _resized(across, 2, ops.slice(resized, _whole(0), _whole(1), _whole(1)), preprocess)
    size = _whole(preprocess.size, preprocess.size)
    half = ops.divide(ops.convert(ops.subtract(resized, size), np.float32), ops.constant(np.float32(2)))
    start = ops.convert(ops.round(half, "half_to_even"), np.int64)  # the corner is rounded as `Preprocess` rounds it
    cropped = ops.slice(levels, start, ops.add(start, size), _whole(1, 1), _whole(2, 3))
    pixels = ops.transpose(ops.convert(cropped, np.uint8), _whole(0, 2, 3, 1))
    graph.get_parameters()[0].output(0).replace(pixels.output(0))
    _save(openvino.Model(graph.get_results(), [image], card.name), card, path)


def _resized(planes: Any, axis: int, length: Any, preprocess: Preprocess) -> Any:
    """One axis resized to `length`, in whole grey levels, halves up: Pillow rounds between its two passes."""
    mode = f"{preprocess.interpolation}_pillow"
    resampled = ops.interpolate(planes, length, mode, "sizes", axes=_whole(axis), cube_coeff=-0.5)
    return ops.clamp(ops.floor(ops.add(resampled, ops.constant(np.float32(0.5)))), 0, 255)


def _whole(*values: int) -> Any:
    return ops.constant(np.array(values, np.int64))


def _graph(model: MobileNet, card: ModelCard) -> openvino.Model:
    graph = openvino.Core().read_model(onnx_bytes(deployed(model, card), card.preprocess, "probabilities"), b"")
    # The reader computes the shape of every bias by a graph of its own: two thirds of all operations.
    folding = passes.Manager()
    folding.register_pass(passes.ConstantFolding())
    folding.run_passes(graph)
    return graph


def _save(graph: openvino.Model, card: ModelCard, path: Path) -> None:
    graph.set_rt_info(card.to_json(), METADATA_KEY)
    openvino.save_model(graph, path, compress_to_fp16=False)
