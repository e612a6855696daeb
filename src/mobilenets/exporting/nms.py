"""NMS as a part of an ONNX graph: of the boxes of all anchors those stay that no better one of their class overlaps.

torch writes no such part: the operator belongs to torchvision. It is put behind the graph operator by operator, for any
number of photos at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mobilenets.tasks.detect import BOXES, CLASSES, SCORES
from mobilenets.tasks.ends import Suppression

MADE = "nms_"  # begins the names of all that is put in


class _Tail:
    """Operators that are put behind a graph, and their constants."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph

    def constant(self, name: str, value: Any) -> str:
        """Its name."""
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), f"{MADE}{name}"))
        return f"{MADE}{name}"

    def add(self, operator: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> str:
        """The name of the first output; the graph's own outputs alone are called as they are."""
        names = [name if name in (BOXES, SCORES, CLASSES) else f"{MADE}{name}" for name in outputs]
        node = helper.make_node(operator, inputs, names, name=f"{MADE}{operator}_{outputs[0]}", **attributes)
        self._graph.node.append(node)
        return names[0]


def with_nms(graph: onnx.ModelProto, suppression: Suppression) -> None:
    """Put NMS behind a detector, in place.

    Parameters
    ----------
    graph
        Of outputs `boxes` float32 (N, A, 4): left, top, right, bottom, fractions of the photo's sides, and `scores`
        float32 (N, A, K): of each class, without the background, 0 to 1. It then gives `boxes` float32
        (N, B, 4), cut at the photo's edges, `scores` float32 (N, B) and `classes` int64 (N, B):
        the highest score first, of equal ones the lower class; -1, with score and edges 0, where there is no box.
    suppression
        Which boxes stay.

    Notes
    -----
    `tasks.detect.boxes.detections` does the same in numpy.
    """
    min_score, max_overlap, max_boxes = suppression
    tail, photos = _Tail(graph.graph), graph.graph.output[0].type.tensor_type.shape.dim[0].dim_param
    for node in graph.graph.node:
        for i, name in enumerate(node.output):
            node.output[i] = f"{MADE}all_{name}" if name in (BOXES, SCORES) else name
    all_boxes, all_scores = f"{MADE}all_{BOXES}", f"{MADE}all_{SCORES}"
    zero, one = tail.constant("zero", np.float32(0)), tail.constant("one", np.float32(1))
    count, last = tail.constant("count", np.array([max_boxes])), tail.constant("last", np.array([-1]))

    # What is kept, in all photos: M rows of photo, class and anchor, by photo, class and falling score.
    inside = tail.add("Clip", [all_boxes, zero, one], "inside")
    by_class = tail.add("Transpose", [all_scores], "by_class", perm=[0, 2, 1])
    limits = [
        tail.constant(name, np.array([x], np.float32)) for name, x in (("overlap", max_overlap), ("min", min_score))
    ]
    kept = tail.add("NonMaxSuppression", [inside, by_class, count, *limits], "kept")
    kept_scores = tail.add("GatherND", [by_class, kept], "kept_scores")
    photo, number, anchor = (tail.constant(name, i) for i, name in enumerate(("photo", "number", "anchor")))
    of_photo, of_class, of_anchor = (
        tail.add("Gather", [kept, column], f"of_{column}", axis=1) for column in (photo, number, anchor)
    )

    # A row for each photo, with the scores of its own and, so that there are enough, zeros behind: (N, M + max_boxes).
    shape = tail.add("Shape", [all_boxes], "shape", end=1)
    each = tail.add(
        "Range", [tail.constant("begin", 0), tail.add("Squeeze", [shape], "photos"), tail.constant("step", 1)], "each"
    )
    own = tail.add("Equal", [tail.add("Unsqueeze", [each, last], "column"), of_photo], "own")
    own_scores = tail.add("Where", [own, kept_scores, zero], "own_scores")
    room = tail.constant("room", np.array([0, 0, 0, max_boxes]))
    some = tail.constant("some", np.array([0, max_boxes]))
    tail.add("TopK", [tail.add("Pad", [own_scores, room], "enough"), count], SCORES, "rank", axis=1)

    found = tail.add("Greater", [SCORES, zero], "found")
    padded = (tail.add("Pad", [column, some], f"enough_{column}") for column in (of_class, of_anchor))
    classes, anchors = (tail.add("Gather", [column, f"{MADE}rank"], f"chosen_{column}") for column in padded)
    tail.add("Where", [found, classes, tail.constant("none", -1)], CLASSES)
    sides = tail.constant("sides", np.array([1, 1, 4]))
    at = tail.add("Expand", [tail.add("Unsqueeze", [anchors, last], "row"), sides], "edges")
    chosen = tail.add("GatherElements", [inside, at], "chosen", axis=1)
    tail.add("Where", [tail.add("Unsqueeze", [found, last], "is_box"), chosen, zero], BOXES)

    del graph.graph.output[:]
    outputs = ((BOXES, TensorProto.FLOAT, (4,)), (SCORES, TensorProto.FLOAT, ()), (CLASSES, TensorProto.INT64, ()))
    graph.graph.output.extend(
        helper.make_tensor_value_info(name, kind, [photos, max_boxes, *rest]) for name, kind, rest in outputs
    )
