"""`--input full`: the graph takes a decoded picture of any size and resizes and crops it itself.

Programs in any language then get the usual answer from raw pixels alone, without a resize of their own that
differs in its antialiasing, its rounding or its crop. The steps are those of `Preprocess.pixels`.
"""

from __future__ import annotations

import onnx

from mobilenets.errors import UsageError
from mobilenets.exporting.targets.onnx import OPSET
from mobilenets.model_card import ModelCard
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.onnx import resize_and_crop


def check_full(preprocess: Preprocess) -> None:
    """Refuse what has no such graph.

    Raises
    ------
    UserError
        The network takes grey pictures.
    """
    if preprocess.mode != "RGB":
        raise UsageError("--input full: the network takes grey photos; leave --input out")


def full_onnx(network: bytes, card: ModelCard) -> bytes:
    """`network`, an exported ONNX file, behind resize and crop: `image` uint8 (H, W, 3) → `probabilities` (1, K)."""
    graph = onnx.load_model_from_string(network)
    steps = resize_and_crop(card.preprocess, OPSET, graph.ir_version)
    merged = onnx.compose.merge_models(
        onnx.compose.add_prefix(steps, "preprocess_", rename_inputs=False),
        onnx.compose.add_prefix(graph, "network_", rename_outputs=False),
        io_map=[("preprocess_pixels", "network_image")],
    )
    merged.producer_name = graph.producer_name
    onnx.helper.set_model_props(merged, {prop.key: prop.value for prop in graph.metadata_props})
    onnx.checker.check_model(merged)
    content: bytes = merged.SerializeToString()
    return content
