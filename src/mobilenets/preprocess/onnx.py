"""Resize and crop as ONNX nodes: the steps of `Preprocess.pixels` for graphs that take a picture of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mobilenets.preprocess.fit import PADDING
from mobilenets.preprocess.preprocess import Preprocess

_MODES = {"bilinear": "linear", "bicubic": "cubic"}
_CUBIC = -0.5  # the coefficient a of Pillow's bicubic filter


def resize_and_crop(preprocess: Preprocess, opset: int, ir_version: int) -> onnx.ModelProto:
    """`image` uint8 (H, W, 3) → `pixels` uint8 (1, size, size, 3)."""
    size = preprocess.size
    constants: dict[str, np.ndarray[Any, Any]] = {
        "side": np.array([preprocess.resize_side], np.int64),
        "size": np.array([size, size], np.int64),
        "one": np.array([1], np.int64),
        "two": np.array([2], np.float32),
        "zero": np.array([0], np.int64),
        "both": np.array([2], np.int64),
        "axes": np.array([1, 2], np.int64),
    }
    if preprocess.fit == "squash":
        constants["resized"] = np.array([preprocess.resize_side] * 2, np.int64)
        sides = []
    else:
        # One side becomes `side`, the other is rounded down: whole numbers, as `fit.window` computes them.
        sides = [
            helper.make_node("Shape", ["image"], ["shape"]),
            helper.make_node("Slice", ["shape", "zero", "both"], ["sides"]),
            helper.make_node("ReduceMax" if preprocess.fit == "pad" else "ReduceMin", ["sides"], ["given"], keepdims=1),
            helper.make_node("Mul", ["sides", "side"], ["products"]),
            helper.make_node("Div", ["products", "given"], ["quotients"]),
            helper.make_node("Max", ["quotients", "one"], ["resized"]),
        ]
    nodes = [
        *sides,
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
        # The corner is rounded halves to even, as `fit.window` and torchvision round it; it is negative where there is
        # padding.
        helper.make_node("Sub", ["resized", "size"], ["margin"]),
        helper.make_node("Cast", ["margin"], ["margin_float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["margin_float", "two"], ["half"]),
        helper.make_node("Round", ["half"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["start"], to=TensorProto.INT64),
        helper.make_node("Add", ["start", "size"], ["end"]),
        *(_padded(constants) if preprocess.fit == "pad" else [_sliced("start", "end", "pixels")]),
    ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "preprocess",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["height", "width", 3])],
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, size, size, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    return helper.make_model(graph, ir_version=ir_version, opset_imports=[helper.make_opsetid("", opset)])


def _sliced(start: str, end: str, result: str) -> onnx.NodeProto:
    return helper.make_node("Slice", ["resized_image", start, end, "axes"], [result])


def _padded(constants: dict[str, np.ndarray[Any, Any]]) -> list[onnx.NodeProto]:
    """What lies between `start` and `end` of the resized image, and padding where that is beyond it."""
    constants["grey"] = np.array(PADDING, np.uint8)
    return [
        helper.make_node("Max", ["start", "zero"], ["inner_start"]),
        helper.make_node("Min", ["end", "resized"], ["inner_end"]),
        _sliced("inner_start", "inner_end", "inner"),
        helper.make_node("Sub", ["inner_start", "start"], ["before"]),
        helper.make_node("Sub", ["end", "inner_end"], ["after"]),
        helper.make_node("Concat", ["before", "after"], ["around"], axis=0),
        helper.make_node("Pad", ["inner", "around", "grey", "axes"], ["pixels"], mode="constant"),
    ]
