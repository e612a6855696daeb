"""Writing the folder: the page, its predictor, the runtime, the model and the model's card."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from mobilenets import page
from mobilenets.artifact import ModelCard
from mobilenets.export.calibration import Calibration
from mobilenets.export.onnx import write_onnx
from mobilenets.export.qdq import quantize_onnx
from mobilenets.export.web.runtime import runtime_files
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import BROWSER

SCRIPTS = ("predictor.js", "worker.js")
# Compiling WebAssembly is the one thing this page may do beyond what the page of `serve` may.
POLICY = {"script-src": "'self' 'wasm-unsafe-eval'", "worker-src": "'self'"}
_PLACE = b'["FILES"]'


def export_web(model: MobileNet, card: ModelCard, path: Path) -> None:
    """Write the folder around `path`, its model.onnx, in float32.

    Raises:
        UserError: the runtime cannot be fetched.
    """
    static = _static_files(card)  # first, as it can fail
    write_onnx(model, card, path)
    _write(static, path.parent)


def quantize_web(model: MobileNet, card: ModelCard, path: Path, calibration: Calibration) -> None:
    """As `export_web`, the model in 8-bit integers.

    Raises:
        UserError: the runtime cannot be fetched.
    """
    static = _static_files(card)
    quantize_onnx(model, card, path, calibration)
    _write(static, path.parent)


def _static_files(card: ModelCard) -> dict[str, bytes]:
    """Every file but the model, by name."""
    here = files(__package__)
    static = page.assets(POLICY)
    static |= {name: here.joinpath(name).read_bytes() for name in SCRIPTS}
    static |= {script.name: script.read_bytes() for script in BROWSER.parent.glob("*.js")}
    static |= runtime_files()
    static["card.json"] = card.to_json().encode()
    kept = ["./", *sorted(static), "model.onnx"]
    static["offline.js"] = here.joinpath("offline.js").read_bytes().replace(_PLACE, json.dumps(kept).encode())
    return static


def _write(static: dict[str, bytes], folder: Path) -> None:
    for name, content in static.items():
        (folder / name).write_bytes(content)
