"""The probe on the demo's photographs: mean accuracy over split seeds and the time for all of them.

    python benchmarks/probe.py [--seeds 5]

The features of all photographs are computed once with the frozen network; each seed then splits 75/25
(stratified by label and cell type), chooses the regularisation inside its training part, fits the head and
scores it. The time is that of everything after the imports: decoding, export, features and all heads. Beside it,
how far the features of some photographs are from those in float32.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common import spread, table, write_result

from mobilenets.data.loader import Loader
from mobilenets.data.samples import Samples
from mobilenets.data.sources.read import read_splits
from mobilenets.preprocess import Preprocess
from mobilenets.tasks.classify.metrics import score
from mobilenets.training.probe.features import Extractor, extractor, features
from mobilenets.training.probe.head import fit_head
from mobilenets.training.recipe import ProbeRecipe
from mobilenets.verbs.demo import MODEL, SETTINGS, VAL_FRACTION, WEIGHTS, write_csv
from mobilenets.weights.create import create

COMPARED = 128  # photographs


def difference(fast: Extractor, exact: Extractor, samples: Samples, preprocess: Preprocess) -> float:
    """Root mean square of the difference on some photographs, as a share of the features' own."""
    pixels = next(Loader(samples.spread(COMPARED), preprocess, COMPARED).epoch(0)).pixels
    features = exact(pixels)
    return float(np.sqrt(np.square(fast(pixels) - features).mean() / np.square(features).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    recipe = ProbeRecipe()
    rows: list[list[object]] = []
    figures: dict[str, list[float]] = {"accuracy": [], "balanced": [], "macro F1": [], "AUROC": []}
    with tempfile.TemporaryDirectory() as folder:
        data = write_csv(Path(folder) / "cells.csv")
        start = time.monotonic()
        model = create(MODEL, weights=WEIGHTS, num_classes=2)
        preprocess = replace(model.preprocess, size=SETTINGS["size"], crop=SETTINGS["crop"])
        splits = read_splits(data, val=VAL_FRACTION, seed=0)
        samples = Samples.of([*splits.train, *splits.val])
        extract = extractor(model, preprocess, torch.device("cpu"))
        x, _ = features(extract, Loader(samples, preprocess, recipe.batch_size, prefetch=0), "features", recipe.flip)
        row_of = {sample.path: i for i, sample in enumerate(samples)}
        feature_s = time.monotonic() - start
        for seed in range(args.seeds):
            splits = read_splits(data, val=VAL_FRACTION, seed=seed)
            train, val = ([row_of[s.path] for s in part] for part in (splits.train, splits.val))
            labels = [[s.label for s in part] for part in (splits.train, splits.val)]
            head = fit_head(x[train], torch.tensor(labels[0]).numpy(), recipe, seed)
            m = score(head.probabilities(x[val]), torch.tensor(labels[1]).numpy(), splits.classes)
            seen = [m["accuracy"], m["balanced_accuracy"], m["macro_f1"], m["auroc"]]
            for values, value in zip(figures.values(), seen, strict=True):
                values.append(value)
            rows.append([seed, f"{head.strength:g}", *(f"{v:.4f}" for v in seen)])
    total_s = time.monotonic() - start
    off = difference(extract, extractor(model, preprocess, torch.device("cpu"), exact=True), samples, preprocess)
    rows.append(["mean ± sd", "", *(spread(v) for v in figures.values())])
    rate = len(samples) / feature_s
    write_result(
        "probe",
        "Linear probe on solar cells, MobileNetV2",
        f"python benchmarks/probe.py --seeds {args.seeds}",
        table(["split seed", "C", *figures], rows)
        + f"\n\nAll seeds together: {total_s:.1f} s, of which features {feature_s:.1f} s ({rate:.0f} images/s).\n\n"
        + f"The features are {off:.1%} (root mean square) off those in float32.",
        "torch",
        "onnxruntime",
        "openvino",
        "scikit-learn",
    )


if __name__ == "__main__":
    main()
