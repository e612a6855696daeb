"""LiteRT (`.tflite`, NHWC): for Android and Edge; TFLite metadata, labels.txt and card.json inside the file."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np

from mobilenets.exporting.deploy import deployed, example_pixels, file_card
from mobilenets.exporting.int8.calibration import Calibration
from mobilenets.exporting.int8.kept import Layer, kept_layers
from mobilenets.exporting.int8.ranges import HARD_SWISH, Ranges, Tensor
from mobilenets.exporting.quiet import quiet, silent
from mobilenets.exporting.targets.tflite_metadata import LABELS, model_metadata
from mobilenets.model_card import OUTSIDE, ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.base import Pixels, available_cores
from mobilenets.runtime.engines.litert import CARD

with silent():
    import litert_torch
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

METADATA = "TFLITE_METADATA"  # the name under which readers of TFLite metadata look for it
IDENTIFIER = b"TFL3"
# All operators would include the pixels taken and the probabilities given. Sums stay float, as in `qdq.py`.
WEIGHTED_OPERATORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
MOVING_OPERATORS = ("PAD", "TRANSPOSE")  # give values as they are, in another place


def export_litert(model: MobileNet, card: ModelCard, path: Path) -> None:
    """Write the model: a photo uint8 (1, size, size, C) in, outputs float32 (1, K) and `vector_ends` (1, …) out."""
    with silent():
        _convert(model, card, path)
    _complete(path, card)


def export_half_litert(model: MobileNet, card: ModelCard, path: Path) -> None:
    """As `export_litert`, weights in float16: GPU delegates compute with them, on a processor they become float32."""
    with silent():
        from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

        _convert(model, card, path)
        job = quantizer.Quantizer(str(path))
        half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        for name in WEIGHTED_OPERATORS:
            job.update_quantization_recipe(
                regex=".*",
                operation_name=qtyping.TFLOperationName[name],
                op_config=qtyping.OpQuantizationConfig(
                    weight_tensor_config=half,
                    compute_precision=qtyping.ComputePrecision.FLOAT,
                    explicit_dequantize=True,
                ),
                algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING,
            )
        job.quantize().export_model(str(path), overwrite=True)
    _complete(path, card)


def quantize_litert(model: MobileNet, card: ModelCard, path: Path, calibration: Calibration) -> None:
    """Write `model` with 8-bit weights per output channel and 8-bit activations, by AI Edge Quantizer."""
    with silent():
        from ai_edge_quantizer import qtyping, quantizer

        _convert(model, card, path)
        rounded = "|".join(f"^{re.escape(name)};$" for name in _rounded(path, card, calibration))
        job = quantizer.Quantizer(str(path))
        for name in (*WEIGHTED_OPERATORS, *MOVING_OPERATORS):
            job.add_static_config(
                regex=rounded,
                operation_name=qtyping.TFLOperationName[name],
                activation_num_bits=8,
                weight_num_bits=8,
            )
        job.quantize(_ranges(path, calibration.pixels)).export_model(str(path), overwrite=True)
    _complete(path, card)


def _convert(model: MobileNet, card: ModelCard, path: Path) -> None:
    converted = litert_torch.convert(deployed(model, card), (example_pixels(card.preprocess),))
    converted.export(str(path))


def _rounded(path: Path, card: ModelCard, calibration: Calibration) -> list[str]:
    """What the quantiser calls the layers that are rounded, and what moves values for them: by what they write.

    Between two integer layers a float PAD would be rounded once more, and move four times as many bytes.
    """
    graph, weighted = _operators(path, *WEIGHTED_OPERATORS)
    _, moving = _operators(path, *MOVING_OPERATORS)
    names = [tensor.name.decode() for tensor in graph.tensors]
    layers = [
        # …/mobilenets.nn.ssd.Heads_0/mobilenets.nn.ssd.Predictor_boxes/…Conv2d_predict;1 is ….Heads_0.boxes.predict.1
        Layer(re.sub(r"/[\w.]*_(?=[a-z])|;", ".", names[operator.inputs[1]]), _is_depthwise(operator))
        for operator in weighted
    ]
    kept = kept_layers(layers, card, calibration)
    movers = {operator.outputs[0]: operator for operator in moving}
    rounded = [operator for operator, layer in zip(weighted, layers, strict=True) if layer.weight not in kept]
    for operator in rounded:  # grows by what moves values for it
        rounded.extend(movers[i] for i in (operator.inputs[0],) if i in movers)
    return [names[operator.outputs[0]] for operator in rounded]


def _is_depthwise(operator: Any) -> bool:
    return isinstance(operator.builtinOptions, schema.DepthwiseConv2DOptionsT)


def _ranges(path: Path, images: Pixels) -> dict[str, dict[str, Tensor]]:
    """The range of every float tensor, by name, as the quantiser wants it."""
    graph, swishes = _operators(path, "HARD_SWISH")
    names = {i: tensor.name.decode() for i, tensor in enumerate(graph.tensors)}
    written = [i for o in graph.operators for i in o.outputs if graph.tensors[i].type == schema.TensorType.FLOAT32]
    ranges = Ranges({names[o.inputs[0]]: HARD_SWISH for o in swishes})
    watched = Interpreter(str(path), num_threads=available_cores(), experimental_preserve_all_tensors=True)
    watched.allocate_tensors()
    for image in images:
        watched.set_tensor(watched.get_input_details()[0]["index"], image[None])
        watched.invoke()
        ranges.add(image, ((names[i], watched.get_tensor(i)) for i in written))
    return {
        name: {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}
        for name, (low, high) in ranges.best().items()
    }


def _operators(path: Path, *names: str) -> tuple[Any, list[Any]]:
    """The graph of a file, and its operators of some `names` (of schema.BuiltinOperator)."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph, kinds = model.subgraphs[0], {getattr(schema.BuiltinOperator, name) for name in names}
    return graph, [o for o in graph.operators if model.operatorCodes[o.opcodeIndex].builtinCode in kinds]


def _complete(path: Path, card: ModelCard) -> None:
    card = file_card(card, nms=OUTSIDE)
    with quiet():
        path.write_bytes(with_metadata(path.read_bytes(), model_metadata(card)))
    append_files(path, card)


def with_metadata(model: bytes, metadata: bytes) -> bytes:
    """`model` with one more buffer, registered as its TFLite metadata."""
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    for stored in tree.buffers:
        if stored.offset > 1:  # the quantiser leaves weights behind the tree, at offsets that change with its size
            stored.data = np.frombuffer(model, np.uint8, stored.size, stored.offset)
            stored.offset = stored.size = 0
    buffer = schema.BufferT()
    buffer.data = list(metadata)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA, len(tree.buffers)
    tree.buffers.append(buffer)
    tree.metadata = [*(tree.metadata or []), entry]
    builder = flatbuffers.Builder(len(model) + len(metadata))
    builder.Finish(tree.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def append_files(path: Path, card: ModelCard) -> None:
    """Append labels.txt and card.json as TFLite's associated files: a zip archive behind the model."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS, "".join(f"{name}\n" for name in card.classes))
        archive.writestr(CARD, card.to_json())
