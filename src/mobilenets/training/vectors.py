"""The exported model of a run, which answers its photographs and says what it saw in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from mobilenets.data.loader import Loader
from mobilenets.errors import ModelFileError
from mobilenets.features.embeddings import Embeddings
from mobilenets.features.neighbours import Features
from mobilenets.model_card import card_of
from mobilenets.runtime.base import Pixels, available_cores, vectors_given
from mobilenets.runtime.graph import run_outputs
from mobilenets.system.progress import Progress
from mobilenets.tasks import task_of
from mobilenets.tasks.task import Labels, Outputs


class VectorEngine:
    """Runs a `model.onnx`; of a detector, whose answers are of many places of a photograph, features have no width.

    Raises
    ------
    UserError
        Not such a file, or an older one, which has no features.
    """

    def __init__(self, path: Path) -> None:
        try:
            graph = onnx.load(path)
        except FileNotFoundError:
            raise ModelFileError(f"{path}: no such file; a run folder has its model there") from None
        except Exception as error:  # what the parser raises differs between its versions
            raise ModelFileError(f"{path}: not an ONNX file, or a damaged one; export it again") from error
        self.card = card_of(path, {entry.key: entry.value for entry in graph.metadata_props})
        self._task = task_of(self.card)
        names = [end.name for end in self._task.ends(self.card)]
        vectors, has_all = vectors_given(self.card, len(graph.graph.output) - len(names))
        if not (has_all or self._task.has_boxes):
            raise ModelFileError(f"{path}: gives no features, as files of older versions; train again")
        self._count = len(names)
        self._shapes = [end.shape for end in vectors] or [(0,)]
        wanted = [*names, *(end.name for end in vectors)]
        self._run = run_outputs(graph.SerializeToString(), available_cores(), wanted)

    def __call__(self, pixels: Pixels) -> tuple[Outputs, Embeddings]:
        """uint8 (N, size, size, C) → outputs float32 (N, W), and what they were made of."""
        given = self._run(pixels)
        return self._task.finished(*given[: self._count]), Embeddings.of(
            *given[self._count :] or self._none(len(pixels))
        )

    def _none(self, count: int) -> list[Features]:
        return [np.zeros((count, *shape), np.float32) for shape in self._shapes]

    def embeddings(self, loader: Loader, title: str) -> tuple[Embeddings, Labels]:
        """What is seen in the photographs that can be read, and their indices (N,)."""
        parts, shown = [Embeddings.of(*self._none(0))], [np.zeros(0, np.int64)]
        with Progress(title, len(loader.labels), "image") as progress:
            for batch in loader.epoch(0):
                parts.append(self(batch.pixels)[1])
                shown.append(batch.indices)
                progress.advance(len(batch.labels))
        return Embeddings.joined(parts), np.concatenate(shown)
