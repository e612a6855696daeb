"""ONNX: self-contained, uint8 pictures in, probabilities out, the card inside."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch

from mobilenets.artifact import METADATA_KEY, ModelCard, write_atomic
from mobilenets.errors import UserError
from mobilenets.export.graph import FromPixels, deployed, example_pixels, fold_norms
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.onnxruntime import make_session

OPSET = 18
AGREEMENT = 1e-4  # of a probability: float32 in another order of summation stays far below


def onnx_bytes(module: FromPixels, preprocess: Preprocess, output: str) -> bytes:
    """`module` as an ONNX graph with input `image` uint8 (N, size, size, C), N free, and one output."""
    with tempfile.TemporaryDirectory() as folder, _quiet():
        target = Path(folder) / "model.onnx"
        torch.onnx.export(
            fold_norms(module).cpu(),
            (example_pixels(preprocess, 2),),
            target,
            input_names=["image"],
            output_names=[output],
            dynamic_axes={"image": {0: "batch"}, output: {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,  # the newer exporter took 9.3 s for V3-Large where this one takes 2.1, for no smaller a file
        )
        return target.read_bytes()


def export_onnx(model: MobileNet, card: ModelCard, path: Path) -> None:
    """Write `model` as a self-contained ONNX file, after comparing it with torch on random pixels.

    Raises:
        UserError: the exported graph does not give the network's probabilities, or the card is another's.
    """
    graph = onnx.load_model_from_string(onnx_bytes(deployed(model, card), card.preprocess, "probabilities"))
    graph.producer_name = "mobilenets"
    graph.metadata_props.add(key=METADATA_KEY, value=card.to_json())
    onnx.checker.check_model(graph)
    content = graph.SerializeToString()
    difference = _difference(model, content, card.preprocess)
    if not difference <= AGREEMENT:
        raise UserError(f"{path}: the exported graph differs from the network by {difference:.2g}; not written")
    write_atomic(path, content)


@torch.inference_mode()
def _difference(model: MobileNet, content: bytes, preprocess: Preprocess) -> float:
    pixels = example_pixels(preprocess, 2).numpy()
    ours = make_session(content).run(None, {"image": pixels})[0]
    # A copy: the caller's network stays on its device and in its mode.
    network = copy.deepcopy(model).cpu().eval()
    theirs = network(torch.from_numpy(preprocess.normalize(pixels))).softmax(1).numpy()
    return float(np.abs(ours - theirs).max())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks to users of torch about its own deprecations; to ours that says nothing."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
