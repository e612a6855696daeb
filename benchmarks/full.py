"""`--input full` on the demo's solar cells: raw pixels into the file, the usual path beside it.

    python benchmarks/full.py RUN   # a trained run of the demo; prints and writes benchmarks/results/full.md

Every one of the 656 validation photographs, whole, goes into the exported file, which resizes and crops it itself;
its probabilities are compared with those of the network behind the usual preprocessing. Another size of the
photographs asks more of the resize, so all are also given at odd sizes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import table, write_result
from PIL import Image

from mobilenets.data.samples import Samples
from mobilenets.data.sources.read import read_splits
from mobilenets.exporting.images import SampleImage
from mobilenets.exporting.targets.table import FULL_TARGETS, TARGETS, exporter, with_full_input
from mobilenets.exporting.verify import FLOAT, LARGEST_DIFFERENCE, size_of, verify
from mobilenets.preprocess import Preprocess, decode
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.registry import open_engine
from mobilenets.verbs.demo import VAL_FRACTION, write_csv

SIZES = (None, (640, 480), (401, 233))  # None: as they are, 300×300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    args = parser.parse_args()
    network = TorchEngine.read(args.run / "model.safetensors")
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        samples = read_splits(write_csv(Path(folder) / "cells.csv"), val=VAL_FRACTION, seed=0).val
        for target in FULL_TARGETS:
            path = Path(folder, target, TARGETS[target].file)
            path.parent.mkdir()
            with_full_input(target, exporter(target))(network.model, network.card, path)
            engine = open_engine(path, str(TARGETS[target].engine))
            for size in SIZES:
                pictures = read(samples, network.card.preprocess, size)
                result = verify(engine, network, pictures, target, FLOAT, size_of(path))
                shown = "300×300" if size is None else "{}×{}".format(*size)
                rows.append([
                    target, shown, result.n, f"{result.top1_agreement:.4f}",
                    f"{result.max_probability_difference:.4f}", "yes" if result.agrees else "NO",
                ])  # fmt: skip
    columns = ["target", "photographs of", "photographs", "same class", "largest difference of a probability", "agrees"]
    body = f"""\
{network.card.name} at {network.card.preprocess.size} pixels. Wanted: the same class every time, no probability
more than {LARGEST_DIFFERENCE["full"]:g} off.

{table(columns, rows)}"""
    write_result(
        "full", "Whole pictures in", "python benchmarks/full.py RUN", body, "onnxruntime", "openvino", "pillow"
    )


def read(samples: Samples, preprocess: Preprocess, size: tuple[int, int] | None) -> Iterator[SampleImage]:
    for sample in samples:
        image = decode.read(sample.open())
        if size is not None:
            image = image.resize(size, Image.Resampling.BICUBIC)
        yield SampleImage(preprocess.pixels(image), np.asarray(image), sample.label)


if __name__ == "__main__":
    main()
