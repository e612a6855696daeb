"""A class added later, few photos a class, and what to label next, on the four kinds of solar cells.

    python benchmarks/add_class.py [--seeds 5]

The features are those of MobileNetV2 for whole photos at 224 pixels, computed once. Added later: each kind is left out,
the others are kept as an index keeps them, and the head is fitted again with the fourth kind; beside it a probe on all
at once. Few photos: so many of each kind, drawn twenty times, accuracy on all the others. Label next: functional or
defective; typical photos first, from 40 labels on those that the probe on the labels so far is unsure of, beside
photos drawn by chance.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common import spread, table, write_result
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from mobilenets.data.loader import Loader
from mobilenets.data.sample import Sample
from mobilenets.data.samples import Samples
from mobilenets.features.images import ImageFeatures
from mobilenets.features.neighbours import unit
from mobilenets.training.label_next import typical, unsure
from mobilenets.training.probe.features import extractor, features
from mobilenets.training.probe.head import fit_head
from mobilenets.training.recipe import ProbeRecipe
from mobilenets.verbs.demo import MODEL, WEIGHTS, write_csv
from mobilenets.weights.create import create

DRAWS = 20
BUDGETS = (20, 40, 80, 160, 320)
TYPICAL_UP_TO = 40  # 20 a class, as `label-next` has it


def solar_cells() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Features (N, D), kinds (N,) and the names of the kinds."""
    with tempfile.TemporaryDirectory() as folder:
        rows = list(csv.DictReader(write_csv(Path(folder) / "cells.csv").open(encoding="utf-8")))
    names = sorted({f"{row['stratum']} {row['label']}" for row in rows})
    samples = Samples.of([Sample(Path(row["path"]), names.index(f"{row['stratum']} {row['label']}")) for row in rows])
    model = create(MODEL, weights=WEIGHTS, num_classes=2)
    preprocess = replace(model.preprocess, crop=1.0)
    extract = extractor(model, preprocess, torch.device("cpu"), exact=True)
    x, y = features(extract, Loader(samples, preprocess, 16, prefetch=0), "features")
    return x, y, names


def accuracy(x: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int) -> float:
    head = fit_head(x[train], y[train], ProbeRecipe(), seed)
    return float((head.probabilities(x[test]).argmax(1) == y[test]).mean())


def added(x: np.ndarray, y: np.ndarray, names: list[str], seeds: int) -> str:
    """Accuracy of the kept features with each kind added, and of all at once."""
    splits = [train_test_split(np.arange(len(y)), test_size=0.25, stratify=y, random_state=s) for s in range(seeds)]
    at_once = [accuracy(x, y, train, test, s) for s, (train, test) in enumerate(splits)]
    kept = ImageFeatures.of(x, y, [""] * len(y)).vectors
    rows: list[list[object]] = [["all at once", spread(at_once), ""]]
    for kind, name in enumerate(names):
        later = []
        for seed, (train, test) in enumerate(splits):
            order = np.concatenate([train[y[train] != kind], train[y[train] == kind]])  # the new ones come last
            mixed = np.where((y == kind)[:, None], x, kept)
            head = fit_head(mixed[order], y[order], ProbeRecipe(), seed)
            later.append(float((head.probabilities(x[test]).argmax(1) == y[test]).mean()))
        rows.append([f"{name} added", spread(later), f"{100 * (np.mean(later) - np.mean(at_once)):+.2f}"])
    return table(["", "accuracy", "points"], rows)


def few(x: np.ndarray, y: np.ndarray) -> str:
    """Accuracy with few photos of each kind."""
    rows: list[list[object]] = []
    for count in (2, 5, 10, 20):
        found = []
        for draw in range(DRAWS):
            rng = np.random.default_rng(draw)
            train = np.concatenate([rng.choice(np.flatnonzero(y == k), count, replace=False) for k in range(4)])
            found.append(accuracy(x, y, train, np.setdiff1d(np.arange(len(y)), train), draw))
        rows.append([count, spread(found)])
    return table(["photos of each kind", "accuracy"], rows)


def label_next(x: np.ndarray, y: np.ndarray, seeds: int) -> str:
    """Accuracy with so many labels, chosen and drawn by chance."""
    by_chance: list[list[float]] = [[] for _ in BUDGETS]
    chosen: list[list[float]] = [[] for _ in BUDGETS]
    for seed in range(seeds):
        pool, test = train_test_split(np.arange(len(y)), test_size=0.25, stratify=y, random_state=seed)
        rows, order = unit(x[pool]), np.random.default_rng(seed).permutation(len(pool))
        labelled = np.zeros(0, np.int64)
        for i, budget in enumerate(BUDGETS):
            by_chance[i].append(accuracy(x, y, pool[order[:budget]], test, seed))
            more = budget - len(labelled)
            free = np.setdiff1d(np.arange(len(pool)), labelled)
            if budget <= TYPICAL_UP_TO:
                new = typical(rows[free], rows[labelled], more, seed)
            else:
                head = fit_head(x[pool[labelled]], y[pool[labelled]], ProbeRecipe(), seed)
                new = unsure(rows[free], head.probabilities(x[pool[free]]), more, seed)
            labelled = np.concatenate([labelled, free[new]])
            chosen[i].append(accuracy(x, y, pool[labelled], test, seed))
    lines = [
        [budget, spread(a), spread(b), f"{100 * (np.mean(b) - np.mean(a)):+.1f}"]
        for budget, a, b in zip(BUDGETS, by_chance, chosen, strict=True)
    ]
    return table(["labels", "by chance", "typical, then unsure", "points"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--features", type=Path, metavar="NPZ", help="features of an earlier run")
    args = parser.parse_args()
    if args.features and args.features.exists():
        kept = np.load(args.features)
        x, y, names = kept["x"], kept["y"], ["mono defective", "mono functional", "poly defective", "poly functional"]
    else:
        x, y, names = solar_cells()
    defective = np.array(["defective" in name for name in names], np.int64)[y]
    with threadpool_limits(1):
        body = "## Label next: functional or defective\n\n" + label_next(x, defective, args.seeds)
        print(body, flush=True)
        body = "## Few photos\n\n" + few(x, y) + "\n\n" + body
        print(body, flush=True)
        body = "## A kind added later\n\n" + added(x, y, names, args.seeds) + "\n\n" + body
    write_result(
        "add_class",
        "A class added later, few photos, and what to label next: solar cells, MobileNetV2",
        f"python benchmarks/add_class.py --seeds {args.seeds}",
        body,
        "torch",
        "scikit-learn",
    )


if __name__ == "__main__":
    main()
