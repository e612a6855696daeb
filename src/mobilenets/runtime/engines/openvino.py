"""OpenVINO on the CPU: its own IR (`.xml` with `.bin`) and `.onnx`."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from mobilenets.errors import ModelFileError, UsageError
from mobilenets.features.embeddings import Embeddings
from mobilenets.model_card import METADATA_KEY, ModelCard, card_of, read_card
from mobilenets.runtime.base import FLOAT, HALF, Engine, Origin, Pixels, available_cores, vectors_given
from mobilenets.tasks import task_of
from mobilenets.tasks.task import Outputs

log = logging.getLogger(__name__)

# bfloat16 comes first: on a Xeon that has both, float16 was slower than float32
# (`benchmarks/half.py`).
BFLOAT16, FLOAT16 = "bfloat16", "float16"
_CAPABILITIES = {BFLOAT16: "BF16", FLOAT16: "FP16"}
_TYPES = {"float32": "f32", "int64": "i64"}
_HINTS = {FLOAT: "f32", BFLOAT16: "bf16", FLOAT16: "f16"}

# OpenVINO gets to know numpy by the first array it is given. Two threads that give it theirs at the same time wait for
# each other without end: one has its lock and wants Python's, the other has Python's (2026.4; one start in five at
# worst).
openvino.Tensor(np.zeros(1, np.float32))


def find_half() -> str | None:
    """The half precision that this processor computes in: "bfloat16" or "float16"; None: neither."""
    if _held_back():
        return None
    has = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return next((name for name, capability in _CAPABILITIES.items() if capability in has), None)


def _held_back() -> str | None:
    """The variable that tells oneDNN to use less than the processor has.

    OpenVINO does not notice that, and half precision ends in a crash.
    """
    return next((name for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA") if name in os.environ), None)


def _half_or_refuse(path: Path) -> str:
    found = find_half()
    if found is not None:
        return found
    if name := _held_back():
        raise UsageError(f"{path}: {name} keeps half precision from the processor; unset it, or leave --precision out")
    raise UsageError(f"{path}: this processor has no half precision (bfloat16, float16); leave --precision out")


def compile_model(
    model: Path | bytes, threads: int | None = None, streams: int = 1, arithmetic: str = FLOAT
) -> tuple[openvino.Model, openvino.CompiledModel]:
    """The graph in a file or of its bytes, and it made ready to run, in float32 also where the processor has bfloat16.

    `threads` (None: one per core) are divided among `streams` that compute at the same time.
    Left to itself OpenVINO computes in bfloat16 on such processors: faster, but no longer the network that was
    verified. `arithmetic`: "float32", or what `find_half` found.

    Raises
    ------
    UserError
        Not a model that OpenVINO reads.
    """
    core = openvino.Core()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads or available_cores(),
        "INFERENCE_PRECISION_HINT": _HINTS[arithmetic],
    }
    try:
        graph = core.read_model(model, b"") if isinstance(model, bytes) else core.read_model(model)
        return graph, core.compile_model(graph, "CPU", options)
    except Exception as error:  # openvino raises RuntimeError, and others, for whatever it does not like
        what = "the graph" if isinstance(model, bytes) else model
        raise ModelFileError(f"{what}: not a model OpenVINO can run, or a damaged one; export it again") from error


class OpenVinoEngine:
    """Runs a graph from uint8 pixels to outputs."""

    origin: Origin | None = None

    def __init__(self, path: Path, threads: int | None = None, streams: int = 1, precision: str = FLOAT) -> None:
        self._path, self._threads, self._precision = path, threads or available_cores(), precision
        arithmetic = _half_or_refuse(path) if precision == HALF else FLOAT
        graph, self._compiled = compile_model(path, threads, streams, arithmetic)
        self.card: ModelCard = read_card(path) if path.suffix == ".onnx" else card_of(path, _metadata(graph))
        size, channels = self.card.preprocess.size, self.card.preprocess.channels
        self.accepts_full_image = len(graph.inputs[0].partial_shape) == 3
        taken = "[?,?,3]" if self.accepts_full_image else f"[?,{size},{size},{channels}]"
        self._task = task_of(self.card)
        ends = self._task.ends(self.card)
        self._count = len(ends)
        vectors, self.has_features = vectors_given(self.card, len(graph.outputs) - len(ends))
        ends = (*ends, *vectors)
        count = 1 if self.accepts_full_image else "?"
        wanted = [("u8", taken), *((_TYPES[e.dtype], f"[{','.join(map(str, (count, *e.shape)))}]") for e in ends)]
        described = [*graph.inputs, *graph.outputs]
        if [(end.element_type.get_type_name(), str(end.partial_shape)) for end in described] != wanted:
            raise ModelFileError(f"{path}: its graph is not the one its model card describes; export it again")
        self._own = threading.local()  # a request holds one caller's picture and answer

    def concurrent(self) -> Engine:
        """A stream of one thread for each thread that it has."""
        if self._threads == 1:
            return self
        return OpenVinoEngine(self._path, self._threads, streams=self._threads, precision=self._precision)

    def after_fork(self) -> Engine:
        """A `.onnx` in onnxruntime, and a line that says so: OpenVINO waits for threads that were not forked, for ever.

        Raises
        ------
        UserError
            For OpenVINO's own files.
        """
        if self._path.suffix != ".onnx":
            raise ModelFileError(f"{self._path}: OpenVINO does not run in a forked process; start processes by spawn")
        from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine

        how = ", in float32" if self._precision == HALF else ""
        log.warning("%s: OpenVINO does not run in a forked process; onnxruntime does%s", self._path, how)
        return OnnxRuntimeEngine(self._path, self._threads)

    def __call__(self, pixels: Pixels) -> Outputs:
        """uint8 (N, size, size, C) → outputs float32 (N, W)."""
        return self._task.finished(*self._infer(pixels)[: self._count])

    def with_features(self, pixels: Pixels) -> tuple[Outputs, Embeddings]:
        """As a call, and what the outputs were made of."""
        given = self._infer(pixels)
        return self._task.finished(*given[: self._count]), Embeddings.of(*given[self._count :])

    def _infer(self, pixels: Pixels) -> list[Any]:
        """What the graph gives, as copies: the next call writes into the same memory."""
        image = pixels[0] if self.accepts_full_image else pixels
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        return [np.array(end) for end in self._own.request.infer([image]).values()]


def _metadata(graph: openvino.Model) -> dict[str, str]:
    return {METADATA_KEY: graph.get_rt_info(METADATA_KEY).astype(str)} if graph.has_rt_info(METADATA_KEY) else {}
