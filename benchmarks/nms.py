"""What NMS inside an ONNX file takes: each detector without it, with it, and a classifier, in turns.

    python benchmarks/nms.py

One photo, one thread, onnxruntime. Times are those of the thread that computes, so that other work on the machine
counts for little; ratios are of calls that follow one another, and their median is told. Weights are random; the bias
of the background is such that as many boxes pass the lowest score as in a photo full of objects.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from common import table, write_result
from numpy.typing import NDArray

from mobilenets.arch import build
from mobilenets.exporting.targets.onnx import answering_bytes, completed, write_onnx
from mobilenets.model_card import ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.nn.ssd import Detector
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.engines.onnxruntime import make_session
from mobilenets.tasks.detect import SUPPRESSION

SIZE, CALLS = 320, 60
CANDIDATES = 300  # pairs of box and class above the lowest score: about 30 objects with 10 anchors each
DETECTORS: list[tuple[str, dict[str, Any], int]] = [
    ("ssdlite_mobilenet_v3_large", {}, 90),
    ("ssdlite_mobilenet_v3_large", {"reduced_tail": True}, 90),
    ("ssdlite_mobilenet_v3_large", {"reduced_tail": True}, 3),
    ("ssdlite_mobilenet_v3_small", {}, 90),
    ("ssdlite_mobilenet_v2", {}, 90),
    ("ssdlite_mobilenet_v2", {}, 3),
]


def main() -> None:
    classifier = _classifier()
    rows: list[list[object]] = []
    for name, options, classes in DETECTORS:
        model, card = _detector(name, options, classes)
        content = answering_bytes(model, card)
        alone, inside = (make_session(graph, 1) for graph in (_network_alone(content), completed(content, card)))
        detector, within, all_of = (_seconds(session) for session in (alone, inside, classifier))
        times = np.array([(detector(), within(), all_of()) for _ in range(CALLS + 3)])[3:]
        ms = 1000 * np.median(times, 0)
        ratios = np.median(times[:, 1:2] / times[:, [0, 2]], 0)
        title = f"{name}{', reduced tail' if options else ''}, {classes} classes"
        rows.append([title, *(f"{x:.1f}" for x in ms[:2]), *(f"{x:.2f}" for x in ratios)])
    header = ["detector at 320", "network alone, ms", "NMS inside, ms", "ratio", "V3-Large at 224 = 1"]
    body = table(header, rows) + (
        f"\n\n{CANDIDATES} candidates above a score of {SUPPRESSION.min_score}. The network alone ends with what its "
        "heads say of every anchor; the file decodes boxes and scores and chooses 100 of them. Wanted: at most 1.15 "
        "and, of V3-Large with the reduced tail, at most 3.0."
    )
    write_result("nms", "NMS inside an ONNX file", "python benchmarks/nms.py", body, "onnxruntime")


def _detector(name: str, options: dict[str, Any], classes: int) -> tuple[Detector, ModelCard]:
    torch.manual_seed(0)
    preprocess = Preprocess(size=SIZE, crop=1.0, fit="squash")
    model = Detector(build(name, num_classes=classes + 1, **options)).eval()
    with torch.inference_mode():
        for heads in model.heads:
            heads.classes.predict.weight *= 60
        outputs = model(torch.from_numpy(preprocess.normalize(_pixels(SIZE))))[0, :, : classes + 1]
        low, high = -50.0, 50.0
        for _ in range(40):  # halving: the more background, the fewer candidates
            bias = (low + high) / 2
            scores = (outputs + torch.eye(classes + 1)[0] * bias).softmax(1)[:, 1:]
            low, high = (bias, high) if (scores > SUPPRESSION.min_score).sum() > CANDIDATES else (low, bias)
        for heads in model.heads:
            heads.classes.predict.bias.view(-1, classes + 1)[:, 0] += bias
    return model, ModelCard(name, model.net, tuple(map(str, range(classes))), preprocess, task="detect")


def _network_alone(content: bytes) -> bytes:
    """The graph up to what the heads say: what reads that, and the anchors, are left out."""
    graph = onnx.load_model_from_string(content)
    softmax = next(node for node in graph.graph.node if node.op_type == "Softmax")
    codes = next(node for node in graph.graph.node if node.op_type == "Div" and "network/Div" in node.name)
    said = [softmax.input[0], codes.input[0]]
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("all.onnx", "alone.onnx")]
        onnx.save(graph, paths[0])
        onnx.utils.extract_model(*paths, ["image"], said)
        return Path(paths[1]).read_bytes()


def _classifier() -> onnxruntime.InferenceSession:
    torch.manual_seed(0)
    model = MobileNet(build("mobilenet_v3_large")).eval()
    card = ModelCard("mobilenet_v3_large", model.net, tuple(map(str, range(1000))), Preprocess(size=224))
    with tempfile.TemporaryDirectory() as folder:
        write_onnx(model, card, Path(folder) / "model.onnx")
        return make_session((Path(folder) / "model.onnx").read_bytes(), 1)


def _pixels(size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)


def _seconds(session: onnxruntime.InferenceSession) -> Any:
    pixels = _pixels(session.get_inputs()[0].shape[1])

    def call() -> float:
        start = time.thread_time()
        session.run(None, {"image": pixels})
        return time.thread_time() - start

    return call


if __name__ == "__main__":
    main()
