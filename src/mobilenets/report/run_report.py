"""The report of a run: pictures, and one HTML page that can be sent to a colleague as it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

import numpy as np

from mobilenets._version import __version__
from mobilenets.arch import cost
from mobilenets.auditing.audit import Audit
from mobilenets.data.sample import Sample
from mobilenets.errors import ModelFileError
from mobilenets.model_card import SEARCHED_FROM, TRAINED_FROM, ModelCard
from mobilenets.report.audit_section import audit_section, faults_by_path
from mobilenets.report.calibration_section import calibration_section
from mobilenets.report.confusion import confusion_section
from mobilenets.report.gallery import Opener, figures
from mobilenets.report.page import PageImage, data_uri, percent, render
from mobilenets.report.plots import Label, draw_confusion, draw_curves, labels_of
from mobilenets.system.files import write_atomic
from mobilenets.tasks.classify.predictions import ImageAnswer, Predictions
from mobilenets.weights.kept import TEST, Kept, read_history, read_kept

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from mobilenets.explaining.gradcam import Explainer

_MAX_DRAWN = 250  # classes: beyond this the picture has less than a dozen pixels a class, and the page gets heavy
_MAX_IN_SIGHT, _WORST = 40, 15  # classes in a table at first sight: of more than 40 the 15 worst
_VERSIONS = ("torch", "onnxruntime", "numpy", "pillow")


def write_report(
    folder: Path,
    explainer: Explainer | None = None,
    *,
    latency_ms: float | None = None,
    images: Sequence[Sample] | None = None,
    audit: Audit | None = None,
) -> None:
    """Write `curves.png` (where there is a history), `confusion.png` and `report.html` into a run folder.

    The page has at most 24 photos with heat, 60 behind the matrix and 51 of what the audit found, whatever the data: it
    stays below 3 MB. A class name that no font of this system can write is replaced by its number on the picture, with
    a warning; the page has the legend.

    Parameters
    ----------
    folder
        A run that came to its end.
    explainer
        With it, photos get the network's heat beside them.
    latency_ms
        Of `model.onnx`, for one image on one thread.
    images
        Those of predictions.csv, row by row, for where these are no files.
    audit
        Of the run's data.

    Raises
    ------
    UserError
        card.json or predictions.csv is missing.

    Examples
    --------
    >>> from pathlib import Path
    >>> write_report(Path("no-such-run"))
    Traceback (most recent call last):
    mobilenets.errors.ModelFileError: no-such-run: has no card.json; a report needs a run that came to its end
    """
    card = ModelCard.from_json(_text(folder, "card.json"))
    metrics = card.metrics
    predictions = Predictions.parse(_text(folder, "predictions.csv"))
    opener, classes, value_range = _opener(images), card.classes, card.preprocess.range
    history, kept = read_history(folder / "history.csv"), read_kept(folder, metrics)
    curves = draw_curves(history, kept) if history else None
    drawn, labels = None, labels_of(classes[:_MAX_DRAWN])
    if len(classes) <= _MAX_DRAWN:
        _warn(classes, labels)
        title = ", ".join(filter(None, (kept.name, "validation")))
        drawn = draw_confusion(np.array(metrics["confusion"], np.int64), labels, title)
        write_atomic(folder / "confusion.png", drawn)
    if curves:
        write_atomic(folder / "curves.png", curves)
    faults = faults_by_path(audit) if audit else {}
    mistakes, hits = (
        figures(answers, classes, opener, explainer, faults, value_range)
        for answers in (predictions.mistakes(), predictions.doubtful_hits())
    )
    page = render(
        "run.html.j2",
        card=card,
        metrics=metrics,
        test=metrics.get(TEST),
        kept=kept,
        rivals=_rivals(metrics, kept),
        curves=PageImage(_curves_in_words(history), data_uri(curves, "png")) if curves else None,
        confusion=confusion_section(metrics, classes, labels, drawn, predictions, opener, value_range),
        worst=_worst(metrics, classes),
        mistakes=mistakes,
        hits=hits,
        has_heat=explainer is not None,
        calibration=calibration_section(metrics["accuracy"], predictions),
        audit=audit_section(audit) if audit else None,
        model=_model(card, folder, latency_ms, kept),
        folder=folder,
        is_found=SEARCHED_FROM in card.provenance and TRAINED_FROM not in card.provenance,
        versions=[f"mobilenets {__version__}", f"Python {python_version()}", *_versions()],
    )
    write_atomic(folder / "report.html", page)


def _text(folder: Path, file: str) -> str:
    try:
        return (folder / file).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ModelFileError(f"{folder}: has no {file}; a report needs a run that came to its end") from error


def _opener(images: Sequence[Sample] | None) -> Opener:
    """What reads the image of an answer: the file of its path, or what `images` has in its row."""
    if images is None:
        return lambda answer: answer.path

    def open(answer: ImageAnswer) -> Path | bytes:
        source = images[answer.row].open()
        return source if isinstance(source, Path) else source.read()

    return open


def _curves_in_words(history: dict[str, list[float]]) -> str:
    accuracy = history["val_accuracy"]
    return (
        f"loss and accuracy over {len(accuracy)} epochs: validation accuracy from {percent(accuracy[0])} to "
        f"{percent(accuracy[-1])}, at best {percent(max(accuracy))}"
    )


def _warn(classes: Sequence[str], labels: Sequence[Label]) -> None:
    absent = [text for text, label in zip(classes, labels, strict=True) if label.is_number]
    if absent:
        log.warning(
            "no installed font can write %d of the class names (%r is one): "
            "confusion.png has their numbers, report.html the names",
            len(absent),
            absent[0],
        )


def _rivals(metrics: dict[str, Any], kept: Kept) -> list[tuple[str, str, float]]:
    """(style, what, accuracy) of the model and of what it takes to beat it; the largest class comes last."""
    rows = [("us", f"this model, the {kept.beginning}" if kept.is_probe else "this model", metrics["accuracy"])]
    if kept.probe is not None and not kept.is_probe:
        rows.append(("", kept.beginning, kept.probe["val_accuracy"]))
    if kept.is_probe and kept.epochs:
        rows.append(("", f"fine-tuned, epoch {kept.best}", kept.best_accuracy))
    largest = max(figures["n"] for figures in metrics["per_class"].values())
    return [*rows, ("", "largest class", largest / metrics["n"])]


def _worst(metrics: dict[str, Any], classes: Sequence[str]) -> list[int] | None:
    """Of many classes those with the lowest F1; None where all can be in sight."""
    if len(classes) <= _MAX_IN_SIGHT:
        return None
    scored = [k for k in range(len(classes)) if metrics["per_class"][classes[k]]["n"]]
    return sorted(scored, key=lambda k: float(metrics["per_class"][classes[k]]["f1"]))[:_WORST]


def _model(card: ModelCard, folder: Path, latency_ms: float | None, kept: Kept) -> list[tuple[str, str]]:
    net, preprocess = card.net, card.preprocess
    params, macs = cost.total(net, preprocess.size)
    rows = [
        ("network", f"{net.name}, width {net.width:g}, as in {net.flavor}"),
        ("size", f"{params:,} parameters; {macs / 1e6:,.1f} million multiply-adds for one photograph"),
    ]
    if kept.describe():
        rows.append(("weights", kept.describe()))
    exported = folder / "model.onnx"
    if exported.exists():
        rows.append(("model.onnx", f"{exported.stat().st_size / 1e6:.1f} MB"))
    if latency_ms is not None:
        rows.append(
            ("latency", f"{latency_ms:.1f} ms for one picture, onnxruntime, one thread, on the training machine")
        )
    return rows


def _versions() -> list[str]:
    found = []
    for package in _VERSIONS:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found
