"""Training against the tutorial, plain PyTorch, Keras on torch and transformers' Trainer: rate, time, memory, work.

    python benchmarks/race.py rates --keep DIR               one round of all; again for more rounds
    python benchmarks/race.py tutorial --keep DIR --seed 0   its accuracy after 8 epochs; goes on where it was stopped
    python benchmarks/race.py ours --keep DIR --seed 0       our time to that accuracy
    python benchmarks/race.py report --keep DIR

MobileNetV2 on the demo's 2,624 photographs of solar cells, 75/25 split stratified by label and cell type, a process
for each contestant and round. Images/s are those of steps with reading, decoding and augmenting, after two steps and
four seconds; nobody keeps decoded photographs before the first epoch ends. CPU seconds are those of the process and
its loading processes; memory is its peak (resident) and what the loading processes have of their own. Medians of the
rounds.

The tutorial: batches of 16 at 224 pixels, Adam at 1e-4 on the classifier only, so no backward pass through the
network. Plain PyTorch, Keras, transformers: all layers, batches of 32, float32, two loading processes. Ours: all layers
as `mobilenets train --recipe finetune` trains them, in the precision that it chooses.

Time to accuracy: that which the tutorial's recipe has on the validation part after 8 epochs. Its time is 8 times the
training and validation photographs at its measured rates, start-up left out. Ours is measured from the start of
`mobilenets train CSV --recipe probe --size 160 …` (same network, same weights, same split) to a validated
`model.safetensors` on disk; beside it, the time until the whole run folder, with its ONNX file and report, is written.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import spread, table, write_result
from meter import WARM_UP_STEPS, Meter

EPOCHS = 8
TITLES = {
    "tutorial": ("the tutorial's loop", "the classifier"),
    "plain": ("plain PyTorch", "all layers"),
    "keras": ("Keras on torch", "all layers"),
    "transformers": ("transformers' Trainer", "all layers"),
    "ours": ("mobilenets", "all layers"),
}
RECIPE = ["--recipe", "probe", "--size", "160"]


def splits_of(folder: Path, seed: int) -> Any:
    """The demo's photographs, divided as `mobilenets demo` divides them."""
    from mobilenets.data.sources.read import read_splits
    from mobilenets.verbs.demo import VAL_FRACTION, write_csv

    data = folder / "cells.csv"
    if not data.exists():
        write_csv(data)
    return read_splits(data, val=VAL_FRACTION, seed=seed)


def worker(name: str, folder: Path, seconds: float) -> None:
    """One contestant's round; prints its figures."""
    from contestants import CONTESTANTS, tutorial

    splits, meter = splits_of(folder, 0), Meter(seconds)
    CONTESTANTS[name](splits, meter)
    if name == "tutorial":
        meter.figures["validated_per_s"] = validation_rate(tutorial(network(), splits), seconds / 4)
    print(json.dumps(meter.figures))


def network() -> Any:
    """MobileNetV2 with torchvision's weights and two classes."""
    from mobilenets.verbs.demo import MODEL, WEIGHTS
    from mobilenets.weights.create import create

    return create(MODEL, weights=WEIGHTS, num_classes=2)


def validation_rate(loop: Any, seconds: float) -> float:
    """Images per second of the plain loop's validation."""
    seen, start, now = 0, 0.0, 0.0
    for i, (_, images) in enumerate(loop.right()):
        now = time.perf_counter()
        if i < WARM_UP_STEPS:
            start = now
            continue
        seen += images
        if now - start > seconds:
            break
    return seen / (now - start)


def rates(folder: Path, seconds: float) -> None:
    """A round: every contestant once, in a process of its own."""
    found: dict[str, dict[str, float]] = {}
    for name in TITLES:
        command = [sys.executable, __file__, "worker", "--keep", str(folder), "--who", name, "--seconds", str(seconds)]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            raise SystemExit(f"{name}: {run.stderr[-2000:]}")
        found[name] = json.loads(run.stdout.splitlines()[-1])
        print(name, found[name], flush=True)
    with (folder / "rounds.jsonl").open("a") as file:
        file.write(json.dumps(found) + "\n")


def train_tutorial(folder: Path, seed: int, minutes: float) -> None:
    """The tutorial's recipe, epoch by epoch; stops between two when its time is over."""
    import torch
    from contestants import tutorial

    from mobilenets.nn.layers import channels_last
    from mobilenets.system.malloc import keep_freed_memory

    # What it learns does not depend on where numbers lie in memory; its speed does, which is measured as it is.
    keep_freed_memory()
    path = folder / f"tutorial{seed}.pt"
    torch.manual_seed(seed)
    loop = tutorial(channels_last(network()), splits_of(folder, seed))
    accuracies: list[float] = []
    if path.exists():
        state = torch.load(path)
        loop.model.load_state_dict(state["model"])
        loop.optimizer.load_state_dict(state["optimizer"])
        accuracies = state["accuracies"]
    start = time.monotonic()
    while len(accuracies) < EPOCHS and time.monotonic() - start < 60 * minutes:
        torch.manual_seed(1000 * seed + len(accuracies))
        for _ in loop.epoch():
            pass
        right, seen = (sum(column) for column in zip(*loop.right(), strict=True))
        accuracies.append(right / seen)
        state = {"model": loop.model.state_dict(), "optimizer": loop.optimizer.state_dict(), "accuracies": accuracies}
        torch.save(state, path)
        print(len(accuracies), accuracies[-1], flush=True)
    (folder / f"tutorial{seed}.json").write_text(json.dumps(accuracies))


