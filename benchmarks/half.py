"""What half precision costs and gains on the demo's solar cells: OpenVINO in bfloat16 and float16 beside float32.

    python benchmarks/half.py [RUN]

Writes benchmarks/results/half.md. RUN is a run on the demo's solar cells; without one a linear probe on MobileNetV2
(torchvision's weights, 192 pixels) is trained, which takes half a minute. Answers are compared on its validation part,
with weights in float32 and in float16. The latency of published networks is measured with random weights at 224 pixels,
one picture, one thread, the three ways of a network in turns.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from common import table, write_result

from mobilenets.arch import build
from mobilenets.benchmarking.tasks import write_random
from mobilenets.exporting.images import read_images
from mobilenets.exporting.targets.table import TARGETS, exporter, half_exporter
from mobilenets.exporting.verify import size_of
from mobilenets.runtime.base import FLOAT
from mobilenets.runtime.engines.openvino import BFLOAT16, FLOAT16, compile_model
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.system.timing import Effort, measure, timed
from mobilenets.training.run import train
from mobilenets.training.run_data import open_splits
from mobilenets.training.settings import read_config
from mobilenets.verbs import demo

WAYS = (FLOAT, BFLOAT16, FLOAT16)
NETWORKS = ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small")
EFFORT = Effort(rounds=12, max_rounds=24, turn_s=0.1, min_calls=4, spread=0.03, max_s=20.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows, count = answers(args.run or trained(folder), folder)
        times = [latency(name, folder) for name in NETWORKS]
    body = f"""\
Answers on {count} validation photographs. *Same*: share of photographs that get the float32 network's class (torch).
*Off*: the largest difference of any probability. *Computed in*: what OpenVINO was asked for.

{table(["weights", "computed in", "accuracy", "same", "off", "MB"], rows)}

Milliseconds of one picture on one thread, with the interval of `system/timing.py`; all ways of a network in turns.

{table(["network, 224 px", *WAYS, "float32 / bfloat16"], times)}"""
    write_result("half", "Half precision", "python benchmarks/half.py", body, "torch", "openvino")


def trained(folder: Path) -> Path:
    """A linear probe on the demo's solar cells."""
    settings = demo.SETTINGS | {"weights": demo.WEIGHTS, "recipe": "probe"}
    train(demo.write_csv(folder / "cells.csv"), folder / "run", model=demo.MODEL, val=demo.VAL_FRACTION, **settings)
    return folder / "run"


def answers(run: Path, folder: Path) -> tuple[list[list[object]], int]:
    """A row for each OpenVINO file of `run` and each way to compute it, and how many photographs they are of."""
    settings, _ = read_config(run / "config.yaml")
    samples = open_splits(run, settings).val
    network = TorchEngine.read(run / "model.safetensors")
    preprocess = network.card.preprocess
    pictures = list(read_images(preprocess, samples, len(samples), "validation photographs"))
    labels = np.array([picture.label for picture in pictures])
    wanted = np.concatenate([network(picture.pixels[None]) for picture in pictures])
    rows: list[list[object]] = [["float32", "torch, float32", f"{accuracy(wanted, labels):.4f}", "", "", ""]]
    for title, write in (("float32", exporter("openvino")), ("float16", half_exporter("openvino"))):
        file = folder / title / TARGETS["openvino"].file
        file.parent.mkdir()
        write(network.model, network.card, file)
        for way in WAYS:
            request = compile_model(file, 1, arithmetic=way)[1].create_infer_request()
            found = np.concatenate([np.array(request.infer([picture.pixels[None]])[0]) for picture in pictures])
            same = (found.argmax(1) == wanted.argmax(1)).mean()
            off, size = np.abs(found - wanted).max(), size_of(file.parent) / 1e6
            rows.append([title, way, f"{accuracy(found, labels):.4f}", f"{same:.4f}", f"{off:.2g}", f"{size:.2f}"])
    return rows, len(labels)


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float((probabilities.argmax(1) == labels).mean())


def latency(name: str, folder: Path) -> list[object]:
    """What one picture takes in each way, and how many times as fast bfloat16 is."""
    (file,) = write_random(build(name), 224, [folder / f"{name}.onnx"])
    pixels = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    requests = [compile_model(file, 1, arithmetic=way)[1].create_infer_request() for way in WAYS]
    estimates = measure([timed(partial(request.infer, [pixels])) for request in requests], EFFORT).estimates
    cells = [f"{1000 * e.seconds:.2f} ({e.describe()})" for e in estimates]
    return [name, *cells, f"{estimates[0].seconds / estimates[1].seconds:.2f}"]


if __name__ == "__main__":
    main()
