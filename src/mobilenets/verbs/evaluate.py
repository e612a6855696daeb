"""`mobilenets.evaluate`: how right a model is on photographs with known classes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.errors import DataError, ModelFileError
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mobilenets.choices import Engine, Precision, Split
    from mobilenets.data.samples import Samples
    from mobilenets.report.unseen import Figures
    from mobilenets.runtime.predictor import Failure, Predictor, Row
    from mobilenets.system.progress import Report
    from mobilenets.tasks.classify.open_set import Answered

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """How right a model is on photos with known answers.

    Attributes
    ----------
    metrics
        The content of `evaluate --json`; of a run without the photos it was trained on. With photos of another kind
        also "unknown", how well these are told from the others.
    total
        Photos, unreadable ones among them.
    failures
        Those that could not be read.
    apart
        Of a run the figures of photos it was not trained on, of those it was, and of those that validated it; None of
        what is no run.

    Examples
    --------
    >>> import mobilenets as mn
    >>> result = mn.evaluate("runs/photos", "photos")
    >>> result.total, result.failures, result.all_trained
    (18, (), False)
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
    unknown: str | Path | Sequence[str | Path] | None = None,
    engine: Engine = "auto",
    precision: Precision = "float32",
    max_pixels: int | None = None,
    tile: int | None = None,
    progress: Report | None = None,
) -> Evaluation:
    """Measure a model on photos with known answers.

    Photos that the run was trained on, copies included, are kept apart.

    Parameters
    ----------
    model
        Run folder, exported file, `.safetensors` or published name.
    data
        Class folders, train/val folders, a CSV, shards, parquet, or photos with boxes.
    split
        Which split of data that has them: "train", "val" or "test"; None: test, else val.
    unknown
        Photos of another kind (a file, a folder, a glob, or several): how well the model tells them from those of
        `data`, which needs a run with an index.
    engine
        What runs the file; "auto": the fastest that is installed.
    precision
        "float32", "half", or "auto": half where that is faster here.
    max_pixels
        Decode at most so many pixels of a photo; None: 120 million.
    tile
        Find objects in overlapping tiles of so many pixels, 64 or more, of larger photos; 0: in whole photos; None: as
        the model was trained.
    progress
        Called with what is done, what there is in all and what it is.

    Returns
    -------
    Evaluation
        `accuracy`, and `metrics` with all figures; `to_dict()` is the content of `mobilenets evaluate --json`.

    Raises
    ------
    ModelFileError
        No such model, a damaged one, or `unknown` for one without an index.
    DataError
        No such data, classes that the model does not know, or no photo that can be read.
    UsageError
        An engine or precision that does not run this file.
    MissingExtraError
        The engine is not installed.

    Examples
    --------
    >>> import mobilenets as mn
    >>> 0 <= mn.evaluate("runs/photos", "photos").accuracy <= 1
    True
    """
    from mobilenets.data.manifest import EARLIER
    from mobilenets.data.sources.read import read_samples
    from mobilenets.data.sources.survey import Survey
    from mobilenets.report.unseen import keep_apart
    from mobilenets.runtime.readable import read_rows
    from mobilenets.runtime.tiled import outputs_of, tile_side
    from mobilenets.tasks.detect.metrics import without_boxes
    from mobilenets.tasks.objective import Objective
    from mobilenets.verbs.sources import expand, listed
    from mobilenets.verbs.stream import log_left_out, log_unreadable

    predictor = _open(str(model), engine, precision, unknown is not None)
    others_survey = Survey()
    others = expand([] if unknown is None else listed(unknown), others_survey)
    task, survey = predictor.task, Survey()
    predictor.tile = tile_side(predictor.card, tile)
    texts, samples = read_samples(
        Path(data), predictor.classes if task.labels_are_classes else None, split, survey, task
    )
    log_left_out(survey)
    known = _splits(Path(model), samples)
    shown, rows, failures = read_rows(predictor, (sample.open() for sample in samples), len(samples), "evaluating")
    if not rows:
        raise DataError(f"{data}: none of its {len(samples)} photos can be read")
    if predictor.tile is not None:
        _log_tiled(rows, predictor.tile)
    outputs, labels = outputs_of(rows), samples.labels[shown]
    figures = None
    if known is None:
        metrics = task.score(outputs, labels, texts)
    else:
        figures = keep_apart(Objective(task, texts), outputs, labels, [known[i] for i in shown])
        metrics = figures.to_dict()
    if doubt := without_boxes(metrics):
        log.warning("%s: %s", data, doubt)
    if unknown is not None and (figures is None or figures.unseen is not None):
        unseen = [i for i, k in enumerate(shown) if known is None or known[k] not in ("train", EARLIER)]
        metrics["unknown"] = _open_set(predictor, [rows[i] for i in unseen], labels[unseen], others)
        log_left_out(others_survey)
    result = Evaluation(metrics, len(samples), tuple(failures), figures)
    if result.all_trained:
        log.warning("%s was trained on all of these photos; give others to see what it is worth", model)
    log_unreadable(len(failures), len(samples))
    return result


