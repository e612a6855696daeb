"""`mobilenets train` for so many minutes: accuracy, the probe's, and the time of the whole command.

    python benchmarks/anytime.py run --keep DIR [--minutes 1 2 5 10 20] [--seeds 3] [--data cells FOLDER_OR_TAR]
    python benchmarks/anytime.py plain --keep DIR --minutes 5 --seeds 1    a plain PyTorch loop in the same time
    python benchmarks/anytime.py peers --keep DIR --minutes 5 --seeds 1 --python PEERS/bin/python    other tools
    python benchmarks/anytime.py report --keep DIR

`cells`: the demo's 2,624 photographs of solar cells, split 75/25 by label and cell type; any other data is split 75/25
by class. MobileNetV2 with torchvision's ImageNet weights, every other setting as it comes. Each run is a process of its
own, as a user starts it; the time counts from its start to its end, `before` until the plan stands (with questions,
probe and stored views), `after` from the last epoch on. A run that is in DIR is not repeated. The
figure is that of the validation photographs, which also choose among the probe and the epochs, as in all runs here:
`last epoch` is what no such choice has flattered.
`report` adds what is in DIR to `results/anytime.jsonl`, one line for each run, and makes its tables of all lines there.
Of runs before that file means alone were kept, in `docs/decisions/018-short-trainings.md`.

The plain loop trains all layers of the same network on the same split at 224 pixels: AdamW, a cosine over the steps
that fit into the time by a measurement, random crops and mirroring, batches of 32, the last weights.
It is run with each of three learning rates, and the best counts: three times the time.

fastai: `vision_learner(...).fine_tune(epochs)`, as many epochs as fit by a measurement; transformers: `Trainer` at
3e-4, as many steps; Ultralytics: its classification trainer with its `time`; AutoGluon: `MultiModalPredictor` with its
`time_limit`. All with torchvision's weights of the same network, on the same split at 224 pixels, all else as they come
(`anytime_peers.py`); the best epoch counts.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import RESULTS, processor, spread, table, write_result

VAL, RATES = 0.25, (1e-4, 3e-4, 1e-3)
MODEL, WEIGHTS = "mobilenet_v2", "torchvision-v1"
OURS, PLAIN = "mobilenets", "plain loop"
PEERS = ("fastai", "transformers", "ultralytics", "autogluon")
KEPT = RESULTS / "anytime.jsonl"


def here() -> dict[str, Any]:
    """When and where a run was made."""
    boot = Path("/proc/sys/kernel/random/boot_id")  # tells machines that are called alike from each other
    where = {"boot": boot.read_text("ascii")[:8]} if boot.exists() else {}
    return {"date": datetime.date.today().isoformat(), "machine": f"{processor()}, {os.cpu_count()} cores", **where}


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
        "who": OURS,
        "data": Path(data).stem,
        "minutes": minutes,
        "seed": seed,
        **here(),
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
    best = max(found, key=lambda f: f["accuracy"])
    figures = {"who": PLAIN, "data": Path(data).stem, "minutes": minutes, "seed": seed, **here(), **best}
    figures["of"] = {f"{f['rate']:g}": f["accuracy"] for f in found}
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


def peers(folder: Path, data: str, minutes: float, seed: int, python: Path, tools: list[str]) -> list[dict[str, Any]]:
    """What other `tools` reach, each in a process of the environment whose `python` this is."""
    from mobilenets.weights.catalog import checkpoints
    from mobilenets.weights.locate import locate

    weights = locate(next(found for found in checkpoints(MODEL) if found.tag == WEIGHTS))
    found = []
    for who in tools:
        known = folder / f"{who}-{Path(data).stem}-{minutes:g}-{seed}.json"
        if not known.exists():
            listed, made = folder / f"{Path(data).stem}-{seed}.csv", known.with_suffix(".tmp")
            _list_split(data_of(folder, data), seed, listed)
            script = Path(__file__).with_name("anytime_peers.py")
            arguments = [who, listed, minutes, weights, made]
            subprocess.run([str(python), str(script), *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
            figures = {"who": who, "data": Path(data).stem, "minutes": minutes, "seed": seed, **here()}
            known.write_text(json.dumps({**figures, **json.loads(made.read_text())}))
            made.unlink()
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
    """Keep what lies in `folder`, and make the tables of all that is kept."""
    lines = KEPT.read_text(encoding="utf-8").splitlines() if KEPT.exists() else []
    made = [json.dumps(json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]
    lines += [line for line in made if line not in lines]
    KEPT.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    runs = [json.loads(line) for line in lines]
    write_result(
        "anytime",
        "The classifier for the minutes given, MobileNetV2",
        "python benchmarks/anytime.py run --keep DIR; … report --keep DIR",
        f"{_ours(runs)}\n\n{_others(runs)}\n\n{str(__doc__).split(chr(10) * 2, 2)[2].strip()}",
        "torch",
        "openvino",
        "onnxruntime",
    )


def _cases(runs: list[dict[str, Any]]) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """The runs of the same data and minutes on the same machine."""
    cases: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in sorted(runs, key=lambda run: (run["data"], run["minutes"], run["machine"], run["date"], run["seed"])):
        cases.setdefault((run["data"], run["minutes"], run["machine"]), []).append(run)
    return cases


def _ours(runs: list[dict[str, Any]]) -> str:
    head = ["data", "minutes", "machine", "days", "runs", "accuracy", "last epoch", "probe", "below it", "seconds"]
    rows: list[list[object]] = []
    for (data, minutes, where), some in _cases([run for run in runs if run["who"] == OURS]).items():
        after = [run["after"] for run in some if run["after"] is not None]
        last = [run["last"] for run in some if run["last"] is not None]
        rows.append(
            [
                data,
                f"{minutes:g}",
                where,
                _days(some),
                len(some),
                spread([run["accuracy"] for run in some]),
                f"{statistics.mean(last):.4f}" if last else "",
                f"{statistics.mean(run['probe'] for run in some):.4f}",
                sum(run["accuracy"] < run["probe"] - 1e-9 for run in some),
                f"{min(run['seconds'] for run in some):.0f} to {max(run['seconds'] for run in some):.0f}",
                f"{statistics.mean(run['before'] for run in some):.0f}",
                f"{statistics.mean(after):.0f}" if after else "",
                some[0]["plan"],
            ]
        )
    return table([*head, "before", "after", "plan (first run)"], rows)


def _others(runs: list[dict[str, Any]]) -> str:
    """The other tools, each beside our runs of the same splits."""
    rows: list[list[object]] = []
    for (data, minutes, where), some in _cases(runs).items():
        ours = {(run.get("boot"), run["seed"]): run["accuracy"] for run in some if run["who"] == OURS}
        for who in (PLAIN, *PEERS):
            theirs = [run for run in some if run["who"] == who]
            if theirs:
                beside = [ours[key] for run in theirs if (key := (run.get("boot"), run["seed"])) in ours]
                rows.append(
                    [
                        data,
                        f"{minutes:g}",
                        where,
                        _days(theirs),
                        len(theirs),
                        who,
                        spread([run["accuracy"] for run in theirs]),
                        spread(beside) if beside else "",
                        f"{statistics.mean(run['seconds'] for run in theirs):.0f}",
                        f"{theirs[0]['images_per_s']:.0f}" if "images_per_s" in theirs[0] else "",
                    ]
                )
    head = ["data", "minutes", "machine", "days", "runs", "tool", "accuracy", "ours there", "seconds", "images/s"]
    return table(head, rows)


def _days(runs: list[dict[str, Any]]) -> str:
    first, last = min(run["date"] for run in runs), max(run["date"] for run in runs)
    return first if first == last else f"{first} to {last}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "plain", "peers", "report"])
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--data", nargs="+", default=["cells"])
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 2, 5, 10, 20])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--python", type=Path, help="of an environment with the other tools")
    parser.add_argument("--who", nargs="+", choices=PEERS, default=PEERS[:3], help="of the other tools")
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
                    found = peers(*case, args.python, args.who)
                else:
                    found = [run(*case) if args.what == "run" else plain(*case)]
                print("\n".join(map(json.dumps, found)), flush=True)


if __name__ == "__main__":
    main()