def train_ours(folder: Path, seed: int) -> None:
    """`mobilenets train` from its start to a model on disk, and to the end."""
    from mobilenets.model_card import read_card
    from mobilenets.verbs.demo import MODEL, VAL_FRACTION, WEIGHTS

    splits_of(folder, seed)  # writes the CSV
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "run"
        command = [sys.executable, "-m", "mobilenets", "train", str(folder / "cells.csv"), "--out", str(out)]
        command += ["--model", MODEL, "--weights", WEIGHTS, "--val", str(VAL_FRACTION), "--seed", str(seed), *RECIPE]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        model = out / "model.safetensors"
        while not model.exists() and process.poll() is None:
            time.sleep(0.02)
        reached = time.perf_counter() - start
        accuracy = read_card(model).metrics["val_accuracy"]
        if process.wait():
            raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
        figures = {"seed": seed, "seconds": reached, "all_seconds": time.perf_counter() - start, "accuracy": accuracy}
    with (folder / "ours.jsonl").open("a") as file:
        file.write(json.dumps(figures) + "\n")
    print(figures)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def report(folder: Path) -> None:
    """The tables of what was measured so far."""
    rounds = _lines(folder / "rounds.jsonl")

    def median(name: str, figure: str) -> float:
        return statistics.median(r[name][figure] for r in rounds)

    plain, epoch = median("plain", "images_per_s"), len(splits_of(folder, 0).train)
    rows: list[list[object]] = []
    for name, (title, learns) in TITLES.items():
        seen = [r[name]["images_per_s"] for r in rounds]
        rate = statistics.median(seen)
        rows.append(
            [
                title,
                learns,
                f"{rate:.1f} ({min(seen):.1f} to {max(seen):.1f})",
                f"{rate / plain:.2f}",
                f"{epoch / rate:.0f}",
                f"{1000 * median(name, 'cpu_s_per_image'):.1f}",
                f"{median(name, 'peak_mb'):.0f}",
            ]
        )
    header = ["who", "what learns", "images/s", "against plain", "an epoch, s", "CPU ms per image", "peak MB"]
    body = f"{len(rounds)} rounds.\n\n{table(header, rows)}\n\n"
    body += time_table(folder, [r["tutorial"] for r in rounds])
    body += "\n\n" + str(__doc__).split("\n\n", 2)[2].strip()
    write_result(
        "race",
        "A race of training loops",
        "python benchmarks/race.py report",
        body,
        "torch",
        "keras",
        "transformers",
        "accelerate",
        "onnxruntime",
        "openvino",
    )


def time_table(folder: Path, rounds: list[dict[str, float]]) -> str:
    """Time to the tutorial's accuracy, by split seed; `rounds` are the tutorial's."""
    rows: list[list[object]] = []
    ratios = []
    ours = _lines(folder / "ours.jsonl")
    for path in sorted(folder.glob("tutorial?.json")):
        seed, accuracies = int(path.stem[-1]), json.loads(path.read_text())
        mine = [run for run in ours if run["seed"] == seed]
        if len(accuracies) < EPOCHS or not mine:
            continue
        splits = splits_of(folder, seed)
        train, val = len(splits.train), len(splits.val)
        times = [EPOCHS * (train / r["images_per_s"] + val / r["validated_per_s"]) for r in rounds]
        theirs = statistics.median(times)
        seconds, whole = (statistics.median(run[key] for run in mine) for key in ("seconds", "all_seconds"))
        accuracy = mine[0]["accuracy"]
        reached = accuracy >= accuracies[-1]
        ratios.append(theirs / seconds)
        rows.append(
            [
                seed,
                f"{accuracies[-1]:.4f} ({max(accuracies):.4f})",
                f"{theirs:.0f} s ({min(times):.0f} to {max(times):.0f})",
                f"{accuracy:.4f}",
                f"{seconds:.1f} s" if reached else "not reached",
                f"{ratios[-1]:.1f}×" if reached else "",
                f"{whole:.1f} s",
            ]
        )
    rows.append(["mean ± sd", "", "", "", "", spread(ratios, 1), ""])
    header = [
        "split seed",
        "tutorial (best epoch)",
        "its time",
        "ours",
        "our time",
        "sooner",
        "run folder",
    ]
    return table(header, rows) + "\n\nWanted: ≥ 30× sooner."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["rates", "tutorial", "ours", "report", "worker"])
    parser.add_argument("--keep", type=Path, required=True, help="where figures are kept between calls")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=12, help="of each contestant in a round (default 12)")
    parser.add_argument("--minutes", type=float, default=60, help="after which the tutorial's loop pauses")
    parser.add_argument("--who", choices=list(TITLES), help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    if args.part == "worker":
        worker(args.who, args.keep, args.seconds)
    elif args.part == "rates":
        rates(args.keep, args.seconds)
    elif args.part == "tutorial":
        train_tutorial(args.keep, args.seed, args.minutes)
    elif args.part == "ours":
        train_ours(args.keep, args.seed)
    else:
        report(args.keep)


if __name__ == "__main__":
    main()