def _open(model: str, engine: Engine, precision: Precision, tells_unknown: bool) -> Predictor[Any]:
    """The model; without its index, where it need not tell what is unknown, as what is right is counted among all.

    Raises
    ------
    UserError
        It cannot be opened, or has nothing to tell what is unknown by.
    """
    from mobilenets.verbs.model_argument import open_model

    predictor = open_model(model, engine, precision=precision)
    if not tells_unknown:
        predictor.index = None
    elif not predictor.task.labels_are_classes:
        answered = predictor.card.task
        raise ModelFileError(f"--unknown: is counted for classes alone, and {model} answers {answered!r}; leave it out")
    elif predictor.index is None:
        raise ModelFileError(f"--unknown: {model} has no index of its training photos; train again")
    return predictor


def _log_tiled(rows: list[Row], side: int) -> None:
    cut = sum(max(row.size) > side for row in rows if row.size is not None)
    log.info(
        "%d of %d photos were searched in tiles of %d pixels, the boxes merged; figures count whole photos",
        cut, len(rows), side,
    )  # fmt: skip


def _open_set(
    predictor: Predictor[Any], rows: list[Row], labels: NDArray[np.int64], paths: Iterator[str]
) -> dict[str, Any]:
    """How well `rows`, of photographs with these labels, are told from those at `paths`, of another kind.

    Raises
    ------
    UserError
        None of these can be read.
    """
    import numpy as np

    from mobilenets.runtime.readable import read_rows
    from mobilenets.tasks.classify.open_set import score_open_set

    others = read_rows(predictor, paths, None, "unknown").rows
    if not others:
        raise DataError("--unknown: none of these photos can be read; the lines above say why")
    right = np.array([row.outputs.argmax() for row in rows]) == labels
    return score_open_set(_answered(rows, predictor.accept), _answered(others, predictor.accept), right)


def _answered(rows: list[Row], accept: float) -> Answered:
    import numpy as np

    from mobilenets.features.known import is_accepted
    from mobilenets.tasks.classify.open_set import Answered

    likeness = [row.likeness for row in rows if row.likeness is not None]
    return Answered(
        np.array([one.distance for one in likeness]),
        np.array([is_accepted(one.known, accept) for one in likeness]),
        np.array([row.outputs.max() for row in rows]),
    )


def _splits(model: Path, samples: Samples) -> list[str | None] | None:
    """The split that each photograph has in the run of MODEL, None where it has none; None of what is no run."""
    from mobilenets.data.manifest import manifest_of, run_of

    run = run_of(model) if model.exists() else None
    manifest = manifest_of(run) if run is not None else None
    if manifest is None:
        if model.is_dir() and (model / "config.yaml").is_file():
            log.warning("%s: has no data.csv: which of these photos it was trained on is not known", model)
        return None
    if not manifest.hashed.any():
        log.warning("%s: was stopped before its photos were hashed: which of these it was trained on is not known", run)
        return None
    return manifest.recognise(samples)
