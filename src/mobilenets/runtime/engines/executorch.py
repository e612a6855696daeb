"""ExecuTorch on the CPU: `.pte`, one picture at a time, on threads of its own choice."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch  # what ExecuTorch's own runtime takes its tensors from: it needs torch anyhow

from mobilenets.errors import ModelFileError, UsageError
from mobilenets.features.embeddings import Embeddings
from mobilenets.model_card import METADATA_KEY, ModelCard, card_of
from mobilenets.runtime.base import Engine, OneAtATime, Origin, Pixels, vectors_given
from mobilenets.system.quiet import no_output
from mobilenets.tasks import task_of
from mobilenets.tasks.task import Outputs

with no_output():  # `export` imports this too, not by way of `open_engine`
    from executorch.runtime import Runtime, Verification

CARD_METHOD = "card"
_IDENTIFIER = slice(4, 6)  # where a flatbuffer says what it is: "ET12"


class ExecuTorchEngine:
    """Runs a program from uint8 pixels to outputs, whose method `card` gives its card."""

    accepts_full_image = False
    origin: Origin | None = None

    def __init__(self, path: Path, threads: int | None = None) -> None:
        if threads is not None:
            raise UsageError(f"{path}: ExecuTorch chooses its threads itself; leave --threads out")
        self._turn = threading.Lock()  # a method has one place for its input
        content = path.read_bytes()
        if content[_IDENTIFIER] != b"ET":  # ExecuTorch ends the process where it meets some files of other kinds
            raise ModelFileError(f"{path}: not a program ExecuTorch can run; export the model again")
        try:
            self._program = Runtime.get().load_program(content, verification=Verification.InternalConsistency)
            text = self._text()
            self._forward: Any = self._program.load_method("forward") if text is not None else None
        except (RuntimeError, ValueError) as error:
            raise ModelFileError(
                f"{path}: not a program ExecuTorch can run, or a damaged one; export it again"
            ) from error
        self.card: ModelCard = card_of(path, {} if text is None else {METADATA_KEY: text})
        size, channels = self.card.preprocess.size, self.card.preprocess.channels
        self._task = task_of(self.card)
        wanted = [(1, size, size, channels), *((1, *end.shape) for end in self._task.ends(self.card))]
        ends = _ends(self._forward)
        self._count = len(wanted) - 1
        vectors, self.has_features = vectors_given(self.card, len(ends) - len(wanted))
        wanted += [(1, *end.shape) for end in vectors]
        if ends != wanted:
            raise ModelFileError(f"{path}: its graph is not the one its model card describes; export it again")

    def _text(self) -> str | None:
        if CARD_METHOD not in self._program.method_names:
            return None
        return bytes(self._program.load_method(CARD_METHOD).execute([])[0].numpy()).decode(errors="replace")

    def concurrent(self) -> Engine:
        """Itself, one thread at a time."""
        return OneAtATime(self)

    def after_fork(self) -> Engine:
        """None: all programs of a process share its threads, and those do not survive."""
        raise ModelFileError(f"{self.card.name}: ExecuTorch does not run in a forked process; start processes by spawn")

    def __call__(self, pixels: Pixels) -> Outputs:
        """uint8 (N, size, size, C) → outputs float32 (N, W)."""
        return np.concatenate([self._task.finished(*self._one(image)[: self._count]) for image in pixels])

    def with_features(self, pixels: Pixels) -> tuple[Outputs, Embeddings]:
        """As a call, and what the outputs were made of."""
        given = [self._one(image) for image in pixels]
        outputs = [self._task.finished(*ends[: self._count]) for ends in given]
        return np.concatenate(outputs), Embeddings.joined([Embeddings.of(*ends[self._count :]) for ends in given])

    def _one(self, image: Pixels) -> list[Outputs]:
        """What it gives for one image, as copies: the next one goes into the same memory."""
        with self._turn:
            given = self._forward.execute([torch.from_numpy(image[None])])
            return [end.numpy().copy() for end in given]


def _ends(method: Any) -> list[tuple[int, ...]]:
    """The sizes of its inputs and outputs."""
    described = method.metadata
    inputs = [described.input_tensor_meta(i) for i in range(described.num_inputs())]
    outputs = [described.output_tensor_meta(i) for i in range(described.num_outputs())]
    return [tuple(end.sizes()) for end in (*inputs, *outputs)]
