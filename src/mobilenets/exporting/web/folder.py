"""Writing the folder: the page, its predictor, the runtime, the model and the model's card."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path

from mobilenets import webui
from mobilenets.exporting.int8.calibration import Calibration
from mobilenets.exporting.int8.qdq import quantize_onnx
from mobilenets.exporting.targets.onnx import write_half_onnx, write_onnx
from mobilenets.exporting.web.runtime import runtime_files
from mobilenets.model_card import ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import BROWSER
from mobilenets.system.files import write_atomic

SCRIPTS = ("known.js", "predictor.js", "worker.js")
# Compiling WebAssembly is the one thing this page may do beyond what the page of `serve` may.
POLICY = {"script-src": "'self' 'wasm-unsafe-eval'", "worker-src": "'self'"}
_PLACE = b'["FILES"]'


def export_web(model: MobileNet, card: ModelCard, path: Path) -> None:
    """Write the folder around `path`, its model.onnx, in float32.

    Raises
    ------
    UserError
        The runtime cannot be fetched.
    """
    _export(write_onnx, model, card, path)


def export_half_web(model: MobileNet, card: ModelCard, path: Path) -> None:
    """As `export_web`, the weights in float16.

    Raises
    ------
    UserError
        The runtime cannot be fetched.
    """
    _export(write_half_onnx, model, card, path)


def quantize_web(model: MobileNet, card: ModelCard, path: Path, calibration: Calibration) -> None:
    """As `export_web`, the model in 8-bit integers.

    Raises
    ------
    UserError
        The runtime cannot be fetched.
    """
    _export(partial(quantize_onnx, calibration=calibration), model, card, path)


def with_index(folder: Path, index: str) -> None:
    """Let the page in `folder` tell what is unknown, by the file `index` in it."""
    for file, found, put in (
        (folder / "worker.js", 'const INDEX = "";', f"const INDEX = {json.dumps(index)};"),
        (folder / "offline.js", '"model.onnx"]', f'"model.onnx", {json.dumps(index)}]'),
    ):
        text = file.read_text(encoding="utf-8")
        assert text.count(found) == 1
        write_atomic(file, text.replace(found, put))


def _export(write: Callable[[MobileNet, ModelCard, Path], None], model: MobileNet, card: ModelCard, path: Path) -> None:
    static = _static_files(card)  # first, as it can fail
    write(model, card, path)
    for name, content in static.items():
        (path.parent / name).write_bytes(content)


def _static_files(card: ModelCard) -> dict[str, bytes]:
    """Every file but the model, by name."""
    here = files(__package__)
    static = webui.assets(POLICY)
    static |= {name: here.joinpath(name).read_bytes() for name in SCRIPTS}
    static |= {script.name: script.read_bytes() for script in BROWSER.parent.glob("*.js")}
    static |= runtime_files()
    static["card.json"] = card.to_json().encode()
    kept = ["./", *sorted(static), "model.onnx"]
    static["offline.js"] = here.joinpath("offline.js").read_bytes().replace(_PLACE, json.dumps(kept).encode())
    return static
