"""The default engine: `.onnx` in onnxruntime on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from mobilenets.artifact import ModelCard, card_of
from mobilenets.errors import UserError
from mobilenets.runtime.engine import Pixels, Probabilities

_ERROR_ONLY = 3


def make_session(model: Path | bytes, threads: int | None = None) -> onnxruntime.InferenceSession:
    """A session on `threads` threads (None: one per core), silent but for errors.

    Raises:
        UserError: not a model that onnxruntime reads.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERROR_ONLY
    options.intra_op_num_threads = threads or 0
    # The arena grows by doubling and is never returned: on small networks it costs memory and gains nothing.
    options.enable_cpu_mem_arena = False
    try:
        source = model if isinstance(model, bytes) else str(model)
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        what = "the graph" if isinstance(model, bytes) else model
        raise UserError(f"{what}: not a model onnxruntime can run; export it again ({_first_line(error)})") from error


class OnnxRuntimeEngine:
    """Runs a `model.onnx` that carries its card."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._session = make_session(path, threads)
        self.card: ModelCard = card_of(path, self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, pixels: Pixels) -> Probabilities:
        """uint8 (N, size, size, C) → probabilities float32 (N, K)."""
        return np.asarray(self._session.run(["probabilities"], {"image": pixels})[0])


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
