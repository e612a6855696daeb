"""Fine-tuning throughput: this project's loop against the plain eager one, in one run.

    python benchmarks/throughput.py [--rounds 3]

The plain loop is the tutorial's: float32, NCHW, Adam, on a batch that is already in memory. Ours is the loop
of `mobilenets train` as it is: decoding and augmenting photographs in threads, channels-last, the precision
that a measurement picked, gradient clipping, AdamW, averaged weights. Batch 32 at 224 pixels; rounds of the two
alternate; medians. `features/s` are images per second of the frozen network, as `probe` computes them, and of
eager torch in float32.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from common import table, write_result
from PIL import Image

from mobilenets.data.cache import PixelCache
from mobilenets.data.loader import Loader
from mobilenets.data.source import read_splits
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.spec import build
from mobilenets.training.features import extractor
from mobilenets.training.loop import Place, Trainer
from mobilenets.training.plan import make_plan
from mobilenets.training.recipe import FINETUNE

BATCH, STEPS = 32, 6
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


def plain_loop(model: MobileNet) -> float:
    """Images per second of the tutorial's loop."""
    images, labels = torch.randn(BATCH, 3, 224, 224), torch.randint(0, 2, (BATCH,))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    model.train()
    start = time.perf_counter()
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    return BATCH * STEPS / (time.perf_counter() - start)


def our_loop(trainer: Trainer) -> float:
    """Images per second of the loop of `mobilenets train`."""
    trainer.state.batch = 0
    start = time.perf_counter()
    steps = sum(1 for _ in islice(trainer.steps(), STEPS))
    return BATCH * steps / (time.perf_counter() - start)


def feature_rates(model: MobileNet, preprocess: Preprocess) -> tuple[float, float]:
    """Images per second of `probe`'s extractor and of eager torch."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 224, 224, 3), np.uint8)
    extract = extractor(model, preprocess, torch.device("cpu"))
    eager = model.eval()

    def run_eager(pixels: np.ndarray) -> None:
        with torch.inference_mode():
            eager.forward_features(torch.from_numpy(preprocess.normalize(pixels)))

    rates = []
    for run in (extract, run_eager):
        run(pixels)
        start = time.perf_counter()
        for _ in range(10):
            run(pixels)
        rates.append(160 / (time.perf_counter() - start))
    return rates[0], rates[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        splits = read_splits(write_photos(Path(folder)), val=0.1)
        for name in MODELS:
            preprocess = Preprocess()
            cache = PixelCache()
            train = Loader(
                splits.train,
                preprocess,
                BATCH,
                augment=FINETUNE.augment,
                shuffle=True,
                drop_last=True,
                cache=cache,
                prefetch=0,
            )
            model = MobileNet(build(name, num_classes=2))
            plain = MobileNet(build(name, num_classes=2))
            trainer = Trainer(model, FINETUNE, Place(torch.device("cpu"), "fp32", 0), preprocess, train, train)
            precision = make_plan(trainer, "auto", None).precision
            trainer.place = Place(trainer.place.device, precision, 0)
            plain_loop(plain), our_loop(trainer)
            pairs = [(plain_loop(plain), our_loop(trainer)) for _ in range(args.rounds)]
            before, after = (statistics.median(column) for column in zip(*pairs, strict=True))
            ours, eager = feature_rates(MobileNet(build(name)), preprocess)
            rows.append(
                [
                    name,
                    precision,
                    f"{before:.1f}",
                    f"{after:.1f}",
                    f"{after / before:.2f}",
                    f"{eager:.0f}",
                    f"{ours:.0f}",
                ]
            )
            print(rows[-1], flush=True)
    header = [
        "model",
        "precision",
        "plain img/s",
        "ours img/s",
        "ratio",
        "eager features/s",
        "probe features/s",
    ]
    command = f"python benchmarks/throughput.py --rounds {args.rounds}"
    body = table(header, rows) + "\n\n" + str(__doc__).split("\n\n", 2)[2].strip()
    write_result("throughput", "Fine-tuning throughput", command, body, "torch", "onnxruntime")


if __name__ == "__main__":
    main()
