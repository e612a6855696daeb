"""`auto` on the demo's photographs: accuracy over split seeds, and the time each training takes.

    python benchmarks/finetune.py [--seeds 3] [--minutes 7] [--out DIR]

2,624 cells of the ELPV data, "defective" from a defect probability of 0.5, 75/25 split stratified by label
and cell type, MobileNetV2 with torchvision's ImageNet weights; the settings of `mobilenets demo`, but pictures
of 256 pixels instead of 192, for which there is time here. The weights kept are those of the epoch that
validates best, as the tutorial kept them; the last epoch's accuracy stands beside, since picking the best
of several looks at the validation part is a little optimistic. Published on other splits of the same data:
SVM 0.8244, VGG-19 0.8842 (Deitsch et al. 2019).
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from pathlib import Path

from common import spread, table, write_result

import mobilenets as mn
from mobilenets.verbs.demo import CHANGES, MODEL, SETTINGS, VAL_FRACTION, WEIGHTS, write_csv

SIZE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=7)
    parser.add_argument("--out", type=Path, help="keep the run folders here")
    args = parser.parse_args()
    rows: list[list[object]] = []
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        data = write_csv(folder / "cells.csv")
        for seed in range(args.seeds):
            start = time.monotonic()
            run = mn.train(
                data,
                out=folder / f"run{seed}",
                changes=CHANGES,
                model=MODEL,
                weights=WEIGHTS,
                val=VAL_FRACTION,
                minutes=args.minutes,
                seed=seed,
                **(SETTINGS | {"size": SIZE}),
            )
            minutes = (time.monotonic() - start) / 60
            history = list(csv.DictReader((run.path / "history.csv").open(encoding="utf-8")))
            m = run.metrics
            seen = {
                "accuracy": m["accuracy"],
                "last epoch": float(history[-1]["val_accuracy"]),
                "balanced": m["balanced_accuracy"],
                "F1 (defective)": m["per_class"]["defective"]["f1"],
                "macro F1": m["macro_f1"],
                "AUROC": m["auroc"],
                "minutes": minutes,
                "images/s": statistics.median(float(h["images_per_s"]) for h in history),
            }
            for name, value in seen.items():
                figures.setdefault(name, []).append(value)
            rows.append([seed, len(history), *(f"{v:.4f}" if v < 2 else f"{v:.1f}" for v in seen.values())])
            print(rows[-1], flush=True)
    rows.append(["mean ± sd", "", *(spread(v, 4 if max(v) < 2 else 1) for v in figures.values())])
    write_result(
        "finetune",
        "Fine-tuning on solar cells, MobileNetV2",
        f"python benchmarks/finetune.py --seeds {args.seeds} --minutes {args.minutes:g}",
        table(["split seed", "epochs", *figures], rows) + "\n\n" + str(__doc__).split("\n\n", 2)[2].strip(),
        "torch",
        "onnxruntime",
    )


if __name__ == "__main__":
    main()
