"""What the input pipeline costs: 12-megapixel photographs, a million rows, caches, threads and processes.

    python benchmarks/input.py [--photos 96]

The photographs are JPEGs of 4000×3000 pixels. *Share of step time* is the time that the training loop waits for its
batches, of batch 32 at 224 pixels, in the loop of `mobilenets train` on a CPU, where nothing is decoded ahead. A
fresh cache is filled by the first epoch. *Threads and processes* make the same batches of 32 without a network; the
processes are started by `spawn`, decode with one thread each, share the cache on disk and send their batches back.
*A million rows*: a CSV of a million different names over 500 small photographs, up to the first step of
`mobilenets train`; growth of the process is counted from after its imports.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from common import table, write_result
from PIL import Image

from mobilenets.arch import build
from mobilenets.data.cache.images import Cache, DiskCache, PixelCache
from mobilenets.data.loader import Batch, Loader
from mobilenets.data.sample import Sample
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.system.malloc import keep_freed_memory
from mobilenets.training.context import ComputeContext
from mobilenets.training.loop import Trainer
from mobilenets.training.recipe import FINETUNE

BATCH, WORKERS = 32, 2
MODELS = (("mobilenet_v2", "bf16"), ("mobilenet_v3_large", "fp32"))
SIDES = (4000, 3000)
DIFFERENT = 12  # pictures; the others are copies under other names


def write_photos(folder: Path, count: int) -> list[Sample]:
    """JPEGs of 12 megapixels, some 3 MB each: smooth colours with the grain of a sensor."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    paths = [folder / f"{i:04d}.jpg" for i in range(count)]
    for path in paths[:DIFFERENT]:
        smooth = Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).resize(SIDES, Image.Resampling.BICUBIC)
        grain = rng.integers(-6, 7, (SIDES[1], SIDES[0], 1), np.int16)
        Image.fromarray((np.asarray(smooth) + grain).clip(0, 255).astype(np.uint8)).save(path, quality=88)
    for i, path in enumerate(paths[DIFFERENT:]):
        shutil.copy(paths[i % DIFFERENT], path)
    return [Sample(path, i % 2) for i, path in enumerate(paths)]


def make_loader(samples: list[Sample], cache: Cache | None, workers: int = WORKERS) -> Loader:
    options = {"augment": FINETUNE.augment, "shuffle": True, "drop_last": True, "prefetch": 0}
    return Loader(samples, Preprocess(), BATCH, cache=cache, workers=workers, **options)


def make_cache(kind: str, folder: Path) -> Cache | None:
    return {"off": lambda: None, "ram": PixelCache, "disk": lambda: DiskCache(folder)}[kind]()


class Timed:
    """The loader, with the time that somebody waited for its batches."""

    def __init__(self, loader: Loader) -> None:
        self.loader, self.labels, self.waited = loader, loader.labels, 0.0

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """As `Loader.epoch`."""
        batches = self.loader.epoch(epoch, start_batch)
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            self.waited += time.perf_counter() - start
            if batch is None:
                return
            yield batch


def training_rows(samples: list[Sample], folder: Path) -> Iterator[list[object]]:
    """Per network and cache: seconds per step and the share of it spent waiting, of the first and of later epochs."""
    for (name, precision), kind in ((model, kind) for model in MODELS for kind in ("off", "ram", "disk")):
        timed = Timed(make_loader(samples, make_cache(kind, folder / f"{name}-{kind}")))
        ctx = ComputeContext(torch.device("cpu"), precision, 0)
        model = MobileNet(build(name, num_classes=2))
        trainer = Trainer(model, FINETUNE, ctx, Preprocess(), timed, timed)  # type: ignore[arg-type]
        next(trainer.finished_steps())  # primitives are created; decodes photographs that a fresh cache shall not have
        timed.loader = make_loader(samples, make_cache(kind, folder / f"{name}-{kind}-fresh"))
        shares, steps = [], []
        for _ in range(3):
            trainer.state.epoch, trainer.state.batch, timed.waited = trainer.state.epoch + 1, 0, 0.0
            start = time.perf_counter()
            count = sum(1 for _ in trainer.finished_steps())
            steps.append((time.perf_counter() - start) / count)
            shares.append(timed.waited / (steps[-1] * count))
        later, share = statistics.mean(steps[1:]), statistics.mean(shares[1:])
        yield [name, kind, f"{steps[0]:.2f}", f"{shares[0]:.1%}", f"{later:.2f}", f"{share:.1%}"]


_LOADER: Loader | None = None


