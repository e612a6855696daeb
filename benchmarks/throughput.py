"""Fine-tuning throughput: this project's loop against the plain eager one, in one run.

    python benchmarks/throughput.py [--rounds 3]

The plain loop is the tutorial's: float32, NCHW, Adam, on a batch that is already in memory. Ours is the loop
of `mobilenets train` as it is: decoding and augmenting photographs in threads, channels-last, the precision
that a measurement picked, gradient clipping, AdamW, averaged weights, freed memory kept. Batch 32 at 224
pixels; the two have a process each, rounds alternate; medians. `float32`: our loop as it is where there is no
bfloat16 in hardware. `features/s` are images per second of the frozen network, as `probe` computes them, and of
eager torch in float32.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from common import table, write_result
from contestants import BATCH, our_trainer, plain_step
from PIL import Image

from mobilenets.arch import build
from mobilenets.data.sources.read import read_splits
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.training.loop import Trainer
from mobilenets.training.probe.features import Extractor, extractor

STEPS = 6
MODELS = ("mobilenet_v2", "mobilenet_v3_large")


def write_photos(folder: Path, count: int = BATCH * STEPS * 2) -> Path:
    """Two classes of 300×300 JPEGs."""
    rng = np.random.default_rng(0)
    for i in range(count):
        small = Image.fromarray(rng.integers(0, 256, (30, 30, 3), np.uint8))
        path = folder / str(i % 2) / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small.resize((300, 300), Image.Resampling.BICUBIC).save(path)
    return folder


@cache
def plain_model(name: str) -> MobileNet:
    """The model that the plain process keeps."""
    return MobileNet(build(name, num_classes=2))


def plain_loop(name: str) -> float:
    """Images per second of the tutorial's loop."""
    model = plain_model(name)
    images, labels = torch.randn(BATCH, 3, 224, 224), torch.randint(0, 2, (BATCH,))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    model.train()
    start = time.perf_counter()
    for _ in range(STEPS):
        plain_step(model, optimizer, images, labels)
    return BATCH * STEPS / (time.perf_counter() - start)


def our_loop(trainer: Trainer) -> float:
    """Images per second of the loop of `mobilenets train`."""
    trainer.state.batch = 0
    start = time.perf_counter()
    steps = sum(1 for _ in islice(trainer.finished_steps(), STEPS))
    return BATCH * steps / (time.perf_counter() - start)


def feature_rate(extract: Extractor) -> float:
    """Images per second of the frozen network."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 224, 224, 3), np.uint8)
    extract(pixels)
    start = time.perf_counter()
    for _ in range(10):
        extract(pixels)
    return 160 / (time.perf_counter() - start)


def eager_features(name: str) -> float:
    """Images per second of eager torch in float32."""
    model, preprocess = plain_model(name).eval(), Preprocess()

    def run(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(model.forward_features(torch.from_numpy(preprocess.normalize(pixels))))

    return feature_rate(run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rows: list[list[object]] = []
    plain = ProcessPoolExecutor(1, get_context("spawn"))
    with plain, tempfile.TemporaryDirectory() as folder:
        splits = read_splits(write_photos(Path(folder)), val=0.1)
        for name in MODELS:
            trainer = our_trainer(name, splits.train)
            preprocess, precision = trainer.preprocess, trainer.ctx.precision
            ours = [trainer, trainer.copy("fp32")]
            rounds = [
                [plain.submit(plain_loop, name).result(), *map(our_loop, ours)]
                for _ in range(1 + args.rounds)  # the first warms up
            ]
            before, after, wide = (statistics.median(column) for column in zip(*rounds[1:], strict=True))
            eager = plain.submit(eager_features, name).result()
            quick = feature_rate(extractor(MobileNet(build(name)), preprocess, torch.device("cpu")))
            rows.append(
                [
                    name,
                    precision,
                    f"{before:.1f}",
                    f"{after:.1f}",
                    f"{after / before:.2f}",
                    f"{wide:.1f}",
                    f"{wide / before:.2f}",
                    f"{eager:.0f}",
                    f"{quick:.0f}",
                ]
            )
            print(rows[-1], flush=True)
    header = [
        "model",
        "precision",
        "plain img/s",
        "ours img/s",
        "ratio",
        "in float32",
        "ratio",
        "eager features/s",
        "probe features/s",
    ]
    command = f"python benchmarks/throughput.py --rounds {args.rounds}"
    body = table(header, rows) + "\n\n" + str(__doc__).split("\n\n", 2)[2].strip()
    write_result("throughput", "Fine-tuning throughput", command, body, "torch", "onnxruntime")


if __name__ == "__main__":
    main()
