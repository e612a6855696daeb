"""ExecuTorch (`.pte`): for phones and boards, computed by XNNPACK; the card is a method of the program."""

from __future__ import annotations

from pathlib import Path

import torch

from mobilenets.exporting.deploy import deployed, example_pixels, file_card
from mobilenets.exporting.int8.calibration import Calibration
from mobilenets.exporting.quiet import silent
from mobilenets.model_card import OUTSIDE, ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.engines.executorch import CARD_METHOD

with silent():
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower


def export_executorch(model: MobileNet, card: ModelCard, path: Path) -> None:
    """Write the program: method `forward` takes one picture uint8 (1, size, size, C) and gives outputs and features,
    `card` gives the card.

    The format keeps no text: the card's JSON is a tensor of its UTF-8 bytes.
    """
    with silent():
        program = torch.export.export(deployed(model, card), (example_pixels(card.preprocess),))
        _save(program, card, path)


def quantize_executorch(model: MobileNet, card: ModelCard, path: Path, calibration: Calibration) -> None:
    """Write `model` with 8-bit weights per output channel and 8-bit activations, by PT2E."""
    with silent():
        example = (example_pixels(card.preprocess),)
        _save(torch.export.export(rounded(model, card, calibration), example), card, path)


def rounded(model: MobileNet, card: ModelCard, calibration: Calibration) -> torch.fx.GraphModule:
    """The graph of the file in 8 bits: what is rounded passes through quantize and dequantize."""
    from mobilenets.exporting.int8.pt2e import quantized_graph

    exported = torch.export.export(deployed(model, card), (example_pixels(card.preprocess),)).module()
    return quantized_graph(exported, card, calibration)


def _save(program: torch.export.ExportedProgram, card: ModelCard, path: Path) -> None:
    text = torch.frombuffer(bytearray(file_card(card, nms=OUTSIDE).to_json().encode()), dtype=torch.uint8)
    lowered = to_edge_transform_and_lower(
        program, partitioner=[XnnpackPartitioner()], constant_methods={CARD_METHOD: text}
    )
    path.write_bytes(lowered.to_executorch().buffer)