def start_worker(samples: list[Sample], kind: str, folder: Path) -> None:
    global _LOADER
    _LOADER = make_loader(samples, make_cache(kind, folder), workers=0)


def one_batch(epoch: int, number: int) -> Batch:
    assert _LOADER is not None
    return next(_LOADER.epoch(epoch, number))


def worker_rows(samples: list[Sample], folder: Path) -> Iterator[list[object]]:
    """Images per second of threads and of processes, decoding and from the cache, and the seconds they start in."""
    for kind in ("off", "disk"):
        rates: dict[str, list[float]] = {}
        started: dict[str, float] = {"caller": 0.0}
        for workers in (0, WORKERS):
            name = f"{workers} threads" if workers else "caller"
            loader = make_loader(samples, make_cache(kind, folder / "workers"), workers)
            sum(1 for _ in loader.epoch(0))
            for epoch in (1, 2, 3):
                start = time.perf_counter()
                count = sum(len(batch.labels) for batch in loader.epoch(epoch))
                rates.setdefault(name, []).append(count / (time.perf_counter() - start))
            started[name] = 0.0
        name = f"{WORKERS} processes"
        start = time.perf_counter()
        arguments = (samples, kind, folder / "workers")
        with ProcessPoolExecutor(WORKERS, get_context("spawn"), start_worker, arguments) as pool:
            numbers = range(len(loader))
            list(pool.map(one_batch, repeat(0), chain(range(WORKERS))))
            started[name] = time.perf_counter() - start
            list(pool.map(one_batch, repeat(0), numbers))
            for epoch in (1, 2, 3):
                start = time.perf_counter()
                count = sum(len(batch.labels) for batch in pool.map(one_batch, repeat(epoch), numbers))
                rates.setdefault(name, []).append(count / (time.perf_counter() - start))
        for name, values in rates.items():
            yield [kind, name, f"{statistics.median(values):.0f}", f"{started[name]:.1f}"]


MILLION = """
import sys, time
start = time.perf_counter()
from mobilenets.training import loop, run

def memory(field):
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith(field))

imported, before = time.perf_counter() - start, memory("VmHWM")

def first(self, *args):
    print(imported, time.perf_counter() - start, memory("VmHWM") - before)
    sys.stdout.flush()
    __import__("os")._exit(0)

loop.Trainer.step = first
run.train(sys.argv[1], sys.argv[2], model="mobilenet_v3_large", weights="none", recipe="finetune", epochs=1,
          precision="fp32")
"""


def write_million(folder: Path) -> Path:
    """A CSV of a million names, in no order, over 500 photographs of 320×240 pixels."""
    rng = np.random.default_rng(0)
    (folder / "pool").mkdir(parents=True)
    for i in range(500):
        small = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8))
        small.resize((320, 240)).save(folder / "pool" / f"{i:03d}.jpg")
    for i in range(2000):
        (folder / f"{i:04d}").symlink_to("pool")
    lines = (f"{k // 500:04d}/{k % 500:03d}.jpg,class {k % 10}\n" for k in rng.permutation(1_000_000).tolist())
    path = folder / "million.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("path,label\n")
        file.writelines(lines)
    return path


def million_row(folder: Path) -> list[object]:
    data = write_million(folder / "million")
    command = [sys.executable, "-c", MILLION, str(data), str(folder / "run")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    imports, until, growth = map(float, result.stdout.split()[-3:])
    return [f"{imports:.1f}", f"{until:.1f}", f"{growth:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=96)
    args = parser.parse_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        million = million_row(folder)
        print(million, flush=True)
        samples = write_photos(folder / "photos", args.photos)
        megabytes = statistics.mean(s.path.stat().st_size for s in samples) / 1e6
        training = []
        for row in training_rows(samples, folder / "caches"):
            training.append(row)
            print(row, flush=True)
        workers = list(worker_rows(samples, folder / "caches"))
    body = "\n\n".join(
        [
            f"{args.photos} JPEGs of 12 megapixels, {megabytes:.1f} MB each",
            table(["network", "cache", "s/step, epoch 1", "input, epoch 1", "s/step, later", "input, later"], training),
            "Threads and processes, images per second",
            table(["cache", "workers", "images/s", "start-up s"], workers),
            "A million rows",
            table(["imports s", "until the first step s (imports included)", "growth MB (peak)"], [million]),
            str(__doc__).split("\n\n", 2)[2].strip(),
        ]
    )
    command = f"python benchmarks/input.py --photos {args.photos}"
    write_result("input", "The input pipeline", command, body, "torch", "pillow")


if __name__ == "__main__":
    main()
