"""A graph in memory as a function of pixels: the frozen part of a network that is being trained.

Each thread computes images of its own. Threads that share an image wait for each other at every layer, beside another
busy process for a whole time slice of it: a batch took 1.3 to 1.4 times as long so, for the same answers to the bit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.runtime.base import FLOAT, Pixels
from mobilenets.runtime.engines.onnxruntime import make_session

Rows = NDArray[np.floating[Any]]
Run = Callable[[Pixels], Rows]
Outputs = Sequence[Rows]
MAX_STREAMS = 16  # of OpenVINO, each of which takes memory; beyond them several threads share one


def run_exactly(graph: bytes, threads: int) -> Run:
    """The one output of an ONNX graph with the input `image`, in float32 by onnxruntime."""
    session = make_session(graph, 1)

    def run(pixels: Pixels) -> Outputs:
        return [np.asarray(rows) for rows in session.run(None, {"image": pixels})]

    run_parts = side_by_side(run, threads)
    return lambda pixels: run_parts(pixels)[0]


def run_fast(graph: bytes, threads: int) -> Run:
    """As `run_exactly`, but in OpenVINO where that is installed, and there in bfloat16 where the processor has it.

    Much faster then, and a network's features a few percent off (`benchmarks/throughput.py`, `benchmarks/probe.py`).
    """
    if find_spec("openvino") is None:
        return run_exactly(graph, threads)
    from mobilenets.runtime.engines.openvino import BFLOAT16, compile_model, find_half

    arithmetic = BFLOAT16 if find_half() == BFLOAT16 else FLOAT
    streams = min(threads, MAX_STREAMS)
    compiled = compile_model(graph, threads, streams, arithmetic)[1]
    own = threading.local()  # a request holds one caller's images and rows

    def run(pixels: Pixels) -> Outputs:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        return [np.array(own.request.infer([pixels])[0])]  # a copy: the next call writes into the same memory

    run_parts = side_by_side(run, streams)
    return lambda pixels: run_parts(pixels)[0]


def side_by_side(run: Callable[[Pixels], Outputs], threads: int) -> Callable[[Pixels], Outputs]:
    """`run`, which takes one thread, for parts of a batch at the same time."""
    if threads == 1:
        return run
    pool = ThreadPoolExecutor(threads, "graph")

    def run_parts(pixels: Pixels) -> Outputs:
        parts = pool.map(run, np.array_split(pixels, max(1, min(threads, len(pixels)))))
        return [np.concatenate(rows) for rows in zip(*parts, strict=True)]

    return run_parts
