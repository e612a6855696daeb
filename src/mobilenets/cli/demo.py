"""`mobilenets demo`: real weights learn a real task."""

from __future__ import annotations

import argparse
import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mobilenets.errors import UserError

MODEL, WEIGHTS = "mobilenet_v2", "torchvision-v1"
VAL_SHARE = 0.25  # 75/25 as in Deitsch et al. 2019 (1807.02894), who stratify by cell type too
# A cell has no up, and its cracks reach the rim: see all of it, turn it freely, crop it little.
# 192 pixels of its 300 lose nothing and leave time for half as many epochs again.
SETTINGS: dict[str, Any] = {"any_orientation": True, "crop": 1.0, "size": 192}
# The first four blocks see edges here as in ImageNet: frozen, an epoch takes half the time.
CHANGES: dict[str, Any] = {"freeze": 4, "augment.crop_scale": (0.75, 1.0), "augment.crop_ratio": (0.9, 1.1)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to put everything (default runs/demo)")
    parser.add_argument("--minutes", type=float, default=2.25, metavar="T", help="time to train (default 2.25)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the split and the training")


def write_csv(path: Path) -> Path:
    """List the photographs of the installed `elpv-dataset` as training data: path, label, stratum.

    A cell is "defective" where its published defect probability is 0.5 or more. The stratum is the cell
    type (mono- or polycrystalline), so that both halves of the split have the same mixture.

    Raises:
        UserError: the package is not installed.
    """
    package = find_spec("elpv_dataset")
    if package is None or package.origin is None:
        raise UserError("elpv-dataset is not installed; run: pip install 'mobilenets[demo]'")
    folder = Path(package.origin).parent / "data"
    with path.open("x", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "stratum"])
        for line in (folder / "labels.csv").read_text(encoding="utf-8").splitlines():
            image, probability, cell = line.split()
            rows.writerow([folder / image, "defective" if float(probability) >= 0.5 else "functional", cell])
    return path


def run(args: argparse.Namespace) -> int:
    """Train, evaluate, predict four photographs and say what to do next."""
    try:
        from mobilenets.report.sheets import save_predictions
        from mobilenets.runtime.classifier import load
        from mobilenets.training.run import new_folder, train
    except ModuleNotFoundError as missing:
        raise UserError(f"{missing.name} is not installed; run: pip install 'mobilenets[demo]'") from None

    folder = new_folder(args.out, Path("demo"))
    folder.mkdir(parents=True)
    data = write_csv(folder / "cells.csv")
    print(f"2,624 photographs of solar cells, listed in {data} (Buerhop-Lutz et al. 2018, CC BY-NC-SA 4.0)")
    print(f"{MODEL} with torchvision's ImageNet weights, {args.minutes:g} minutes of training")
    result = train(
        data,
        folder / "run",
        CHANGES,
        model=MODEL,
        weights=WEIGHTS,
        val=VAL_SHARE,
        minutes=args.minutes,
        seed=args.seed,
        **SETTINGS,
    )
    _tell_metrics(result.path, result.metrics)
    classifier = load(result.path)
    predictions = [classifier.predict(path) for path in _four(result.path / "predictions.csv")]
    for prediction in predictions:
        print(f"{Path(str(prediction.path)).name}: {prediction.label} ({prediction.probability:.3f})")
    save_predictions(predictions, folder / "predictions.png", classifier.card.preprocess.range)
    print(f"pictures   {folder / 'predictions.png'}, {result.path / 'confusion.png'}")
    print(f"report     {result.path / 'report.html'}")
    print(f"model      {result.path / 'model.onnx'} (self-contained; runs without torch)")
    print("now with your own photos, one folder per class:  mobilenets train PHOTOS")
    return 130 if result.interrupted else 0


def _tell_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    from mobilenets.weights.kept import closing_lines

    print("\n".join(closing_lines(folder, metrics)))
    print(f"always answering the larger class would be right for {_majority(metrics):.3f} of them")


def _majority(metrics: dict[str, Any]) -> float:
    return max(int(row["n"]) for row in metrics["per_class"].values()) / int(metrics["n"])


def _four(predictions: Path) -> list[str]:
    """Two validation photographs of each class, the first in the list."""
    chosen: dict[str, list[str]] = {}
    with predictions.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            chosen.setdefault(row["label"], []).append(row["path"])
    return [path for paths in chosen.values() for path in paths[:2]]
