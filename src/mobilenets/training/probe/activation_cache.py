"""Activations behind frozen blocks, computed once for some augmented views of every photograph and then kept.

Frozen blocks give the same for the same view: with V views kept, the epochs after the first V neither augment nor
run those blocks. What it costs is variety: a photograph is never seen in more than V ways.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import nn

from mobilenets.data.loader import Batch, Loader
from mobilenets.errors import UsageError
from mobilenets.nn.model import MobileNet
from mobilenets.system.progress import Progress
from mobilenets.training.probe.features import Extractor

_MAX_FLOAT16 = float(np.finfo(np.float16).max)


class Front(nn.Module):
    """The stem and the first blocks."""

    def __init__(self, model: MobileNet, blocks: int) -> None:
        super().__init__()
        self.parts = nn.Sequential(model.stem, *list(model.blocks)[:blocks])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → the map behind the last of them."""
        y: torch.Tensor = self.parts(images)
        return y


def as_stored(maps: np.ndarray) -> np.ndarray:
    """Maps float32 (N, C, h, w) as a `Batch` has them: float16 (N, h, w, C)."""
    stored: np.ndarray = maps.transpose(0, 2, 3, 1).clip(-_MAX_FLOAT16, _MAX_FLOAT16).astype(np.float16)
    return stored


class ActivationCache:
    """In place of a loader: epoch e shows view e modulo V of its photographs, as activations behind the frozen blocks.

    The views are those of the loader's epochs 0 to V - 1 in the order of the photographs; without augmentation one
    is enough. `front` computes them from pixels. They are kept as float16 in a file in `folder`, which vanishes with
    the process.

    Raises
    ------
    UserError
        No room for them.
    """

    def __init__(self, loader: Loader, front: Extractor, blocks: int, views: int, folder: Path) -> None:
        self.loader, self.labels, self.blocks = loader, loader.labels, blocks
        self.views = views if loader.augment else 1
        self._shown = np.full((self.views, len(self.labels)), -1, np.int64)  # which photograph stands at each place
        with tempfile.TemporaryFile(dir=folder) as file:
            try:
                shape = self._fill(file, front, folder)
            except OSError as error:
                raise UsageError(f"views: {folder}: {error.strerror}; use fewer views, or 0") from error
            self._maps = np.memmap(file, np.float16, "r", shape=(*self._shown.shape, *shape))

    def _fill(self, file: IO[bytes], front: Extractor, folder: Path) -> tuple[int, ...]:
        """Compute and write all; the shape (h, w, C) of one map."""
        shape: tuple[int, ...] = ()
        plain = self.loader.in_order()
        with Progress("frozen blocks", self._shown.size, "view") as progress:
            for view in range(self.views):
                done = 0
                for batch in plain.epoch(view):
                    maps = as_stored(front(batch.pixels))
                    if not shape:
                        shape = maps.shape[1:]
                        self._check_room(maps[0].nbytes, folder)
                    # In training a photograph that cannot be read has another in its place; else its place is empty.
                    positions = batch.indices if self.loader.augment is None else np.arange(done, done + len(maps))
                    for position, row in zip(positions.tolist(), maps, strict=True):
                        file.seek((view * len(self.labels) + position) * row.nbytes)
                        file.write(row.tobytes())
                    self._shown[view, positions] = batch.indices
                    done += len(maps)
                    progress.advance(len(maps))
        file.truncate(self._shown.size * int(np.prod(shape)) * 2)
        file.flush()
        return shape

    def _check_room(self, each: int, folder: Path) -> None:
        needed, free = each * self._shown.size, shutil.disk_usage(folder).free
        if needed > free:
            raise UsageError(f"views: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free; use fewer, or 0")

    def __len__(self) -> int:
        """Batches per epoch."""
        return len(self.loader)

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """As `Loader.epoch`; `pixels` are float16 (N, h, w, C)."""
        order, view = self.loader.order(epoch), epoch % self.views
        for job in self.loader.jobs(start_batch):
            positions = order[job.start : job.stop]
            positions = positions[self._shown[view, positions] >= 0]
            if len(positions):
                shown = self._shown[view, positions]
                yield Batch(self._maps[view, positions], self.labels[shown], shown, self.blocks)
