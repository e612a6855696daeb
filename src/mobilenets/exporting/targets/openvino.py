"""OpenVINO IR: a graph (`.xml`) that carries the card, and its weights (`.bin`) beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops
from openvino import passes

from mobilenets.exporting.deploy import file_card
from mobilenets.exporting.int8.calibration import Calibration
from mobilenets.exporting.int8.kept import BOX_LAYERS, CLASS_LAYERS
from mobilenets.exporting.nms import MADE
from mobilenets.exporting.quiet import quiet
from mobilenets.exporting.targets.onnx import onnx_file
from mobilenets.model_card import INSIDE, METADATA_KEY, ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess.openvino import resize_and_crop
from mobilenets.tasks import task_of

AROUND = "/from_planes/network/"  # `FromPixels` and `FromPlanes`
LAYERS = ("Convolution", "GroupConvolution", "MatMul")


def export_openvino(model: MobileNet, card: ModelCard, path: Path) -> None:
    """Write `path` (.xml) and its .bin, in float32, the number of pictures free.

    The graph is that of the ONNX export: OpenVINO reads it without a converter.
    """
    _save(_graph(model, card), card, path)


def export_half_openvino(model: MobileNet, card: ModelCard, path: Path) -> None:
    """As `export_openvino`, its weights in float16."""
    _save(_graph(model, card), card, path, half=True)


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
        ends = [layers[0], layers[-1]] if calibration.skip_first_last else []
        if task_of(card).has_boxes:
            ends = [*ends[:1], *_kept_of_detector(graph, calibration.skip_first_last)]
        kept = list(dict.fromkeys([*ends, *_computed_wrongly(graph)]))
        quantized = nncf.quantize(
            graph,
            nncf.Dataset(list(calibration.pixels[:, None])),
            preset=nncf.QuantizationPreset.MIXED,  # asymmetric activations: h-swish is not symmetric
            subset_size=len(calibration.pixels),
            ignored_scope=nncf.IgnoredScope(names=kept) if kept else None,
            advanced_parameters=extremes,
        )
    _drop_clips(quantized)
    _merge_constants(quantized)
    _shorten_names(quantized)
    _save(quantized, card, path)


def _kept_of_detector(graph: openvino.Model, skip_last: bool) -> list[str]:
    """What makes boxes, and all that comes behind the network; with `skip_last` what makes scores too."""
    names = [o.get_friendly_name() for o in graph.get_ordered_ops() if o.get_type_name() not in ("Constant", "Result")]
    lasts = (BOX_LAYERS, CLASS_LAYERS) if skip_last else (BOX_LAYERS,)
    layers = tuple(last.replace(".", "/") for last in lasts)
    return [
        name
        for name in names
        if (name.startswith(AROUND) and "/" not in name.removeprefix(AROUND))
        or name.startswith(MADE)
        or any(layer in name for layer in layers)
    ]


def _computed_wrongly(graph: openvino.Model) -> list[str]:
    """Depthwise convolutions over maps of one pixel, as late blocks have in pictures of 32.

    In 8 bits OpenVINO 2026.4 gets them wrong on the CPU: a V3-Small gave one class to every picture, and gives the
    float network's with these float.
    """
    depthwise = (o for o in graph.get_ordered_ops() if o.get_type_name() == "GroupConvolution")
    return [
        o.get_friendly_name() for o in depthwise if o.get_input_partial_shape(0)[2:] == openvino.PartialShape([1, 1])
    ]


def _drop_clips(graph: openvino.Model) -> None:
    """Let what is rounded into a range not be clipped to a wider one before: two operations of every ReLU6."""
    for rounding in graph.get_ordered_ops():
        if rounding.get_type_name() != "FakeQuantize":
            continue
        ends = [_numbers(rounding.input_value(i)) for i in (1, 2)]  # one of each, or one for each channel
        if ends[0] is not None and ends[1] is not None:
            low, high = ends[0].min(), ends[1].max()
            while (wider := _clipped(rounding.input_value(0).get_node(), low, high)) is not None:
                rounding.input(0).replace_source_output(wider)


def _clipped(node: Any, low: float, high: float) -> Any:
    """What `node` clips, if it leaves `low` to `high` as it is; else None."""
    kind, inputs = node.get_type_name(), node.input_values()
    if kind == "Relu" and low >= 0:
        return inputs[0]
    if kind in ("Minimum", "Maximum"):
        for bound, other in (inputs, inputs[::-1]):
            limit = _numbers(bound)
            if limit is not None and (limit.min() >= high if kind == "Minimum" else limit.max() <= low):
                return other
    return None


def _numbers(value: Any) -> Any:
    """The array that `value` is, where it is a constant."""
    node = value.get_node()
    return node.data if node.get_type_name() == "Constant" else None


def _merge_constants(graph: openvino.Model) -> None:
    """Write a number that several operations read once: a range is read twice by each rounding."""
    first: dict[tuple[object, ...], Any] = {}
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "Constant" and node.data.size == 1:
            key = (str(node.get_element_type()), *node.get_output_shape(0), node.data.tobytes())
            output = first.setdefault(key, node.output(0))
            if output.get_node() is not node:
                node.output(0).replace(output)


def _shorten_names(graph: openvino.Model) -> None:
    """Call layers as the network calls them, input and output by their names, everything else by a number."""
    ends = {value.get_any_name() for value in (*graph.inputs, *graph.outputs)}
    for i, node in enumerate(graph.get_ordered_ops()):
        for output in node.outputs():
            if not output.get_names() & ends:
                output.get_tensor().set_names(set())
        named = node.get_type_name() in (*LAYERS, "Parameter", "Result")
        node.set_friendly_name(node.get_friendly_name().removeprefix(AROUND) if named else str(i))


def full_openvino(path: Path, card: ModelCard) -> None:
    """Put resize and crop before the exported `path`: `image` uint8 (H, W, 3) → outputs (1, W)."""
    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})  # the file is replaced below
    graph = core.read_model(path)
    image = ops.parameter([-1, -1, 3], np.uint8, name="image")
    pixels = resize_and_crop(image, card.preprocess)
    graph.get_parameters()[0].output(0).replace(pixels.output(0))
    _save(openvino.Model(graph.get_results(), [image], card.name), card, path)


def _graph(model: MobileNet, card: ModelCard) -> openvino.Model:
    graph = openvino.Core().read_model(onnx_file(model, card), b"")
    # The reader computes the shape of every bias by a graph of its own: two thirds of all operations.
    folding = passes.Manager()
    folding.register_pass(passes.ConstantFolding())
    folding.run_passes(graph)
    return graph


def _save(graph: openvino.Model, card: ModelCard, path: Path, half: bool = False) -> None:
    graph.set_rt_info(file_card(card, nms=INSIDE).to_json(), METADATA_KEY)
    openvino.save_model(graph, path, compress_to_fp16=half)
