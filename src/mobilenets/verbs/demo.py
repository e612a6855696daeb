"""`mobilenets.demo`: real weights learn a real task."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.errors import MissingExtraError, UsageError
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.choices import Demo
    from mobilenets.system.progress import Report
    from mobilenets.tasks.task import Answer
    from mobilenets.verbs.run import Run

log = logging.getLogger(__name__)

MODEL, WEIGHTS = "mobilenet_v2", "torchvision-v1"
VAL_FRACTION = 0.25  # 75/25 as in Deitsch et al. 2019 (1807.02894), who stratify by cell type too
# A cell has no up, and its cracks reach the rim: see all of it, turn it freely, crop it little.
# 192 pixels of its 300 lose nothing and leave time for half as many epochs again.
SETTINGS: dict[str, Any] = {"any_orientation": True, "crop": 1.0, "size": 192}
CHANGES: dict[str, Any] = {"augment.crop_scale": (0.75, 1.0), "augment.crop_ratio": (0.9, 1.1)}


@dataclass(frozen=True)
class DemoResult:
    """What the demo came to.

    Attributes
    ----------
    run
        The training.
    predictions
        Of two validation photos of each class, a `Prediction` each; of the one with trees, a `Detection`.
    sheet
        The `.png` that they are drawn on.

    Examples
    --------
    >>> import mobilenets as mn
    >>> result = mn.demo(out="runs/cells")  # doctest: +SKIP
    >>> result.run.metrics["accuracy"], [p.label for p in result.predictions]  # doctest: +SKIP
    (0.857, ['defective', 'defective', 'functional', 'functional'])
    """

    run: Run
    predictions: tuple[Answer, ...]
    sheet: Path


@verb
def demo(
    *,
    task: Demo = "classify",
    out: str | Path | None = None,
    minutes: float | None = None,
    seed: int = 0,
    progress: Report | None = None,
) -> DemoResult:
    """Train on real photos, evaluate and predict, in under three minutes; to find trees, under five.

    Parameters
    ----------
    task
        "classify": which of 2,624 solar cells are defective; "detect": where the trees are on two photos from the air.
    out
        Where to put everything, a new folder; None: runs/demo.
    minutes
        Time to train, above 0; None: 2.25, for trees 3.5.
    seed
        Of the split and the training, 0 or more.
    progress
        Called with what is done, what there is in all and what it is.

    Returns
    -------
    DemoResult
        The run, its predictions and the picture of them.

    Raises
    ------
    UsageError
        `out` exists, `minutes` is not a time, or there is no such task.
    MissingExtraError
        The photos (elpv-dataset) or what trains is not installed.
    DownloadError
        The weights, or the photos of trees (deepforest on PyPI, MIT), cannot be fetched.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.demo(minutes=1).run.path  # doctest: +SKIP
    PosixPath('runs/demo/run')
    """
    if task not in DEMOS:
        raise UsageError(f"--task: there is no demo of {task!r}; use {' or '.join(DEMOS)}")
    try:
        from mobilenets.training.run import new_folder
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"{missing.name} is not installed; run: pip install 'mobilenets[demo]'") from None
    folder = new_folder(out, Path("demo"))
    folder.mkdir(parents=True)
    usual, shown = DEMOS[task]
    return shown(folder, usual if minutes is None else minutes, seed)


def _cells(folder: Path, minutes: float, seed: int) -> DemoResult:
    """Solar cells: defective, or not."""
    from mobilenets.report.sheets import save_predictions
    from mobilenets.runtime.opening import load
    from mobilenets.verbs.train import train

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
    save_predictions(predictions, sheet, classifier.classes, classifier.card.preprocess)
    return DemoResult(result, tuple(predictions), sheet)


def _trees(folder: Path, minutes: float, seed: int) -> DemoResult:
    """Trees: where they are on a photograph that was not trained on."""
    from mobilenets.data.trees import TILE, write_trees
    from mobilenets.runtime.predictor import Failure
    from mobilenets.verbs.predict import predict
    from mobilenets.verbs.train import train

    data = write_trees(folder / "trees.csv")
    log.info("two photos of Yellowstone from the air (NEON), listed in %s; boxes of Weinstein et al. 2019", data)
    log.info("%s with torchvision's ImageNet weights, %s minutes of training", MODEL, f"{minutes:g}")
    result = train(
        data, out=folder / "run", model=MODEL, weights=WEIGHTS, tile=TILE, any_orientation=True, minutes=minutes,
        seed=seed,
    )  # fmt: skip
    with data.open(newline="", encoding="utf-8") as file:
        (photo,) = {row["path"] for row in csv.DictReader(file) if row["split"] == "val"}
    sheet = folder / "predictions.png"
    answers = [answer for answer in predict(result.path, photo, save=sheet) if not isinstance(answer, Failure)]
    return DemoResult(result, tuple(answers), sheet)


DEMOS: dict[str, tuple[float, Callable[[Path, float, int], DemoResult]]] = {
    "classify": (2.25, _cells),
    "detect": (3.5, _trees),
}


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
    """Two validation photographs of each class, from a third and two thirds of the list: it begins with odd cells."""
    chosen: dict[str, list[str]] = {}
    with predictions.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            chosen.setdefault(row["label"], []).append(row["path"])
    return [paths[len(paths) * part // 3] for paths in chosen.values() for part in (1, 2)]
