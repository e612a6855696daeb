"""`mobilenets train` for so many minutes: accuracy, the probe's, and the time of the whole command.

    python benchmarks/anytime.py run --keep DIR [--minutes 1 2 5 10 20] [--seeds 3] [--data cells FOLDER_OR_TAR]
    python benchmarks/anytime.py plain --keep DIR --minutes 5 --seeds 1    a plain PyTorch loop in the same time
    python benchmarks/anytime.py peers --keep DIR --minutes 5 --seeds 1 --python PEERS/bin/python    other tools
    python benchmarks/anytime.py report --keep DIR

`cells`: the demo's 2,624 photographs of solar cells, split 75/25 by label and cell type; any other data is split 75/25
by class. MobileNetV2 with torchvision's ImageNet weights, every other setting as it comes. Each run is a process of its
own, as a user starts it; the time counts from its start to its end, `before` until the plan stands (with questions,
probe and stored views), `after` from the last epoch on. A run that is in DIR is not repeated. The
figure is that of the validation photographs, which also choose among the probe and the epochs, as in all runs here.

The plain loop trains all layers of the same network on the same split at 224 pixels: AdamW, a cosine over the steps
that fit into the time by a measurement, random crops and mirroring, batches of 32, the last weights.
It is run with each of three learning rates, and the best counts: three times the time.

fastai: `vision_learner(...).fine_tune(epochs)`, as many epochs as fit by a measurement; transformers: `Trainer` at
3e-4, as many steps; Ultralytics: its classification trainer with its `time`. All with torchvision's weights of the same
network, on the same split at 224 pixels, all else as they come (`anytime_peers.py`); the best epoch counts.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import spread, table, write_result

VAL, RATES = 0.25, (1e-4, 3e-4, 1e-3)
MODEL, WEIGHTS = "mobilenet_v2", "torchvision-v1"
PEERS = ("fastai", "transformers", "ultralytics")


def data_of(folder: Path, name: str) -> Path:
    """What to train on: the demo's list, or what `name` is."""
    if name != "cells":
        return Path(name)
    from mobilenets.verbs.demo import write_csv

    path = folder / "cells.csv"
    return path if path.exists() else write_csv(path)


