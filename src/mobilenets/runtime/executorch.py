"""ExecuTorch on the CPU: `.pte`, one picture at a time, on threads of its own choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from executorch.runtime import Runtime, Verification

from mobilenets.artifact import METADATA_KEY, ModelCard, card_of
from mobilenets.errors import UserError
from mobilenets.runtime.engine import Pixels, Probabilities

CARD_METHOD = "card"


class ExecuTorchEngine:
    """Runs a program from uint8 pixels to probabilities, whose method `card` gives its card."""

    whole = False

    def __init__(self, path: Path, threads: int | None = None) -> None:
        if threads is not None:
            raise UserError(f"{path}: ExecuTorch chooses its threads itself; leave --threads out")
        try:
            self._program = Runtime.get().load_program(path.read_bytes(), verification=Verification.InternalConsistency)
            methods = self._program.method_names
        except RuntimeError as error:
            raise UserError(f"{path}: not a program ExecuTorch can run, or a damaged one; export it again") from error
        metadata = {METADATA_KEY: self._text()} if CARD_METHOD in methods else {}
        self.card: ModelCard = card_of(path, metadata)
        size, channels = self.card.preprocess.size, self.card.preprocess.channels
        self._forward = self._program.load_method("forward")
        described = self._forward.metadata
        ends = [described.input_tensor_meta(0), described.output_tensor_meta(0)]
        if [tuple(end.sizes()) for end in ends] != [(1, size, size, channels), (1, len(self.card.classes))]:
            raise UserError(f"{path}: its graph is not the one its model card describes; export it again")

    def _text(self) -> str:
        return bytes(self._program.load_method(CARD_METHOD).execute([])[0].numpy()).decode(errors="replace")

    def __call__(self, pixels: Pixels) -> Probabilities:
        """uint8 (N, size, size, C) → probabilities float32 (N, K)."""
        rows = [self._forward.execute([torch.from_numpy(p[None])])[0].numpy().copy() for p in pixels]
        return np.concatenate(rows)
