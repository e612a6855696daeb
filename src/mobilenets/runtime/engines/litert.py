"""LiteRT on the CPU: `.tflite`, one picture at a time."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from mobilenets.errors import ModelFileError
from mobilenets.features.embeddings import Embeddings
from mobilenets.model_card import METADATA_KEY, ModelCard, card_of
from mobilenets.runtime.base import Engine, OneAtATime, Origin, Pixels, available_cores, vectors_given
from mobilenets.tasks import task_of
from mobilenets.tasks.task import Outputs

CARD = "card.json"
_MAX_CARD = 16 * 2**20  # bytes, unpacked: a claim beyond this is no card


class LiteRtEngine:
    """Runs a model from uint8 pixels to outputs that carries its card as an associated file."""

    accepts_full_image = False
    origin: Origin | None = None

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._path, self._threads = path, threads
        self._turn = threading.Lock()  # a picture that goes in and its answer belong together
        self.card: ModelCard = card_of(path, _metadata(path))
        try:
            self._interpreter = Interpreter(str(path), num_threads=threads or available_cores())
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ModelFileError(f"{path}: not a model LiteRT can run, or a damaged one; export it again") from error
        size, channels = self.card.preprocess.size, self.card.preprocess.channels
        ends = [*self._interpreter.get_input_details(), *self._interpreter.get_output_details()]
        self._task = task_of(self.card)
        wanted: list[tuple[type[np.generic], tuple[int, ...]]] = [(np.uint8, (1, size, size, channels))]
        wanted += [(np.float32, (1, *end.shape)) for end in self._task.ends(self.card)]
        self._count = len(wanted) - 1
        vectors, self.has_features = vectors_given(self.card, len(ends) - len(wanted))
        wanted += [(np.float32, (1, *end.shape)) for end in vectors]
        if [(end["dtype"], tuple(end["shape"])) for end in ends] != wanted:
            raise ModelFileError(f"{path}: its graph is not the one its model card describes; export it again")
        self._input, *self._outputs = (end["index"] for end in ends)

    def concurrent(self) -> Engine:
        """Itself, one thread at a time."""
        return OneAtATime(self)

    def after_fork(self) -> Engine:
        """An interpreter with threads."""
        return LiteRtEngine(self._path, self._threads)

    def __call__(self, pixels: Pixels) -> Outputs:
        """uint8 (N, size, size, C) → outputs float32 (N, W)."""
        return np.concatenate([self._task.finished(*self._one(image[None])[: self._count]) for image in pixels])

    def with_features(self, pixels: Pixels) -> tuple[Outputs, Embeddings]:
        """As a call, and what the outputs were made of."""
        given = [self._one(image[None]) for image in pixels]
        outputs = [self._task.finished(*ends[: self._count]) for ends in given]
        return np.concatenate(outputs), Embeddings.joined([Embeddings.of(*ends[self._count :]) for ends in given])

    def _one(self, image: Pixels) -> list[Outputs]:
        """What the model gives for one image."""
        with self._turn:
            self._interpreter.set_tensor(self._input, image)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(output) for output in self._outputs]


def _metadata(path: Path) -> dict[str, str]:
    """Read without the interpreter: a damaged file has no archive at its end."""
    try:
        with zipfile.ZipFile(path) as archive:
            if CARD not in archive.namelist() or archive.getinfo(CARD).file_size > _MAX_CARD:
                return {}
            return {METADATA_KEY: archive.read(CARD).decode()}
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise ModelFileError(
            f"{path}: no card in it, or it is cut off; use a file that 'mobilenets export' wrote"
        ) from error
