"""The default engine: `.onnx` in onnxruntime on the CPU."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from mobilenets.errors import ModelFileError
from mobilenets.features.embeddings import Embeddings
from mobilenets.model_card import ModelCard, card_of
from mobilenets.runtime.base import Engine, Origin, Pixels, available_cores, vectors_given
from mobilenets.runtime.engines.int8_sums import sums_are_exact
from mobilenets.tasks import task_of
from mobilenets.tasks.task import Outputs

_TYPES = {"float32": "tensor(float)", "int64": "tensor(int64)"}
_FATAL_ONLY = 4  # what goes wrong is raised, and told in one line


def make_session(model: Path | bytes, threads: int | None = None) -> onnxruntime.InferenceSession:
    """A session on `threads` threads (None: one per core), silent.

    Raises
    ------
    UserError
        Not a model that onnxruntime reads.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    # Left to itself onnxruntime pins its threads to cores, also to those a container does not have.
    options.intra_op_num_threads = threads or available_cores()
    # Threads that wait in a loop take the cores from those that decode: the same prediction then costs twice
    # the processor time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # On x86 without VNNI the quick way to multiply in 8 bits cuts sums off at 16: a file gave other answers there than
    # where it was verified. This is the exact way (https://github.com/microsoft/onnxruntime/pull/12088), asked for on
    # such processors alone: onnxruntime 1.32 takes it on every x86, also where VNNI is exact anyway and twice as fast.
    if not sums_are_exact():
        options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        source = model if isinstance(model, bytes) else str(model)
        # Without the fallback, which tries the same processor again and says so on standard output.
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"], enable_fallback=False)
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        what = "the graph" if isinstance(model, bytes) else model
        raise ModelFileError(
            f"{what}: not a model onnxruntime can run; export it again ({_first_line(error)})"
        ) from error


class OnnxRuntimeEngine:
    """Runs a `model.onnx` that carries its card."""

    origin: Origin | None = None

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._path, self._threads = path, threads
        self._session = make_session(path, threads)
        self.card: ModelCard = card_of(path, self._session.get_modelmeta().custom_metadata_map)
        image, given = self._session.get_inputs()[0], self._session.get_outputs()
        self.accepts_full_image = len(image.shape) == 3
        self._task = task_of(self.card)
        ends = self._task.ends(self.card)
        vectors, self.has_features = vectors_given(self.card, len(given) - len(ends))
        self._names, self._vectors = ([end.name for end in some] for some in (ends, vectors))
        size, channels = self.card.preprocess.size, self.card.preprocess.channels
        wanted = [
            ("image", "tensor(uint8)", [3] if self.accepts_full_image else [size, size, channels]),
            *((end.name, _TYPES[end.dtype], list(end.shape)) for end in (*ends, *vectors)),
        ]
        taken = image.shape[2:] if self.accepts_full_image else image.shape[1:]
        described = [(image.name, image.type, taken), *((end.name, end.type, end.shape[1:]) for end in given)]
        if described != wanted:
            raise ModelFileError(f"{path}: its graph is not the one its model card describes; export it again")

    def concurrent(self) -> Engine:
        """A session without threads of its own: it computes in those that call it."""
        return self if self._threads == 1 else OnnxRuntimeEngine(self._path, threads=1)

    def after_fork(self) -> Engine:
        """A session with threads."""
        return OnnxRuntimeEngine(self._path, self._threads)

    def __call__(self, pixels: Pixels) -> Outputs:
        """uint8 (N, size, size, C) → outputs float32 (N, W)."""
        image = pixels[0] if self.accepts_full_image else pixels
        return self._task.finished(*self._session.run(self._names, {"image": image}))

    def with_features(self, pixels: Pixels) -> tuple[Outputs, Embeddings]:
        """As a call, and what the outputs were made of."""
        image = pixels[0] if self.accepts_full_image else pixels
        given = self._session.run([*self._names, *self._vectors], {"image": image})
        count = len(self._names)
        return self._task.finished(*given[:count]), Embeddings.of(*given[count:])


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
