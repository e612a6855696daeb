"""What a detector costs: parameters, multiply-accumulates, anchors, and the time of a photo against a classifier's.

    python benchmarks/detectors.py [--rounds 15]

Random weights, 20 classes and the background, 320 pixels; BatchNorms folded, in onnxruntime on one thread, without what
makes boxes of the outputs. In turns, a round of all of them after the other; of each the median of its milliseconds and
of its ratios to the classifier of the same round.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from common import table, write_result

from mobilenets.arch import DETECTORS, Net, build
from mobilenets.arch.anchors import anchors
from mobilenets.arch.cost import total
from mobilenets.exporting.deploy import fold_norms
from mobilenets.nn.network import make_network

SIZE, CLASSES = 320, 21
PEER, PEER_SIZE = "mobilenet_v3_large", 224
# COCO's mAP, percent: 1905.02244, Table 6; torchvision's own weights have 21.3.
PAPER = {
    ("ssdlite_mobilenet_v1", False): 22.2, ("ssdlite_mobilenet_v2", False): 22.1,
    ("ssdlite_mobilenet_v3_large", False): 22.0, ("ssdlite_mobilenet_v3_large", True): 22.0,
    ("ssdlite_mobilenet_v3_small", False): 16.0, ("ssdlite_mobilenet_v3_small", True): 16.1,
}  # fmt: skip


def session(net: Net, size: int, file: Path) -> Any:
    network = fold_norms(make_network(net)).eval()
    with torch.no_grad():
        torch.onnx.export(network, (torch.zeros(1, 3, size, size),), file, dynamo=True, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def milliseconds(opened: Any, size: int) -> float:
    feed = {opened.get_inputs()[0].name: np.zeros((1, 3, size, size), np.float32)}
    start = time.perf_counter()
    opened.run(None, feed)
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # the exporter's
    tails = {name: (False, True) if "_v3_" in name else (False,) for name in DETECTORS}
    nets = {
        (name, tail): build(name, reduced_tail=tail, num_classes=CLASSES) for name in DETECTORS for tail in tails[name]
    }
    times: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder:
        opened = [(session(build(PEER, num_classes=CLASSES - 1), PEER_SIZE, Path(folder, "peer.onnx")), PEER_SIZE)]
        opened += [(session(net, SIZE, Path(folder, f"{i}.onnx")), SIZE) for i, net in enumerate(nets.values())]
        for _ in range(args.rounds + 2):
            times.append([milliseconds(*each) for each in opened])
    columns = list(zip(*times[2:], strict=True))
    rows = [
        [
            f"`{name}`" + (", reduced tail" if tail else ""),
            f"{total(net, SIZE)[0] / 1e6:.2f}",
            f"{total(net, SIZE)[1] / 1e6:.0f}",
            len(anchors(net, SIZE)),
            f"{statistics.median(own):.1f}",
            f"{statistics.median(a / b for a, b in zip(own, columns[0], strict=True)):.2f}",
            PAPER.get((name, tail), ""),
        ]
        for (name, tail), net, own in zip(nets, nets.values(), columns[1:], strict=True)
    ]
    header = ["network", "M parameters", "MMACs", "anchors", "ms", f"× {PEER}, {PEER_SIZE} px", "mAP of the paper"]
    peer = f"`{PEER}` at {PEER_SIZE} pixels, 20 classes: {statistics.median(columns[0]):.1f} ms."
    body = f"{table(header, rows)}\n\n{peer}\n\n" + (__doc__ or "").partition("\n\n")[2].partition("\n\n")[2]
    command = f"python benchmarks/detectors.py --rounds {args.rounds}"
    write_result("detectors", "Detectors", command, body.rstrip(), "torch", "onnxruntime")


if __name__ == "__main__":
    main()
