"""ONNX: self-contained, uint8 pictures in, the answers of the task out, the card inside."""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from mobilenets.errors import ModelFileError
from mobilenets.exporting.deploy import deployed, example_pixels, file_card, fold_norms, names_given
from mobilenets.exporting.half import store_half
from mobilenets.exporting.nms import with_nms
from mobilenets.exporting.padding import pad_alike, set_pads
from mobilenets.exporting.quiet import quiet
from mobilenets.model_card import INSIDE, METADATA_KEY, ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.torch import FromPixels
from mobilenets.runtime.engines.onnxruntime import make_session
from mobilenets.runtime.engines.torch import TorchEngine, torch_threads
from mobilenets.system.files import write_atomic
from mobilenets.tasks import task_of
from mobilenets.tasks.task import Outputs

log = logging.getLogger(__name__)

OPSET = 18
AGREEMENT = 1e-4  # of a probability: float32 in another order of summation stays far below
ROUNDINGS = 30  # times what float32's rounding makes of the network's own answers that the graph may differ by
_PRECISIONS = (torch.float32, torch.float64)


def onnx_bytes(module: FromPixels, preprocess: Preprocess, *outputs: str) -> bytes:
    """`module` as an ONNX graph with input `image` uint8 (N, size, size, C), N free, and its outputs by name."""
    return graph_bytes(module, example_pixels(preprocess, 2), "image", *outputs)


def graph_bytes(module: nn.Module, example: torch.Tensor, taken: str, *outputs: str) -> bytes:
    """Any module, also a part of a network, as an ONNX graph with one input like `example` (N free).

    On one thread, for the same graph: two images are little work, and beside other work threads that share them wait
    for each other for three times as long.
    """
    with tempfile.TemporaryDirectory() as folder, quiet(), torch_threads(1):
        target = Path(folder) / "model.onnx"
        folded = fold_norms(module).cpu()
        pads = pad_alike(folded, example)
        torch.onnx.export(
            folded,
            (example,),
            target,
            input_names=[taken],
            output_names=list(outputs),
            dynamic_axes={name: {0: "batch"} for name in (taken, *outputs)},
            opset_version=OPSET,
            dynamo=False,  # the newer exporter took 9.3 s for V3-Large where this one takes 2.1, for no smaller a file
        )
        graph = onnx.load(target)
    set_pads(graph, pads)
    content: bytes = graph.SerializeToString()
    return content


def answering_bytes(model: MobileNet, card: ModelCard) -> bytes:
    """A graph from pixels to what `deployed` gives, without the card.

    Raises
    ------
    UserError
        The card is another network's.
    """
    return onnx_bytes(deployed(model, card), card.preprocess, *names_given(card))


def completed(content: bytes, card: ModelCard) -> bytes:
    """A file of what `answering_bytes` gave: with the choice among overlapping boxes, and the card."""
    graph = onnx.load_model_from_string(content)
    suppression = task_of(card).suppression
    if suppression is not None:
        with_nms(graph, suppression)
    graph.producer_name = "mobilenets"
    graph.metadata_props.add(key=METADATA_KEY, value=file_card(card, nms=INSIDE).to_json())
    onnx.checker.check_model(graph)
    result: bytes = graph.SerializeToString()
    return result


def onnx_file(model: MobileNet, card: ModelCard) -> bytes:
    """The content of `model.onnx`: from pixels to outputs, the card in its metadata.

    Raises
    ------
    UserError
        The card is another network's.
    """
    return completed(answering_bytes(model, card), card)


def write_onnx(model: MobileNet, card: ModelCard, path: Path) -> None:
    """Write `model` as a self-contained ONNX file, unverified."""
    write_atomic(path, onnx_file(model, card))


def write_half_onnx(model: MobileNet, card: ModelCard, path: Path) -> None:
    """As `write_onnx`, its weights in float16."""
    write_atomic(path, store_half(onnx_file(model, card)))


def export_onnx(model: MobileNet, card: ModelCard, path: Path) -> None:
    """Write `model` as a self-contained ONNX file, after comparing it with torch on random pixels.

    Raises
    ------
    UserError
        The exported graph does not give the network's outputs, or the card is another's.
    """
    with torch_threads(1):  # as in `graph_bytes`
        content = answering_bytes(model, card)
        difference = _difference(model, content, card)
        rounding = 0.0 if difference <= AGREEMENT else _rounding(model, card)
    if not difference <= max(AGREEMENT, ROUNDINGS * rounding):
        raise ModelFileError(f"{path}: the exported graph differs from the network by {difference:.2g}; not written")
    if rounding:
        log.warning(
            "%s: on random pixels it differs from the network by %.2g, as rounding alone moves its answers by %.2g",
            *(path, difference, rounding),
        )
    write_atomic(path, completed(content, card))


def write_card(card: ModelCard, path: Path) -> None:
    """Put another card of the same network into the ONNX file at `path`."""
    graph = onnx.load(path)
    (kept,) = (entry for entry in graph.metadata_props if entry.key == METADATA_KEY)
    kept.value = file_card(card, nms=INSIDE).to_json()
    write_atomic(path, graph.SerializeToString())


def _rounding(model: MobileNet, card: ModelCard) -> float:
    """How far float32 is from double precision, in what `_difference` compares: much, of a network hardly trained."""
    pixels = example_pixels(card.preprocess, 2).numpy()
    single, double = (TorchEngine(copy.deepcopy(model).cpu().to(t), card).ends(pixels) for t in _PRECISIONS)
    return _apart(single, double)


def _difference(model: MobileNet, content: bytes, card: ModelCard) -> float:
    """The largest of what `answering_bytes` gave, before anything is chosen from it."""
    pixels = example_pixels(card.preprocess, 2).numpy()
    ours = make_session(content).run(names_given(card), {"image": pixels})
    # A copy: the caller's network stays on its device and in its mode.
    theirs = TorchEngine(copy.deepcopy(model).cpu(), card).ends(pixels)
    return _apart(ours, theirs)


def _apart(some: Sequence[Outputs], others: Sequence[Outputs]) -> float:
    """The largest difference of any output; of one with values above 1, as lengths of features, as part of these."""
    pairs = zip(some, others, strict=True)
    return max(float(np.abs(a - b).max() / max(1.0, float(np.abs(b).max()))) for a, b in pairs)
