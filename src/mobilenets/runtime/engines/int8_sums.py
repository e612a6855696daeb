"""Whether onnxruntime's quick products of 8-bit integers are exact on this processor, found out by computing one."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnxruntime

SIDE, PIXEL, WEIGHT = 8, 255, 127

# An ONNX graph of one MatMulInteger, uint8 `a` (8, 8) times int8 weights that are all 127: written out here because
# what predicts does without the onnx package. A test builds it anew.
GRAPH = (
    b'\x08\x08:\x94\x01\n\x18\n\x01a\n\x01b\x12\x01y"\rMatMulInteger\x12\x01g*K\x08\x08\x08\x08\x10\x03B\x01bJ@'
    + bytes([WEIGHT]) * SIDE * SIDE
    + b"Z\x13\n\x01a\x12\x0e\n\x0c\x08\x02\x12\x08\n\x02\x08\x08\n\x02\x08\x08"
    + b"b\x13\n\x01y\x12\x0e\n\x0c\x08\x06\x12\x08\n\x02\x08\x08\n\x02\x08\x08B\x04\n\x00\x10\r"
)


@cache
def sums_are_exact() -> bool:
    """Whether uint8 times int8 gives the sums that integers have.

    x86 processors without VNNI cut pairs of products off at 16 bits. Names of processors and instruction sets would
    have to be looked up differently on every system; the largest products show it on all of them, in a millisecond.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(GRAPH, options, providers=["CPUExecutionProvider"])
    (sums,) = session.run(["y"], {"a": np.full((SIDE, SIDE), PIXEL, np.uint8)})
    return bool((np.asarray(sums) == SIDE * PIXEL * WEIGHT).all())
