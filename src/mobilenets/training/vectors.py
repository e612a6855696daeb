"""The exported model of a run, from which what its classifier sees is learned: features that have their lengths yet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from mobilenets.data.loader import Loader
from mobilenets.errors import ModelFileError
from mobilenets.model_card import card_of
from mobilenets.runtime.base import FEATURES, Features, Pixels, available_cores
from mobilenets.runtime.graph import run_outputs
from mobilenets.system.progress import Progress
from mobilenets.tasks import task_of
from mobilenets.tasks.task import Labels, Outputs


class VectorEngine:
    """Runs a `model.onnx`, and gives beside its answers the vectors that they were made of.

    Without `has_vectors`, of a model whose answers are of many places of a photograph, these have the length 0.

    Raises
    ------
    UserError
        Not such a file, or an older one, which has no features.
    """

    def __init__(self, path: Path, has_vectors: bool = True) -> None:
        try:
            graph = onnx.load(path)
        except FileNotFoundError:
            raise ModelFileError(f"{path}: no such file; a run folder has its model there") from None
        except Exception as error:  # what the parser raises differs between its versions
            raise ModelFileError(f"{path}: not an ONNX file, or a damaged one; export it again") from error
        self._vectors: list[str] = []
        if has_vectors:
            divisions = [node for node in graph.graph.node if FEATURES in node.output]
            if not divisions:
                raise ModelFileError(f"{path}: gives no features, as files of older versions; train again")
            self._vectors = [divisions[0].input[0]]  # what is divided by its length
            info = onnx.helper.make_tensor_value_info(self._vectors[0], onnx.TensorProto.FLOAT, None)
            graph.graph.output.append(info)
        self.card = card_of(path, {entry.key: entry.value for entry in graph.metadata_props})
        self._task = task_of(self.card)
        self._names = [end.name for end in self._task.ends(self.card)]
        wanted = [*self._names, *self._vectors]
        self._run = run_outputs(graph.SerializeToString(), available_cores(), wanted)

    def __call__(self, pixels: Pixels) -> tuple[Outputs, Features]:
        """uint8 (N, size, size, C) → outputs float32 (N, W) and vectors float32 (N, D)."""
        given = self._run(pixels)
        count = len(self._names)
        vectors = given[count] if self._vectors else np.zeros((len(pixels), 0), np.float32)
        return self._task.finished(*given[:count]), vectors

    def vectors(self, loader: Loader, title: str) -> tuple[Features, Labels]:
        """Vectors (N, D) and indices (N,) of the photographs that can be read."""
        rows, shown = [np.zeros((0, self.card.net.head_width), np.float32)], [np.zeros(0, np.int64)]
        with Progress(title, len(loader.labels), "image") as progress:
            for batch in loader.epoch(0):
                rows.append(self(batch.pixels)[1])
                shown.append(batch.indices)
                progress.advance(len(batch.labels))
        return np.concatenate(rows), np.concatenate(shown)
