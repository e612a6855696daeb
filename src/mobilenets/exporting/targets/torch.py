"""torch.export (`.pt2`): the graph for programs that have torch, without our code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from mobilenets.exporting.deploy import deployed, example_pixels, file_card
from mobilenets.exporting.quiet import quiet
from mobilenets.model_card import METADATA_KEY, OUTSIDE, ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.base import Engine, OneAtATime, Origin, Pixels
from mobilenets.tasks import task_of
from mobilenets.tasks.task import Outputs


def export_torch(model: MobileNet, card: ModelCard, path: Path) -> None:
    """Write the exported program, the number of pictures free, with the card as an extra file."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    with quiet():
        pixels = (example_pixels(card.preprocess, 2),)
        program = torch.export.export(deployed(model, card), pixels, dynamic_shapes=({0: batch},))
        torch.export.save(program, path, extra_files={METADATA_KEY: file_card(card, nms=OUTSIDE).to_json()})


class ExportedProgramEngine:
    """Runs a `.pt2` that was written just now, to verify it.

    Not an engine of `runtime/`: torch evaluates expressions of the file when it loads one, so a file from
    elsewhere could run code.
    """

    accepts_full_image = False
    origin: Origin | None = None

    def __init__(self, path: Path, card: ModelCard) -> None:
        self.card, self._task = card, task_of(card)
        with quiet():
            self._module = torch.export.load(path).module()

    def concurrent(self) -> Engine:
        """Itself, one thread at a time."""
        return OneAtATime(self)

    def after_fork(self) -> Engine:
        """Itself, on one thread: OpenMP's do not survive."""
        torch.set_num_threads(1)
        return self

    @torch.inference_mode()
    def __call__(self, pixels: Pixels) -> Outputs:
        """uint8 (N, size, size, C) → outputs float32 (N, W)."""
        given = self._module(torch.from_numpy(pixels))
        return self._task.finished(*map(np.asarray, given[: len(self._task.outputs)]))
