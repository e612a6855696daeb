"""A graph in memory as a function of pixels: the frozen part of a network that is being trained."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.runtime.base import FLOAT, Pixels
from mobilenets.runtime.engines.onnxruntime import make_session

Rows = NDArray[np.floating[Any]]


def run_exactly(graph: bytes, threads: int) -> Callable[[Pixels], Rows]:
    """The one output of an ONNX graph with the input `image`, in float32 by onnxruntime."""
    session = make_session(graph, threads)
    return lambda pixels: np.asarray(session.run(None, {"image": pixels})[0])


def run_fast(graph: bytes, threads: int) -> Callable[[Pixels], Rows]:
    """As `run_exactly`, but in OpenVINO where that is installed, and there in bfloat16 where the processor has it.

    Much faster then, and a network's features a few percent off (`benchmarks/throughput.py`, `benchmarks/probe.py`).
    """
    if find_spec("openvino") is None:
        return run_exactly(graph, threads)
    from mobilenets.runtime.engines.openvino import BFLOAT16, compile_model, find_half

    arithmetic = BFLOAT16 if find_half() == BFLOAT16 else FLOAT
    request = compile_model(graph, threads, arithmetic=arithmetic)[1].create_infer_request()
    return lambda pixels: np.array(request.infer([pixels])[0])  # a copy: the next call writes into the same memory
