"""ONNX in 8-bit integers: a graph with QuantizeLinear and DequantizeLinear around what is computed in integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType, TensorData, TensorsData

from mobilenets.exporting.int8.calibration import Calibration
from mobilenets.exporting.int8.kept import Layer, kept_layers
from mobilenets.exporting.int8.ranges import HARD_SIGMOID, HARD_SWISH, Range, Ranges
from mobilenets.exporting.quiet import quiet
from mobilenets.exporting.targets.onnx import answering_bytes, completed
from mobilenets.model_card import ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.base import Pixels
from mobilenets.runtime.engines.onnxruntime import make_session
from mobilenets.system.files import write_atomic

# Convolutions and the head: what processors have 8-bit arithmetic for. ReLU and ReLU6 (Clip) become the range of the
# convolution before them. h-swish and the gates of squeeze-and-excite stay float between two conversions; rounding
# them too costs accuracy and gains nothing. Sums stay float: see `_keep_sums_float`; so do the layers of `kept.py`.
LAYERS = ("Conv", "Gemm")
INT8_OPERATORS = [*LAYERS, "Relu", "Clip"]
EFFECTIVE_RANGES = {"HardSwish": HARD_SWISH, "HardSigmoid": HARD_SIGMOID}


def quantize_onnx(model: MobileNet, card: ModelCard, path: Path, calibration: Calibration) -> None:
    """Write `model` as QDQ graph: 8-bit weights per output channel, 8-bit activations per tensor."""
    graph = qdq_graph(model, card, calibration)
    write_atomic(path, completed(graph.SerializeToString(), card))


def qdq_graph(model: MobileNet, card: ModelCard, calibration: Calibration) -> onnx.ModelProto:
    """What `quantize_onnx` writes, without the card and the choice among boxes."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(answering_bytes(model, card)))
    ranges = _ranges(graph, calibration.pixels)
    layers = [node for node in graph.graph.node if node.op_type in LAYERS]
    kept = kept_layers([Layer(layer.input[1], _is_depthwise(layer)) for layer in layers], card, calibration)
    with quiet():
        job = QDQQuantizer(
            graph,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=_tensors_data(ranges),
            nodes_to_quantize=[],
            nodes_to_exclude=[layer.name for layer in layers if layer.input[1] in kept],
            op_types_to_quantize=INT8_OPERATORS,
            extra_options={},
        )
        job.quantize_model()
    quantized: onnx.ModelProto = job.model.model
    _keep_sums_float(quantized.graph)
    _drop_idle(quantized.graph)
    job.model.topological_sort()
    return quantized


def _is_depthwise(layer: onnx.NodeProto) -> bool:
    return any(attribute.name == "group" and attribute.i > 1 for attribute in layer.attribute)


def _ranges(graph: onnx.ModelProto, images: Pixels) -> dict[str, Range]:
    """The ranges of all that the integer operators read and write."""
    nodes = [node for node in graph.graph.node if node.op_type in INT8_OPERATORS]
    names = list(dict.fromkeys(name for node in nodes for name in (node.input[0], *node.output)))
    watched = onnx.ModelProto()
    watched.CopyFrom(graph)
    watched.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    session = make_session(watched.SerializeToString())
    readers = [node for node in graph.graph.node if node.op_type in EFFECTIVE_RANGES]
    ranges = Ranges({node.input[0]: EFFECTIVE_RANGES[node.op_type] for node in readers})
    for image in images:
        ranges.add(image, zip(names, session.run(names, {"image": image[None]}), strict=True))
    return ranges.best()


def _tensors_data(ranges: dict[str, Range]) -> TensorsData:
    data = {name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()}
    return TensorsData(CalibrationMethod.MinMax, data)


def _keep_sums_float(graph: onnx.GraphProto) -> None:
    """Let residual sums read each other as they are, not as the next convolution reads them.

    Otherwise a sum is rounded anew at every block it passes, in the network's narrowest tensors: of what a V3-Large
    lost, that was two thirds. The projections that are added are rounded, as integer convolutions write integers.
    """
    writers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type != "Add":
            continue
        for i, name in enumerate(node.input):
            before = writers.get(name)
            if before is not None and before.op_type == "DequantizeLinear":
                source = writers[before.input[0]].input[0]
                if writers[source].op_type != "Conv":
                    node.input[i] = source


def _drop_idle(graph: onnx.GraphProto) -> None:
    """Remove the zero points of biases, a zero for every channel, and constants that nothing reads."""
    biases = {i.name for i in graph.initializer if i.data_type == onnx.TensorProto.INT32}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in biases:
            del node.input[2:]  # zero is the default
    read = {name for node in graph.node for name in node.input}
    for initializer in [i for i in graph.initializer if i.name not in read]:
        graph.initializer.remove(initializer)
    for node in [n for n in graph.node if n.op_type == "Constant" and n.output[0] not in read]:
        graph.node.remove(node)
