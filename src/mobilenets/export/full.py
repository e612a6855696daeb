"""`--input full`: the graph takes a decoded picture of any size and resizes and crops it itself.

Programs in any language then get the usual answer from raw pixels alone, without a resize of their own that
differs in its antialiasing, its rounding or its crop. The steps are those of `Preprocess.pixels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mobilenets.artifact import ModelCard
from mobilenets.errors import UserError
from mobilenets.export.onnx import OPSET
from mobilenets.preprocess import Preprocess

_MODES = {"bilinear": "linear", "bicubic": "cubic"}
_CUBIC = -0.5  # the coefficient a of Pillow's bicubic filter


def check_full(preprocess: Preprocess) -> None:
    """Refuse what has no such graph.

    Raises:
        UserError: the network takes grey pictures.
    """
    if preprocess.mode != "RGB":
        raise UserError("--input full: the network takes grey pictures; leave --input out")


def full_onnx(network: bytes, card: ModelCard) -> bytes:
    """`network`, an exported ONNX file, behind resize and crop: `image` uint8 (H, W, 3) → `probabilities` (1, K)."""
    graph = onnx.load_model_from_string(network)
    merged = onnx.compose.merge_models(
        onnx.compose.add_prefix(_preprocess(card.preprocess, graph.ir_version), "preprocess_", rename_inputs=False),
        onnx.compose.add_prefix(graph, "network_", rename_outputs=False),
        io_map=[("preprocess_pixels", "network_image")],
    )
    merged.producer_name = graph.producer_name
    onnx.helper.set_model_props(merged, {prop.key: prop.value for prop in graph.metadata_props})
    onnx.checker.check_model(merged)
    content: bytes = merged.SerializeToString()
    return content


def _preprocess(preprocess: Preprocess, ir_version: int) -> onnx.ModelProto:
    """`image` uint8 (H, W, 3) → `pixels` uint8 (1, size, size, 3)."""
    size = preprocess.size
    constants: dict[str, np.ndarray[Any, Any]] = {
        "side": np.array([preprocess.resize_side], np.int64),
        "size": np.array([size, size], np.int64),
        "two": np.array([2], np.float32),
        "zero": np.array([0], np.int64),
        "both": np.array([2], np.int64),
        "axes": np.array([1, 2], np.int64),
    }
    nodes = [
        # The short side becomes `side`, the long one is rounded down: whole numbers, as `Preprocess` computes them.
        helper.make_node("Shape", ["image"], ["shape"]),
        helper.make_node("Slice", ["shape", "zero", "both"], ["sides"]),
        helper.make_node("ReduceMin", ["sides"], ["short"], keepdims=1),
        helper.make_node("Mul", ["sides", "side"], ["products"]),
        helper.make_node("Div", ["products", "short"], ["resized"]),
        helper.make_node("Unsqueeze", ["image", "zero"], ["batch"]),
        helper.make_node(
            "Resize",
            ["batch", "", "", "resized"],
            ["resized_image"],
            axes=[1, 2],
            mode=_MODES[preprocess.interpolation],
            antialias=1,
            cubic_coeff_a=_CUBIC,
            coordinate_transformation_mode="half_pixel",
        ),
        # The crop's corner is rounded halves to even, as `Preprocess` and torchvision round it.
        helper.make_node("Sub", ["resized", "size"], ["margin"]),
        helper.make_node("Cast", ["margin"], ["margin_float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["margin_float", "two"], ["half"]),
        helper.make_node("Round", ["half"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["start"], to=TensorProto.INT64),
        helper.make_node("Add", ["start", "size"], ["end"]),
        helper.make_node("Slice", ["resized_image", "start", "end", "axes"], ["pixels"]),
    ]
    graph = helper.make_graph(
        nodes,
        "preprocess",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["height", "width", 3])],
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, size, size, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, ir_version=ir_version, opset_imports=[helper.make_opsetid("", OPSET)])
