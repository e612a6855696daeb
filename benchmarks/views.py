"""Whether activations kept behind frozen blocks pay: the demo's training with and without them, in the same time.

    python benchmarks/views.py [--minutes 2.25] [--views 0 4] [--seeds 1] [--keep DIR]

The settings of `mobilenets demo`: MobileNetV2 at 192 pixels, the first four blocks frozen, 2,624 cells of the ELPV
data, 75/25 split. `views` 0 augments and runs the frozen blocks anew in every epoch; 4 keeps their activations for
four augmented views of each photograph, and has the time that this saves for more epochs. With `--keep`, trainings
that are in DIR already are not repeated.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from pathlib import Path

from common import table, write_result

from mobilenets.training.run import train
from mobilenets.verbs.demo import CHANGES, MODEL, SETTINGS, VAL_FRACTION, WEIGHTS, write_csv


def one_run(folder: Path, views: int, seed: int, minutes: float) -> list[object]:
    out = folder / f"views{views}-seed{seed}"
    if not (out / "minutes.txt").exists():
        data = folder / "cells.csv"
        if not data.exists():
            write_csv(data)
        start = time.monotonic()
        changes = CHANGES | {"freeze": 4, "views": views}
        options = SETTINGS | {"model": MODEL, "weights": WEIGHTS, "val": VAL_FRACTION, "minutes": minutes, "seed": seed}
        train(data, out, changes, **options)
        (out / "minutes.txt").write_text(f"{(time.monotonic() - start) / 60:.2f}")
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    history = list(csv.DictReader((out / "history.csv").open(encoding="utf-8")))
    rate = statistics.median(float(h["images_per_s"]) for h in history)
    figures = [f"{metrics[name]:.4f}" for name in ("accuracy", "balanced_accuracy", "auroc")]
    return [views, seed, len(history), f"{rate:.0f}", *figures, (out / "minutes.txt").read_text()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.25)
    parser.add_argument("--views", type=int, nargs="+", default=[0, 4])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [one_run(folder, v, s, args.minutes) for s in range(args.seeds) for v in args.views]
    header = ["views", "seed", "epochs", "images/s", "accuracy", "balanced", "AUROC", "minutes"]
    command = f"python benchmarks/views.py --minutes {args.minutes:g} --views {' '.join(map(str, args.views))}"
    body = table(header, rows) + "\n\n" + str(__doc__).split("\n\n", 2)[2].strip()
    write_result("views", "Activations kept behind frozen blocks", command, body, "torch", "onnxruntime")


if __name__ == "__main__":
    main()
