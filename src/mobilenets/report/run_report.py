"""The report of a run: pictures, and one HTML page that can be sent to a colleague as it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING

from mobilenets._version import __version__
from mobilenets.arch import cost
from mobilenets.auditing.audit import Audit
from mobilenets.data.sample import Sample
from mobilenets.errors import ModelFileError
from mobilenets.model_card import CLASSIFY, SEARCHED_FROM, TRAINED_FROM, ModelCard
from mobilenets.report.answer_pages import answer_pages
from mobilenets.report.answers import Answered
from mobilenets.report.audit_section import audit_section
from mobilenets.report.page import PageImage, data_uri, percent, render
from mobilenets.report.plots import draw_curves
from mobilenets.system.files import write_atomic
from mobilenets.weights.kept import TEST, Kept, quality_of, read_history, read_kept

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from mobilenets.explaining.gradcam import Explainer

_VERSIONS = ("torch", "onnxruntime", "numpy", "pillow")


def write_report(
    folder: Path,
    explainer: Explainer | None = None,
    *,
    latency_ms: float | None = None,
    images: Sequence[Sample] | None = None,
    audit: Audit | None = None,
) -> None:
    """Write `curves.png` (where there is a history), `report.html` and what the task has into a run folder.

    The page has at most 24 photos with heat, 60 behind the matrix and 51 of what the audit found, whatever the data: it
    stays below 3 MB.

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
    predictions = _text(folder, "predictions.csv")
    history, kept = read_history(folder / "history.csv"), read_kept(folder, metrics)
    curves = draw_curves(history, kept) if history else None
    if curves:
        write_atomic(folder / "curves.png", curves)
    answers = answer_pages(Answered(folder, card, kept, predictions, images, explainer, audit))
    page = render(
        "run.html.j2",
        card=card,
        metrics=metrics,
        test=metrics.get(TEST),
        kept=kept,
        curves=PageImage(_curves_in_words(history), data_uri(curves, "png")) if curves else None,
        answers=answers.templates,
        audit=audit_section(audit) if audit else None,
        model=_model(card, folder, latency_ms, kept),
        folder=folder,
        is_explained=card.task == CLASSIFY,
        is_found=SEARCHED_FROM in card.provenance and TRAINED_FROM not in card.provenance,
        **answers.values,
        versions=[f"mobilenets {__version__}", f"Python {python_version()}", *_versions()],
    )
    write_atomic(folder / "report.html", page)


def _text(folder: Path, file: str) -> str:
    try:
        return (folder / file).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ModelFileError(f"{folder}: has no {file}; a report needs a run that came to its end") from error


def _curves_in_words(history: dict[str, list[float]]) -> str:
    name = quality_of(history)
    quality = history[f"val_{name}"]
    return (
        f"loss and {name} over {len(quality)} epochs: validation {name} from {percent(quality[0])} to "
        f"{percent(quality[-1])}, at best {percent(max(quality))}"
    )


def _model(card: ModelCard, folder: Path, latency_ms: float | None, kept: Kept) -> list[tuple[str, str]]:
    net, preprocess = card.net, card.preprocess
    params, macs = cost.total(net, preprocess.size)
    rows = [
        ("network", f"{net.name}, width {net.width:g}, as in {net.flavor}"),
        ("size", f"{params:,} parameters; {macs / 1e6:,.1f} million multiply-adds for one photo"),
    ]
    if kept.describe():
        rows.append(("weights", kept.describe()))
    exported = folder / "model.onnx"
    if exported.exists():
        rows.append(("model.onnx", f"{exported.stat().st_size / 1e6:.1f} MB"))
    if latency_ms is not None:
        rows.append(("latency", f"{latency_ms:.1f} ms for one photo, onnxruntime, one thread, on the training machine"))
    return rows


def _versions() -> list[str]:
    found = []
    for package in _VERSIONS:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found
