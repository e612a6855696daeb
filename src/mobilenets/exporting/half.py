"""`--half`: weights in float16, half the size; what they are computed in is the runtime's choice."""

from __future__ import annotations

import numpy as np
import onnx

from mobilenets.errors import UsageError
from mobilenets.exporting.deploy import fold_norms
from mobilenets.nn.model import MobileNet

LARGEST = float(np.finfo(np.float16).max)  # 65504
SUFFIX = "_float16"


def check_range(model: MobileNet) -> None:
    """Refuse a network whose weights, BatchNorm folded, would be infinite in float16.

    Raises
    ------
    UserError
        One is.
    """
    for name, weights in fold_norms(model).named_parameters():
        largest = weights.abs().max().item()
        if not largest <= LARGEST:
            raise UsageError(f"--half: weights of {name} reach {largest:.3g}, float16 ends at 65504; leave --half out")


def store_half(content: bytes) -> bytes:
    """An ONNX file with its weights in float16 and everything else as it was.

    Each is cast to float32 before it is read. Runtimes do that once, as they load the file, so it takes as long as
    before; where activations were float16 too, onnxruntime would convert every one of them on a processor.
    """
    graph = onnx.load_model_from_string(content)
    casts = []
    for stored in graph.graph.initializer:
        if stored.data_type == onnx.TensorProto.FLOAT and len(stored.dims) > 1:  # biases are a hundredth of the size
            name = stored.name
            half = onnx.numpy_helper.to_array(stored).astype(np.float16)
            stored.CopyFrom(onnx.numpy_helper.from_array(half, name + SUFFIX))
            casts.append(onnx.helper.make_node("Cast", [name + SUFFIX], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    onnx.checker.check_model(graph)
    smaller: bytes = graph.SerializeToString()
    return smaller
