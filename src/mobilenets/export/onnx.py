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
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mobilenets.artifact import METADATA_KEY, ModelCard, write_atomic
from mobilenets.errors import UserError
from mobilenets.nn.layers import ConvNormAct
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.onnxruntime import make_session

OPSET = 18
AGREEMENT = 1e-4  # of a probability: float32 in another order of summation stays far below


class FromPixels(nn.Module):
    """`network` behind its normalisation: takes uint8 pixels (N, H, W, C) instead of normalised images.

    The normalisation could be folded into the first convolution, but not its zero padding: borders would
    differ.
    """

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.network = network
        scale = 255 * torch.tensor([preprocess.mean, preprocess.std]).view(2, 1, -1, 1, 1)  # (2, 1, C, 1, 1)
        self.mean, self.std = nn.Buffer(scale[0]), nn.Buffer(scale[1])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, C) → what `network` makes of float (N, C, H, W)."""
        images = image.permute(0, 3, 1, 2).float()
        result: torch.Tensor = self.network((images - self.mean) / self.std)
        return result


class Probabilities(nn.Module):
    """Softmax over a network's logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, K), rows summing to 1."""
        logits: torch.Tensor = self.network(images)
        return logits.softmax(1)


def fold_norms(module: nn.Module) -> nn.Module:
    """A copy in eval mode whose BatchNorms are folded into the convolutions before them."""
    folded = copy.deepcopy(module).eval()
    for part in folded.modules():
        if isinstance(part, ConvNormAct) and isinstance(part.norm, nn.BatchNorm2d):
            part.conv = fuse_conv_bn_eval(part.conv, part.norm)
            part.norm = nn.Identity()
    return folded


def onnx_bytes(module: FromPixels, preprocess: Preprocess, output: str) -> bytes:
    """`module` as an ONNX graph with input `image` uint8 (N, size, size, C), N free, and one output."""
    side = preprocess.size
    example = torch.zeros(2, side, side, preprocess.channels, dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        target = Path(folder) / "model.onnx"
        torch.onnx.export(
            fold_norms(module).cpu(),
            (example,),
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
    if len(card.classes) != model.net.num_classes:
        raise UserError(f"{path}: {len(card.classes)} class names for {model.net.num_classes} outputs")
    # A copy: the caller's network stays on its device and in its mode.
    module = FromPixels(Probabilities(copy.deepcopy(model)), card.preprocess).cpu().eval()
    graph = onnx.load_model_from_string(onnx_bytes(module, card.preprocess, "probabilities"))
    graph.producer_name = "mobilenets"
    graph.metadata_props.add(key=METADATA_KEY, value=card.to_json())
    onnx.checker.check_model(graph)
    content = graph.SerializeToString()
    difference = _difference(module, content, card.preprocess)
    if not difference <= AGREEMENT:
        raise UserError(f"{path}: the exported graph differs from the network by {difference:.2g}; not written")
    write_atomic(path, content)


def _difference(module: nn.Module, content: bytes, preprocess: Preprocess) -> float:
    shape = (2, preprocess.size, preprocess.size, preprocess.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    ours = make_session(content).run(None, {"image": pixels})[0]
    with torch.inference_mode():
        theirs = module(torch.from_numpy(pixels)).numpy()
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
