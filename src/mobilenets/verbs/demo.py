"""`mobilenets.demo`: real weights learn a real task."""

from __future__ import annotations

import csv
import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.errors import MissingExtraError
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.system.progress import Report
    from mobilenets.tasks.classify.answers import Prediction
    from mobilenets.verbs.run import Run

log = logging.getLogger(__name__)

MODEL, WEIGHTS = "mobilenet_v2", "torchvision-v1"
VAL_FRACTION = 0.25  # 75/25 as in Deitsch et al. 2019 (1807.02894), who stratify by cell type too
# A cell has no up, and its cracks reach the rim: see all of it, turn it freely, crop it little.
# 192 pixels of its 300 lose nothing and leave time for half as many epochs again.
SETTINGS: dict[str, Any] = {"any_orientation": True, "crop": 1.0, "size": 192}
# The first four blocks see edges here as in ImageNet: frozen, an epoch takes half the time.
CHANGES: dict[str, Any] = {"freeze": 4, "augment.crop_scale": (0.75, 1.0), "augment.crop_ratio": (0.9, 1.1)}


@dataclass(frozen=True)
class DemoResult:
    """What the demo came to.

    Attributes
    ----------
    run
        The training.
    predictions
        Of two validation photos of each class.
    sheet
        The `.png` that they are drawn on.

    Examples
    --------
    >>> import mobilenets as mn
    >>> result = mn.demo(out="runs/cells")  # doctest: +SKIP
    >>> result.run.metrics["accuracy"], [p.label for p in result.predictions]  # doctest: +SKIP
    (0.881, ['defective', 'defective', 'functional', 'functional'])
    """

    run: Run
    predictions: tuple[Prediction, ...]
    sheet: Path


@verb
def demo(
    *, out: str | Path | None = None, minutes: float = 2.25, seed: int = 0, progress: Report | None = None
) -> DemoResult:
    """Train on photos of solar cells, evaluate and predict, in under three minutes.

    Parameters
    ----------
    out
        Where to put everything, a new folder; None: runs/demo.
    minutes
        Time to train, above 0.
    seed
        Of the split and the training, 0 or more.
    progress
        Called with what is done, what there is in all and what it is.

    Returns
    -------
    DemoResult
        The run, four predictions and the picture of them.

    Raises
    ------
    UsageError
        `out` exists, or `minutes` is not a time.
    MissingExtraError
        The photos (elpv-dataset) or what trains is not installed.
    DownloadError
        The weights cannot be fetched.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.demo(minutes=1).run.path  # doctest: +SKIP
    PosixPath('runs/demo/run')
    """
    try:
        from mobilenets.report.sheets import save_predictions
        from mobilenets.runtime.opening import load
        from mobilenets.training.run import new_folder
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"{missing.name} is not installed; run: pip install 'mobilenets[demo]'") from None
    from mobilenets.verbs.train import train

    folder = new_folder(out, Path("demo"))
    folder.mkdir(parents=True)
    data = write_csv(folder / "cells.csv")
    log.info("2,624 photos of solar cells, listed in %s (Buerhop-Lutz et al. 2018, CC BY-NC-SA 4.0)", data)
    log.info("%s with torchvision's ImageNet weights, %s minutes of training", MODEL, f"{minutes:g}")
    result = train(
        data,
        out=folder / "run",
        changes=CHANGES,
        model=MODEL,
        weights=WEIGHTS,
        val=VAL_FRACTION,
        minutes=minutes,
        seed=seed,
        **SETTINGS,
    )
    classifier = load(result.path)
    predictions = [classifier.predict(path) for path in _four(result.path / "predictions.csv")]
    sheet = folder / "predictions.png"
    save_predictions(predictions, sheet, classifier.classes, classifier.card.preprocess.range)
    return DemoResult(result, tuple(predictions), sheet)


def write_csv(path: Path) -> Path:
    """List the photos of the installed `elpv-dataset` as training data: path, label, stratum.

    A cell is "defective" where its published defect probability is 0.5 or more. The stratum is the cell
    type (mono- or polycrystalline), so that both halves of the split have the same mixture.

    Raises
    ------
    MissingExtraError
        The package is not installed.
    """
    package = find_spec("elpv_dataset")
    if package is None or package.origin is None:
        raise MissingExtraError("elpv-dataset is not installed; run: pip install 'mobilenets[demo]'")
    folder = Path(package.origin).parent / "data"
    with path.open("x", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "stratum"])
        for line in (folder / "labels.csv").read_text(encoding="utf-8").splitlines():
            image, probability, cell = line.split()
            rows.writerow([folder / image, "defective" if float(probability) >= 0.5 else "functional", cell])
    return path


def _four(predictions: Path) -> list[str]:
    """Two validation photographs of each class, the first in the list."""
    chosen: dict[str, list[str]] = {}
    with predictions.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            chosen.setdefault(row["label"], []).append(row["path"])
    return [path for paths in chosen.values() for path in paths[:2]]
