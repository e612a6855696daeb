"""What can be exported: the file each target writes and the extra that brings its converter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mobilenets.artifact import ModelCard
from mobilenets.errors import UserError
from mobilenets.export.calibration import Calibration
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.engine import Engine
from mobilenets.runtime.engines import open_engine

Export = Callable[[MobileNet, ModelCard, Path], None]
Quantize = Callable[[MobileNet, ModelCard, Path, Calibration], None]


@dataclass(frozen=True)
class Target:
    """`file`: what is written, possibly with others beside. `engine`: what verifies it; None: nothing here can.

    `hint`: how to try it, said at the end; `{folder}` is where it lies.
    """

    file: str
    extra: str
    engine: str | None
    hint: str = ""


TARGETS = {
    "onnx": Target("model.onnx", "train", "onnxruntime"),
    "openvino": Target("model.xml", "openvino", "openvino"),
    "executorch": Target("model.pte", "executorch", "executorch"),
    "litert": Target("model.tflite", "litert", "litert"),
    "coreml": Target("model.mlpackage", "coreml", None),
    "ncnn": Target("model.param", "ncnn", "ncnn"),
    "torch": Target("model.pt2", "train", "torch"),
    "web": Target(
        "model.onnx",
        "train",
        "onnxruntime",  # the same model.onnx, outside a browser
        "try it: python -m http.server --bind 127.0.0.1 -d {folder}, then open http://localhost:8000; "
        "elsewhere any server of static files does, and for the camera it must speak https",
    ),
}
FULL_TARGETS = ("onnx", "openvino")
INT8_TARGETS = ("onnx", "openvino", "executorch", "litert", "web")


def exporter(target: str) -> Export:
    """The function that writes `target` in float32.

    Raises:
        UserError: no such target, or its converter is not installed.
    """
    return _import(target)[0]


def quantizer(target: str) -> Quantize:
    """The function that writes `target` in 8-bit integers.

    Raises:
        UserError: no such target, its converter is not installed, or it has no 8-bit form here.
    """
    quantize = _import(target)[1] if target in INT8_TARGETS or target not in TARGETS else None
    if quantize is None:
        raise UserError(f"--int8: not offered for {target}; it is for {', '.join(INT8_TARGETS)}")
    return quantize


def _import(target: str) -> tuple[Export, Quantize | None]:
    if target not in TARGETS:
        raise UserError(f"--to {target}: no such target; choose one of {', '.join(TARGETS)}")
    try:
        return _writers(target)
    except ModuleNotFoundError as missing:
        extra = TARGETS[target].extra
        raise UserError(f"--to {target} needs {missing.name}; run: pip install 'mobilenets[{extra}]'") from None


def _writers(target: str) -> tuple[Export, Quantize | None]:
    if target == "openvino":
        from mobilenets.export.openvino import export_openvino, quantize_openvino

        return export_openvino, quantize_openvino
    if target == "executorch":
        from mobilenets.export.executorch import export_executorch, quantize_executorch

        return export_executorch, quantize_executorch
    if target == "litert":
        from mobilenets.export.litert import export_litert, quantize_litert

        return export_litert, quantize_litert
    if target == "coreml":
        from mobilenets.export.coreml import export_coreml

        return export_coreml, None
    if target == "ncnn":
        from mobilenets.export.ncnn import export_ncnn

        return export_ncnn, None
    if target == "torch":
        from mobilenets.export.torch import export_torch

        return export_torch, None
    if target == "web":
        from mobilenets.export.web.folder import export_web, quantize_web

        return export_web, quantize_web
    from mobilenets.export.onnx import write_onnx
    from mobilenets.export.qdq import quantize_onnx

    return write_onnx, quantize_onnx


def with_full_input(target: str, write: Export) -> Export:
    """`write`, and then the resize and the crop put into the file's graph.

    Raises:
        UserError: not offered for `target`.
    """
    if target not in FULL_TARGETS:
        raise UserError(f"--input full: not offered for {target}; it is for {' and '.join(FULL_TARGETS)}")

    def write_full(model: MobileNet, card: ModelCard, path: Path) -> None:
        from mobilenets.export.full import check_full, full_onnx

        check_full(card.preprocess)
        write(model, card, path)
        if target == "onnx":
            path.write_bytes(full_onnx(path.read_bytes(), card))
        else:
            from mobilenets.export.openvino import full_openvino

            full_openvino(path, card)

    return write_full


def reopen(target: str, path: Path, card: ModelCard) -> Engine | None:
    """The exported file in its own runtime, on one thread where it can be told (ExecuTorch cannot); None where that
    does not exist on this system.
    """
    if target == "torch":
        from mobilenets.export.torch import ExportedProgramEngine

        return ExportedProgramEngine(path, card)
    engine = TARGETS[target].engine
    return open_engine(path, engine, None if engine == "executorch" else 1) if engine else None
