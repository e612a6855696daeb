"""What can be exported: the file each target writes and the extra that brings its converter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from mobilenets.errors import MissingExtraError, UsageError
from mobilenets.exporting.int8.calibration import Calibration
from mobilenets.model_card import ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.base import Engine
from mobilenets.runtime.registry import KINDS, open_engine

Export = Callable[[MobileNet, ModelCard, Path], None]
Quantize = Callable[[MobileNet, ModelCard, Path, Calibration], None]


@dataclass(frozen=True)
class Target:
    """`file`: what is written, possibly with others beside. `engine`: what verifies it; None: nothing here can.

    `hint`: how to try it, said at the end; `{folder}` is where it lies. `quantizer`: the package that writes it in
    8-bit integers, where that is one of its own.
    """

    file: str
    extra: str
    engine: str | None
    hint: str = ""
    quantizer: str | None = None


TARGETS = {
    "onnx": Target("model.onnx", "train", "onnxruntime"),
    "openvino": Target("model.xml", "openvino", "openvino", quantizer="nncf"),
    "executorch": Target("model.pte", "executorch", "executorch", quantizer="torchao"),
    "litert": Target("model.tflite", "litert", "litert", quantizer="ai_edge_quantizer"),
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
HALF_TARGETS = ("onnx", "openvino", "litert", "coreml", "ncnn", "web")


class Writers(NamedTuple):
    """The functions that write a target; None: it has no such form here."""

    float32: Export
    int8: Quantize | None = None
    half: Export | None = None


def exporter(target: str) -> Export:
    """The function that writes `target` in float32.

    Raises
    ------
    UserError
        No such target, or its converter is not installed.
    """
    return _import(target).float32


def quantizer(target: str) -> Quantize:
    """The function that writes `target` in 8-bit integers.

    Raises
    ------
    UserError
        No such target, its converter is not installed, or it has no 8-bit form here.
    """
    quantize = _import(target).int8 if target in INT8_TARGETS or target not in TARGETS else None
    if quantize is None:
        raise UsageError(f"--int8: not offered for {target}; it is for {', '.join(INT8_TARGETS)}")
    needed = TARGETS[target].quantizer
    if needed is not None and find_spec(needed) is None:
        raise MissingExtraError(
            f"--int8: {target} needs {needed}; run: pip install 'mobilenets[{TARGETS[target].extra}]'"
        )

    def write_int8(model: MobileNet, card: ModelCard, path: Path, calibration: Calibration) -> None:
        from mobilenets.exporting.int8.prepare import prepare_for_int8

        quantize(prepare_for_int8(model, card, calibration), card, path, calibration)

    return write_int8


def half_exporter(target: str) -> Export:
    """The function that writes `target` with weights in float16.

    Raises
    ------
    UserError
        No such target, its converter is not installed, or it has no such form here.
    """
    half = _import(target).half if target in HALF_TARGETS or target not in TARGETS else None
    if half is None:
        raise UsageError(f"--half: not offered for {target}; it is for {', '.join(HALF_TARGETS)}")

    def write_half(model: MobileNet, card: ModelCard, path: Path) -> None:
        from mobilenets.exporting.half import check_range

        check_range(model)
        half(model, card, path)

    return write_half


def _import(target: str) -> Writers:
    if target not in TARGETS:
        raise UsageError(f"--to {target}: no such target; choose one of {', '.join(TARGETS)}")
    try:
        return _writers(target)
    except ModuleNotFoundError as missing:
        extra = TARGETS[target].extra
        raise MissingExtraError(f"--to {target} needs {missing.name}; run: pip install 'mobilenets[{extra}]'") from None


def _writers(target: str) -> Writers:
    if target == "openvino":
        from mobilenets.exporting.targets.openvino import export_half_openvino, export_openvino, quantize_openvino

        return Writers(export_openvino, quantize_openvino, export_half_openvino)
    if target == "executorch":
        from mobilenets.exporting.targets.executorch import export_executorch, quantize_executorch

        return Writers(export_executorch, quantize_executorch)
    if target == "litert":
        from mobilenets.exporting.targets.litert import export_half_litert, export_litert, quantize_litert

        return Writers(export_litert, quantize_litert, export_half_litert)
    if target == "coreml":
        from mobilenets.exporting.targets.coreml import export_coreml, export_half_coreml

        return Writers(export_coreml, half=export_half_coreml)
    if target == "ncnn":
        from mobilenets.exporting.targets.ncnn import export_half_ncnn, export_ncnn

        return Writers(export_ncnn, half=export_half_ncnn)
    if target == "torch":
        from mobilenets.exporting.targets.torch import export_torch

        return Writers(export_torch)
    if target == "web":
        from mobilenets.exporting.web.folder import export_half_web, export_web, quantize_web

        return Writers(export_web, quantize_web, export_half_web)
    from mobilenets.exporting.int8.qdq import quantize_onnx
    from mobilenets.exporting.targets.onnx import write_half_onnx, write_onnx

    return Writers(write_onnx, quantize_onnx, write_half_onnx)


def with_full_input(target: str, write: Export) -> Export:
    """`write`, and then the resize and the crop put into the file's graph.

    Raises
    ------
    UserError
        Not offered for `target`.
    """
    if target not in FULL_TARGETS:
        raise UsageError(f"--input full: not offered for {target}; it is for {' and '.join(FULL_TARGETS)}")

    def write_full(model: MobileNet, card: ModelCard, path: Path) -> None:
        from mobilenets.exporting.full import check_full, full_onnx

        check_full(card.preprocess)
        write(model, card, path)
        if target == "onnx":
            path.write_bytes(full_onnx(path.read_bytes(), card))
        else:
            from mobilenets.exporting.targets.openvino import full_openvino

            full_openvino(path, card)

    return write_full


def reopen(target: str, path: Path, card: ModelCard) -> Engine | None:
    """The exported file in its own runtime, on one thread where it can be told (ExecuTorch cannot); None where that
    does not exist on this system.
    """
    if target == "torch":
        from mobilenets.exporting.targets.torch import ExportedProgramEngine

        return ExportedProgramEngine(path, card)
    engine = TARGETS[target].engine
    return open_engine(path, engine, 1 if KINDS[engine].takes_threads else None) if engine else None
