"""The exported model of a run, which answers its photographs and says what it saw in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mobilenets.data.loader import Loader
from mobilenets.errors import ModelFileError
from mobilenets.features.embeddings import Embeddings
from mobilenets.runtime.base import Pixels, available_cores, vector_ends
from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine
from mobilenets.runtime.graph import side_by_side
from mobilenets.system.progress import Progress
from mobilenets.tasks.task import Labels, Outputs


class VectorEngine:
    """Runs a `model.onnx`; of a detector, whose answers are of many places of a photograph, features have no width.

    Raises
    ------
    UserError
        Not such a file, or an older one, which has no features.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ModelFileError(f"{path}: no such file; a run folder has its model there")
        self._engine = OnnxRuntimeEngine(path, threads=1)
        self.card = self._engine.card
        self._ends = vector_ends(self.card)
        if self._ends and not self._engine.has_features:
            raise ModelFileError(f"{path}: gives no features, as files of older versions; train again")
        self._run = side_by_side(self._compute, available_cores())

    def __call__(self, pixels: Pixels) -> tuple[Outputs, Embeddings]:
        """uint8 (N, size, size, C) → outputs float32 (N, W), and what they were made of."""
        outputs, *seen = self._run(pixels)
        return outputs, Embeddings(*seen)

    def embeddings(self, loader: Loader, title: str) -> tuple[Embeddings, Labels]:
        """What is seen in the photographs that can be read, and their indices (N,)."""
        parts, shown = [self._none(0)], [np.zeros(0, np.int64)]
        with Progress(title, len(loader.labels), "image") as progress:
            for batch in loader.epoch(0):
                parts.append(self(batch.pixels)[1])
                shown.append(batch.indices)
                progress.advance(len(batch.labels))
        return Embeddings.joined(parts), np.concatenate(shown)

    def _compute(self, pixels: Pixels) -> Sequence[Outputs]:
        if not self._ends:
            return [self._engine(pixels), *self._none(len(pixels))]
        outputs, seen = self._engine.with_features(pixels)
        return [outputs, *seen]

    def _none(self, count: int) -> Embeddings:
        shapes = [end.shape for end in self._ends] or [(0,)]
        return Embeddings.of(*(np.zeros((count, *shape), np.float32) for shape in shapes))
