"""ncnn (`.param` and `.bin`), by pnnx: for phones and small boards; the card lies beside."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pnnx
import torch

from mobilenets.errors import ModelFileError
from mobilenets.exporting.deploy import deployed, example_planes, file_card
from mobilenets.exporting.quiet import quiet
from mobilenets.model_card import OUTSIDE, ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.engines.ncnn import CARD, SUMS


def export_ncnn(model: MobileNet, card: ModelCard, path: Path) -> None:
    """Write `path` (.param), its .bin, card.json and SHA256SUMS.

    Input blob `in0`: float planes (C, size, size) of 0..255, as `ncnn::Mat::from_pixels` makes them; output
    blobs `out0`: the probabilities, then those of `vector_ends` in their order. ncnn does not notice a truncated
    .bin, so the sums are part of the export.

    Raises
    ------
    UserError
        pnnx failed.
    """
    _export(model, card, path, half=False)


def export_half_ncnn(model: MobileNet, card: ModelCard, path: Path) -> None:
    """As `export_ncnn`, weights in float16."""
    _export(model, card, path, half=True)


def _export(model: MobileNet, card: ModelCard, path: Path, half: bool) -> None:
    planes = example_planes(card.preprocess)
    with tempfile.TemporaryDirectory() as folder:
        with quiet(), torch.inference_mode():
            trace: Any = torch.jit.trace  # torch leaves it untyped
            trace(deployed(model, card).from_planes, (planes,)).save(str(Path(folder) / "model.pt"))
        shape = str(list(planes.shape)).replace(" ", "")
        command = [pnnx.EXEC_PATH, "model.pt", f"inputshape={shape}", f"fp16={int(half)}"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        made = [Path(folder) / f"model.ncnn{suffix}" for suffix in (".param", ".bin")]
        if result.returncode or not all(map(Path.exists, made)):
            lines = (result.stderr or result.stdout).strip().splitlines()
            raise ModelFileError(f"{path}: pnnx failed ({lines[-1] if lines else result.returncode})")
        targets = [path, path.with_suffix(".bin")]
        for source, target in zip(made, targets, strict=True):
            shutil.copyfile(source, target)
    (path.parent / CARD).write_text(file_card(card, nms=OUTSIDE).to_json(), encoding="utf-8")
    targets.append(path.parent / CARD)
    sums = (f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target.name}{os.linesep}" for target in targets)
    (path.parent / SUMS).write_text("".join(sums), encoding="utf-8")
