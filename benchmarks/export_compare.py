"""What comparing an exported file with its network takes, on a machine that also does something else.

    python benchmarks/export_compare.py [--photos 654] [--target onnx]

`export` compares on the photographs of the validation part. Here on photographs of 640×480, reading them included,
beside one process that counts without end: `verify` of `mobilenets.exporting.verify` (batches, each side on one thread)
and, on a few of them, the loop that was there before (picture by picture, each side on all cores). Rounds in turns;
medians. Processor seconds are of this process: what the comparison itself costs, however many others want the cores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from common import table, write_result
from predict import write_model, write_photos

from mobilenets.data.sample import Sample
from mobilenets.exporting.images import read_images
from mobilenets.exporting.targets.table import TARGETS, reopen
from mobilenets.exporting.verify import FLOAT, verify
from mobilenets.model_card import read_card
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.registry import open_engine

ROUNDS, FEW = 3, 16
WANTED_S, WANTED_PHOTOS = 30, 650


def count() -> None:
    while True:
        pass


def before(target: str, path: Path, network: TorchEngine, samples: list[Sample]) -> None:
    engine = open_engine(path, str(TARGETS[target].engine))
    for picture in read_images(network.card.preprocess, samples, len(samples), "comparing"):
        np.abs(network(picture.pixels[None]) - engine(picture.pixels[None])).max()


def now(target: str, path: Path, network: TorchEngine, samples: list[Sample]) -> None:
    engine = reopen(target, path, network.card)
    pictures = read_images(network.card.preprocess, samples, len(samples), "comparing")
    result = verify(engine, network, pictures, target, FLOAT, 0)
    assert result.agrees, result


def timed(function: Callable[[], None]) -> tuple[float, float]:
    """Seconds and processor seconds."""
    start, processor = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=654)
    parser.add_argument("--target", choices=("onnx", "openvino"), default="onnx")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, path = write_model(folder / "model.onnx", "mobilenet_v3_large", 224), folder / "model.onnx"
        network = TorchEngine(model, read_card(path))
        samples = [Sample(photo, 0) for photo in write_photos(folder / "photos", args.photos)]
        run = partial(now, args.target, path, network)  # OpenVINO reads the .onnx too
        old = partial(before, args.target, path, network)
        other = multiprocessing.get_context("spawn").Process(target=count, daemon=True)
        other.start()
        run(samples[:FEW])
        taken = [(timed(partial(run, samples)), timed(partial(old, samples[:FEW]))) for _ in range(ROUNDS)]
        other.terminate()
        other.join()
    ours, theirs = (
        [statistics.median(column) for column in zip(*side, strict=True)] for side in zip(*taken, strict=True)
    )
    ratio = statistics.median((len(samples) / a) / (FEW / b) for (a, _), (b, _) in taken)
    rows: list[list[object]] = [
        [
            f"now, {len(samples)} photographs",
            f"{ours[0]:.1f}",
            f"{ours[1]:.1f}",
            f"{len(samples) / ours[0]:.1f}",
            f"{ratio:.1f}×",
            f"≤ {WANTED_S} s for {WANTED_PHOTOS}",
        ],
        [f"before, {FEW} photographs", f"{theirs[0]:.1f}", f"{theirs[1]:.1f}", f"{FEW / theirs[0]:.1f}", "", ""],
    ]
    body = table(["what", "s", "processor s", "pictures/s", "rate against before", "wanted"], rows)
    body += f"\n\nMobileNetV3-Large at 224 pixels, five classes, {args.target}. Other work on the machine as this "
    body += f"began: a load average of {load:.1f} on {os.cpu_count()} cores; the counting process comes on top.\n\n"
    body += str(__doc__).split("\n\n", 2)[2].strip()
    command = f"python benchmarks/export_compare.py --photos {args.photos} --target {args.target}"
    write_result("export_compare", "Comparing an export", command, body, "onnxruntime", "openvino", "torch")


if __name__ == "__main__":
    main()
