"""`.safetensors`, or a network in memory, in torch on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mobilenets.features.embeddings import Embeddings
from mobilenets.features.neighbours import unit
from mobilenets.model_card import ModelCard
from mobilenets.nn.io import read_network
from mobilenets.nn.layers import channels_last
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.base import Engine, OneAtATime, Origin, Pixels
from mobilenets.tasks import task_of
from mobilenets.tasks.task import Outputs


class TorchEngine:
    """Runs a network (`model`, in eval mode) in float32, channels-last.

    `threads`: of torch's, while it runs (their number is the process's, not the engine's); None: as many as there are.
    """

    accepts_full_image = False
    origin: Origin | None = None

    def __init__(self, model: MobileNet, card: ModelCard, threads: int | None = None) -> None:
        self.card, self._threads = card, threads
        self.model, self._task = channels_last(model).eval(), task_of(card)
        self.has_features = not self._task.has_boxes

    @classmethod
    def read(cls, path: Path, threads: int | None = None) -> TorchEngine:
        """The engine of a `.safetensors` file with a card.

        Raises
        ------
        UserError
            No card, or tensors that are not those of its network.
        """
        network = read_network(path)
        return cls(network.model, network.card, threads)

    def concurrent(self) -> Engine:
        """Itself, one thread at a time."""
        return OneAtATime(self)

    def after_fork(self) -> Engine:
        """Itself, on one thread: OpenMP's do not survive."""
        self._threads = 1
        return self

    def __call__(self, pixels: Pixels) -> Outputs:
        """uint8 (N, size, size, C) → outputs float32 (N, W)."""
        return self._task.finished(*self.ends(pixels)[: len(self._task.outputs)])

    def with_features(self, pixels: Pixels) -> tuple[Outputs, Embeddings]:
        """As a call, and what the outputs were made of."""
        given, count = self.ends(pixels), len(self._task.outputs)
        return self._task.finished(*given[:count]), Embeddings.of(*given[count:])

    @torch.inference_mode()
    def ends(self, pixels: Pixels) -> list[NDArray[np.float32]]:
        """What an exported graph gives for uint8 (N, size, size, C), before it is finished."""
        with torch_threads(self._threads):
            images = torch.from_numpy(self.card.preprocess.normalize(pixels))
            images = images.to(next(self.model.parameters()).dtype, memory_format=torch.channels_last)
            if not self.has_features:
                return [end.numpy() for end in self._task.head(self.model(images))]
            outputs, vectors, *means = self.model.with_vectors(images)
            ends = self._task.head(outputs)
        rows = vectors.numpy()
        lengths = [np.linalg.norm(rows, axis=1, keepdims=True)] if means else []
        return [*(end.numpy() for end in ends), unit(rows), *lengths, *(one.numpy() for one in means)]


@contextmanager
def torch_threads(number: int | None) -> Iterator[None]:
    """So many of torch's threads (None: as many as there are); afterwards as many as before, whatever happens."""
    before = torch.get_num_threads()
    if number is not None:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
