"""OpenVINO IR: a graph (`.xml`) that carries the card, and its weights (`.bin`) beside it."""

from __future__ import annotations

from pathlib import Path

import openvino

from mobilenets.artifact import METADATA_KEY, ModelCard
from mobilenets.export.calibration import Calibration
from mobilenets.export.graph import deployed
from mobilenets.export.onnx import onnx_bytes
from mobilenets.export.quiet import quiet
from mobilenets.nn.model import MobileNet

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

        graph = _graph(model, card)
        layers = [o.get_friendly_name() for o in graph.get_ordered_ops() if o.get_type_name() in LAYERS]
        ends = nncf.IgnoredScope(names=[layers[0], layers[-1]]) if calibration.float_ends else None
        quantized = nncf.quantize(
            graph,
            nncf.Dataset(list(calibration.pixels[:, None])),
            preset=nncf.QuantizationPreset.MIXED,  # asymmetric activations: h-swish is not symmetric
            subset_size=len(calibration.pixels),
            ignored_scope=ends,
        )
    _save(quantized, card, path)


def _graph(model: MobileNet, card: ModelCard) -> openvino.Model:
    return openvino.Core().read_model(onnx_bytes(deployed(model, card), card.preprocess, "probabilities"), b"")


def _save(graph: openvino.Model, card: ModelCard, path: Path) -> None:
    graph.set_rt_info(card.to_json(), METADATA_KEY)
    openvino.save_model(graph, path, compress_to_fp16=False)