def run(folder: Path, data: str, minutes: float, seed: int) -> dict[str, Any]:
    """One run's figures; made where they are not in `folder` yet."""
    place = folder / f"{Path(data).stem}-{minutes:g}-{seed}"
    known = place.with_suffix(".json")
    if known.exists():
        return dict(json.loads(known.read_text()))
    command = [sys.executable, "-m", "mobilenets", "train", str(data_of(folder, data)), "--out", str(place)]
    command += ["--model", MODEL, "--weights", WEIGHTS, "--val", str(VAL)]
    began, start = time.time(), time.monotonic()
    process = subprocess.run(
        [*command, "--minutes", str(minutes), "--seed", str(seed)], capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise SystemExit(process.stderr[-3000:])
    seconds, ended = time.monotonic() - start, time.time()
    metrics = json.loads((place / "metrics.json").read_text())
    probe = json.loads((place / "probe.json").read_text())
    history = place / "history.csv"
    rows = list(csv.DictReader(history.open(encoding="utf-8"))) if history.exists() else []
    plan = [line for line in process.stderr.splitlines() if line.startswith("training: ")]
    figures = {
        "data": Path(data).stem,
        "minutes": minutes,
        "seed": seed,
        "accuracy": metrics["accuracy"],
        "probe": probe["val_accuracy"],
        "seconds": seconds,
        "before": (place / "config.yaml").stat().st_mtime - began,
        "after": ended - history.stat().st_mtime if rows else None,
        "epochs": len(rows),
        "last": float(rows[-1]["val_accuracy"]) if rows else None,
        "plan": plan[-1].removeprefix("training: ") if plan else "the probe alone",
    }
    known.write_text(json.dumps(figures))
    return figures


def plain(folder: Path, data: str, minutes: float, seed: int) -> dict[str, Any]:
    """The plain loop's figures: the best of its learning rates."""
    known = folder / f"plain-{Path(data).stem}-{minutes:g}-{seed}.json"
    if known.exists():
        return dict(json.loads(known.read_text()))
    found = [_plain(data_of(folder, data), minutes, seed, rate) for rate in RATES]
    figures = {**max(found, key=lambda f: f["accuracy"]), "data": Path(data).stem, "minutes": minutes, "seed": seed}
    known.write_text(json.dumps(figures))
    return figures


def _plain(data: Path, minutes: float, seed: int, rate: float) -> dict[str, Any]:
    import torch
    from torch.nn import functional

    from mobilenets.data.augment import Augment
    from mobilenets.data.loader import Loader
    from mobilenets.data.sources.read import read_splits
    from mobilenets.preprocess.torch import Images
    from mobilenets.weights.create import create

    start = time.monotonic()
    splits = read_splits(data, val=VAL, seed=seed)
    torch.manual_seed(seed)
    model = create(MODEL, weights=WEIGHTS, num_classes=len(splits.classes))
    train = Loader(splits.train, model.preprocess, 32, augment=Augment(), seed=seed, shuffle=True, drop_last=True)
    val = Loader(splits.val, model.preprocess, 32)
    images = Images(model.preprocess, torch.device("cpu"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    total, done, epoch, seen, first = None, 0, 0, 0, 0.0
    validation_s = 0.0
    while total is None or done < total:
        for batch in train.epoch(epoch):
            model.train()
            share = done / total if total else 0.0
            for group in optimizer.param_groups:
                group["lr"] = rate * (1 + math.cos(math.pi * share)) / 2
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(images(batch.pixels)), torch.from_numpy(batch.labels))
            torch.autograd.backward(loss)
            optimizer.step()
            done += 1
            seen += len(batch.labels)
            if done == 2:
                first, seen = time.monotonic(), 0
            if done == 7:  # five steps tell how long one takes
                step_s = (time.monotonic() - first) / 5
                validation_s = 0.35 * step_s * len(val)
                total = done + int((60 * minutes - (time.monotonic() - start) - validation_s) / step_s)
            if total is not None and done >= total:
                break
        epoch += 1
    rate_per_s = seen / (time.monotonic() - first)
    model.eval()
    with torch.no_grad():
        right = [(model(images(b.pixels)).argmax(1).numpy() == b.labels).mean() * len(b.labels) for b in val.epoch(0)]
    return {
        "accuracy": float(sum(right) / len(splits.val)),
        "rate": rate,
        "images_per_s": rate_per_s,
        "seconds": time.monotonic() - start,
    }


def peers(folder: Path, data: str, minutes: float, seed: int, python: Path) -> list[dict[str, Any]]:
    """What other tools reach, each in a process of the environment whose `python` this is."""
    from mobilenets.weights.catalog import checkpoints
    from mobilenets.weights.locate import locate

    weights = locate(next(found for found in checkpoints(MODEL) if found.tag == WEIGHTS))
    found = []
    for who in PEERS:
        known = folder / f"{who}-{Path(data).stem}-{minutes:g}-{seed}.json"
        if not known.exists():
            listed, made = folder / f"{Path(data).stem}-{seed}.csv", known.with_suffix(".tmp")
            _list_split(data_of(folder, data), seed, listed)
            script = Path(__file__).with_name("anytime_peers.py")
            arguments = [who, listed, minutes, weights, made]
            subprocess.run([str(python), str(script), *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
            figures = {**json.loads(made.read_text()), "who": who, "data": Path(data).stem}
            made.unlink()
            known.write_text(json.dumps({**figures, "minutes": minutes, "seed": seed}))
        found.append(dict(json.loads(known.read_text())))
    return found


def _list_split(data: Path, seed: int, path: Path) -> None:
    """The photographs, their classes and parts, as `mobilenets train` divides them."""
    from mobilenets.data.sources.read import read_splits

    splits = read_splits(data, val=VAL, seed=seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label", "part"])
        for part, samples in (("train", splits.train), ("val", splits.val)):
            rows.writerows([sample.path, splits.classes[sample.label], part] for sample in samples)


def report(folder: Path) -> None:
    """The table of what lies in `folder`."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    ours = [f for f in found if "probe" in f]
    theirs = {"plain loop": [f for f in found if "rate" in f]}
    theirs |= {who: [f for f in found if f.get("who") == who] for who in PEERS}
    rows: list[list[object]] = []
    for data, minutes in sorted({(f["data"], f["minutes"]) for f in ours}):
        some = [f for f in ours if (f["data"], f["minutes"]) == (data, minutes)]
        others = [[f for f in each if (f["data"], f["minutes"]) == (data, minutes)] for each in theirs.values()]
        rows.append(
            [
                data,
                f"{minutes:g}",
                len(some),
                spread([f["accuracy"] for f in some]),
                f"{statistics.mean(f['probe'] for f in some):.4f}",
                sum(f["accuracy"] < f["probe"] - 1e-9 for f in some),
                f"{min(f['seconds'] for f in some):.0f} to {max(f['seconds'] for f in some):.0f}",
                f"{statistics.mean(f['before'] for f in some):.0f}",
                f"{statistics.mean(f['after'] for f in some if f['after'] is not None):.0f}",
                some[0]["plan"],
                *(spread([f["accuracy"] for f in other]) if other else "" for other in others),
                f"{statistics.median(f['images_per_s'] for f in others[0]):.0f}" if others[0] else "",
            ]
        )
    head = [
        "data",
        "minutes",
        "splits",
        "accuracy",
        "probe",
        "below it",
        "seconds",
        "before",
        "after",
        "plan (first split)",
    ]
    write_result(
        "anytime",
        "The classifier for the minutes given, MobileNetV2",
        "python benchmarks/anytime.py run --keep DIR; … report --keep DIR",
        table([*head, *theirs, "plain images/s"], rows) + "\n\n" + str(__doc__).split("\n\n", 2)[2].strip(),
        "torch",
        "openvino",
        "onnxruntime",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "plain", "peers", "report"])
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--data", nargs="+", default=["cells"])
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 2, 5, 10, 20])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--python", type=Path, help="of an environment with the other tools")
    args = parser.parse_args()
    if args.what == "peers" and args.python is None:
        parser.error("peers: say with --python where they are installed")
    args.keep.mkdir(parents=True, exist_ok=True)
    if args.what == "report":
        report(args.keep)
        return
    for seed in range(args.seeds):
        for minutes in args.minutes:
            for data in args.data:
                case = args.keep, data, minutes, seed
                if args.what == "peers":
                    found = peers(*case, args.python)
                else:
                    found = [run(*case) if args.what == "run" else plain(*case)]
                print("\n".join(map(json.dumps, found)), flush=True)


if __name__ == "__main__":
    main()
