"""Training throughput of two processes against one, each on one thread, and what synchronised BatchNorm costs.

    python benchmarks/processes.py [--rounds 3]

MobileNetV2 at 224 pixels, batch 32 (two processes: 16 each), float32: the loop of `mobilenets train` with decoding,
augmenting, gradient exchange by gloo and all; images per second of the median step of ten. Processes are started by
torchrun; rounds alternate; median (lowest to highest) of the rounds. Two trainings at once, which exchange nothing,
show what two cores that share memory and cache can do at best.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

BATCH, WARM_UP, STEPS = 32, 2, 10
CASES = {  # trainings at the same time, processes of each, whether BatchNorm is synchronised
    "1 process": (1, 1, False),
    "2 processes": (1, 2, False),
    "2 processes, --sync-bn": (1, 2, True),
    "2 trainings that know nothing of each other": (2, 1, False),
}


def worker(folder: Path, sync_norm: bool) -> None:
    """One of the processes: steps of the loop; the main one prints images per second."""
    import torch

    from mobilenets.arch import build
    from mobilenets.data.loader import Loader
    from mobilenets.data.sources.read import read_splits
    from mobilenets.nn.model import MobileNet
    from mobilenets.preprocess import Preprocess
    from mobilenets.system.malloc import keep_freed_memory
    from mobilenets.training.context import ComputeContext
    from mobilenets.training.distributed.group import processes
    from mobilenets.training.loop import Trainer
    from mobilenets.training.recipe import FINETUNE

    torch.set_num_threads(1)
    keep_freed_memory()
    with processes() as group:
        samples = read_splits(folder, val=0.1, seed=0).train
        preprocess = Preprocess()
        train = Loader(
            samples,
            preprocess,
            BATCH,
            augment=FINETUNE.augment,
            workers=0,
            prefetch=0,
            shuffle=True,
            rank=group.rank,
            world_size=group.size,
        )
        model = MobileNet(build("mobilenet_v2", num_classes=2))
        recipe = FINETUNE.override({"sync_norm": sync_norm})
        trainer = Trainer(
            model, recipe, ComputeContext(torch.device("cpu"), "fp32", 0, group), preprocess, train, train
        )
        seconds = []
        start = time.perf_counter()
        for _ in islice(trainer.finished_steps(), WARM_UP + STEPS):
            seconds.append(time.perf_counter() - start)
            start = time.perf_counter()
        if group.is_main:
            print(json.dumps(BATCH / statistics.median(seconds[WARM_UP:])))


def rate(folder: Path, trainings: int, processes: int, sync_norm: bool) -> float:
    """Images per second over all processes, each on one thread."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    command += [f"--nproc-per-node={processes}", __file__, "--worker", str(folder)]
    command += ["--sync-bn"] if sync_norm else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        for _ in range(trainings)
    ]
    outputs = [process.communicate()[0] for process in running]
    return sum(float(output.split()[-1]) for output in outputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--sync-bn", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker, args.sync_bn)
        return
    from common import table, write_result
    from throughput import write_photos

    rates: dict[str, list[float]] = {case: [] for case in CASES}
    with tempfile.TemporaryDirectory() as name:
        folder = write_photos(Path(name))
        for _ in range(args.rounds):
            for case, how in CASES.items():
                rates[case].append(rate(folder, *how))
    one = statistics.median(rates["1 process"])
    rows: list[list[object]] = [
        [
            case,
            f"{statistics.median(found):.1f} ({min(found):.1f} to {max(found):.1f})",
            f"{statistics.median(found) / one:.2f}×",
        ]
        for case, found in rates.items()
    ]
    body = table(["one thread each", "images/s", "against one"], rows) + "\n\nWanted: 2 processes ≥ 1.8×.\n\n"
    body += str(__doc__).split("\n\n", 2)[2].strip()
    write_result(
        "processes", "Several processes", f"python benchmarks/processes.py --rounds {args.rounds}", body, "torch"
    )


if __name__ == "__main__":
    main()
