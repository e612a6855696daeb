"""`mobilenets.evaluate`: how right a model is on photographs with known classes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.errors import DataError
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.choices import Engine, Precision, Split
    from mobilenets.data.samples import Samples
    from mobilenets.report.unseen import Figures
    from mobilenets.runtime.predictor import Failure
    from mobilenets.system.progress import Report

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """How right a model is on `total` photographs, of which those of `failures` could not be read.

    `metrics`: the content of `evaluate --json`, of a run without the photographs it was trained on. `apart`: of a run,
    the figures of those and of the others apart.
    """

    metrics: dict[str, Any]
    total: int
    failures: tuple[Failure, ...]
    apart: Figures | None = None

    @property
    def accuracy(self) -> float:
        """The fraction of answers that are right, of a model for classes."""
        return float(self.metrics["accuracy"])

    @property
    def all_trained(self) -> bool:
        """Whether the run was trained on all of the photographs, so that this says nothing of new ones."""
        return self.apart is not None and self.apart.unseen is None

    def to_dict(self) -> dict[str, Any]:
        """The content of `mobilenets evaluate --json`."""
        return self.metrics


@verb
def evaluate(
    model: str | Path,
    data: str | Path,
    *,
    split: Split | None = None,
    engine: Engine = "auto",
    precision: Precision = "float32",
    max_pixels: int | None = None,
    progress: Report | None = None,
) -> Evaluation:
    """Measure a model on photographs with known classes.

    Parameters
    ----------
    model
        Run folder, exported file, `.safetensors` or published name.
    data
        Class folders, train/val folders, a CSV, shards or parquet.
    split
        Which part of split data; None: test, else val.
    engine
        What runs the file; "auto": the fastest that is installed.
    precision
        "float32", "half", or "auto": half where that is faster here.
    max_pixels
        Decode at most so many pixels of a picture; None: 120 million.
    progress
        Called with what is done, what there is in all and what it is.

    Raises
    ------
    UserError
        No such model or data, classes the model does not know, or no photograph that can be read.
    """
    import numpy as np

    from mobilenets.data.sources.read import read_samples
    from mobilenets.data.sources.survey import Survey
    from mobilenets.report.unseen import keep_apart
    from mobilenets.runtime.predictor import Failure
    from mobilenets.system.progress import Progress
    from mobilenets.tasks.objective import Objective
    from mobilenets.verbs.model_argument import open_model

    predictor = open_model(str(model), engine, precision=precision)
    predictor.index = None  # what is right is counted among all
    task, survey = predictor.task, Survey()
    known_classes = predictor.classes if task.labels_are_classes else None
    texts, samples = read_samples(Path(data), known_classes, split, survey, task.name)
    objective = Objective(task, texts)
    for line in survey.lines():
        log.warning("%s", line)
    known = _splits(Path(model), samples)
    rows: list[Any] = []
    shown: list[int] = []
    failures: list[Failure] = []
    with Progress("evaluating", len(samples), "photograph") as bar:
        results = predictor.rows(sample.open() for sample in samples)
        for i, (_, row) in enumerate(results):
            bar.advance()
            if isinstance(row, Failure):
                log.warning("%s", row.error)
                failures.append(row)
            else:
                rows.append(row.outputs)
                shown.append(i)
    if not rows:
        raise DataError(f"{data}: none of its {len(samples)} photographs can be read")
    outputs, labels = np.stack(rows), samples.labels[shown]
    figures = None
    if known is None:
        metrics = task.score(outputs, labels, texts)
    else:
        figures = keep_apart(objective, outputs, labels, [known[i] for i in shown])
        metrics = figures.to_dict()
    result = Evaluation(metrics, len(samples), tuple(failures), figures)
    if result.all_trained:
        log.warning("%s was trained on all of these photographs; give others to see what it is worth", model)
    if failures:
        log.warning("%d of %d could not be read", len(failures), len(samples))
    return result


def _splits(model: Path, samples: Samples) -> list[str | None] | None:
    """The split that each photograph has in the run of MODEL, None where it has none; None of what is no run."""
    from mobilenets.data.manifest import manifest_of, run_of

    run = run_of(model) if model.exists() else None
    manifest = manifest_of(run) if run is not None else None
    if manifest is None:
        return None
    if not manifest.hashed.any():
        log.warning(
            "%s: was stopped before its photographs were hashed: which of these it was trained on is not known", run
        )
        return None
    return manifest.recognise(samples)
