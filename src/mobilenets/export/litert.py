"""LiteRT (`.tflite`, NHWC): for Android and Edge; TFLite metadata, labels.txt and card.json inside the file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import flatbuffers
import numpy as np

from mobilenets.artifact import ModelCard
from mobilenets.errors import UserError
from mobilenets.export.calibration import Calibration
from mobilenets.export.graph import deployed, example_pixels
from mobilenets.export.quiet import quiet, silent
from mobilenets.export.tflite_metadata import LABELS, model_metadata
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.litert import CARD

with silent():
    import litert_torch
    from ai_edge_litert import schema_py_generated as schema

METADATA = "TFLITE_METADATA"  # the name under which readers of TFLite metadata look for it
IDENTIFIER = b"TFL3"
# All operators would include the pixels taken and the probabilities given.
INT8_OPERATORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD")


def export_litert(model: MobileNet, card: ModelCard, path: Path) -> None:
    """Write the model: one picture uint8 (1, size, size, C) in, probabilities float32 (1, K) out."""
    with silent():
        converted = litert_torch.convert(deployed(model, card), (example_pixels(card.preprocess),))
        converted.export(str(path))
    _complete(path, card)


def quantize_litert(model: MobileNet, card: ModelCard, path: Path, calibration: Calibration) -> None:
    """Write `model` with 8-bit weights per output channel and 8-bit activations, by AI Edge Quantizer.

    Raises:
        UserError: float ends are asked for.
    """
    if calibration.float_ends:
        raise UserError("--float-ends: not offered for litert; leave it out")
    with silent():
        from ai_edge_quantizer import qtyping, quantizer

        converted = litert_torch.convert(deployed(model, card), (example_pixels(card.preprocess),))
        converted.export(str(path))
        job = quantizer.Quantizer(str(path))
        for name in INT8_OPERATORS:
            job.add_static_config(
                regex=".*",
                operation_name=qtyping.TFLOperationName[name],
                activation_num_bits=8,
                weight_num_bits=8,
            )
        rows = [{"args_0": picture[None]} for picture in calibration.pixels]
        job.quantize(job.calibrate({"serving_default": rows})).export_model(str(path), overwrite=True)
    _complete(path, card)


def _complete(path: Path, card: ModelCard) -> None:
    with quiet():
        path.write_bytes(with_metadata(path.read_bytes(), model_metadata(card)))
    append_files(path, card)


def with_metadata(model: bytes, metadata: bytes) -> bytes:
    """`model` with one more buffer, registered as its TFLite metadata."""
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    for stored in tree.buffers:
        if stored.offset > 1:  # the quantiser leaves weights behind the tree, at offsets that change with its size
            stored.data = np.frombuffer(model, np.uint8, stored.size, stored.offset)
            stored.offset = stored.size = 0
    buffer = schema.BufferT()
    buffer.data = list(metadata)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA, len(tree.buffers)
    tree.buffers.append(buffer)
    tree.metadata = [*(tree.metadata or []), entry]
    builder = flatbuffers.Builder(len(model) + len(metadata))
    builder.Finish(tree.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def append_files(path: Path, card: ModelCard) -> None:
    """Append labels.txt and card.json as TFLite's associated files: a zip archive behind the model."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS, "".join(f"{name}\n" for name in card.classes))
        archive.writestr(CARD, card.to_json())
