"""The report of a run: pictures, and one HTML page that can be sent to a colleague as it is."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

import numpy as np

from mobilenets._version import __version__
from mobilenets.arch import cost
from mobilenets.auditing.audit import Audit
from mobilenets.data.sample import Sample
from mobilenets.errors import UserError
from mobilenets.model_card import SEARCHED_FROM, TRAINED_FROM, ModelCard
from mobilenets.report.audit_section import faults, findings
from mobilenets.report.calibration_section import sureness
from mobilenets.report.confusion import confusion
from mobilenets.report.gallery import Opener, galleries
from mobilenets.report.html import name, percent, picture, table
from mobilenets.report.plots import Label, draw_confusion, draw_curves, labels_of
from mobilenets.system.files import write_atomic
from mobilenets.tasks.classify.predictions import Answer, Predictions
from mobilenets.weights.kept import TEST, Kept, read_history, read_kept

if TYPE_CHECKING:
    from mobilenets.explaining.gradcam import Explainer

_MOST_DRAWN = 250  # classes: beyond this the picture has less than a dozen pixels a class, and the page gets heavy
_MOST_CLASSES, _FEW_CLASSES = 40, 15  # in a table at first sight: of more than 40 the 15 worst
_VERSIONS = ("torch", "onnxruntime", "numpy", "pillow")


def write_report(
    folder: Path,
    explainer: Explainer | None = None,
    *,
    latency_ms: float | None = None,
    photographs: Sequence[Sample] | None = None,
    audit: Audit | None = None,
) -> None:
    """Write `curves.png` (where there is a history), `confusion.png` and `report.html` into a run folder.

    With an `explainer`, photographs get the network's heat beside them; `latency_ms` is that of `model.onnx` for one
    picture on one thread; `photographs` are those of predictions.csv, row by row, for where these are no files;
    `audit` is of the data. The page has at most 24 photographs with heat, 60 behind the matrix and 51 of what the audit
    found, whatever the data: it stays below 3 MB. A class name that no font of this system can write is replaced by its
    number on the picture, with a warning; the page has the legend.

    Raises:
        UserError: card.json, metrics.json or predictions.csv is missing.
    """
    card = ModelCard.from_json(_text(folder, "card.json"))
    metrics = json.loads(_text(folder, "metrics.json"))
    predictions = Predictions.parse(_text(folder, "predictions.csv"))
    opened = _opener(photographs)
    history, kept = read_history(folder / "history.csv"), read_kept(folder, metrics)
    curves = draw_curves(history, kept) if history else None
    drawn, labels = None, labels_of(card.classes[:_MOST_DRAWN])
    if len(card.classes) <= _MOST_DRAWN:
        _warn(card.classes, labels)
        title = ", ".join(filter(None, (kept.name, "validation")))
        drawn = draw_confusion(np.array(metrics["confusion"], np.int64), labels, title)
        write_atomic(folder / "confusion.png", drawn)
    if curves:
        write_atomic(folder / "curves.png", curves)
    body = [
        f"<h1>{name(card.name)}</h1>",
        _headline(metrics, kept),
        _figures(metrics),
        _curves(curves, history, kept) if curves else "",
        confusion(metrics, card.classes, labels, drawn, predictions, opened, card.preprocess.range),
        _per_class(metrics, card.classes),
        galleries(predictions, card.classes, opened, explainer, faults(audit) if audit else {}, card.preprocess.range),
        sureness(metrics["accuracy"], predictions),
        findings(audit) if audit else "",
        _model(card, folder, latency_ms, kept),
        _next(folder, card),
    ]
    style = files("mobilenets.report").joinpath("report.css").read_text(encoding="utf-8")
    head = (
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(card.name)}</title>\n<style>{style}</style>"
    )
    page = f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n<main>\n'
    page += "\n".join(filter(None, body)) + "\n</main>\n</body>\n</html>\n"
    write_atomic(folder / "report.html", page.encode(errors="backslashreplace"))  # a file name need not be UTF-8


def _text(folder: Path, file: str) -> str:
    try:
        return (folder / file).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{folder}: has no {file}; a report needs a run that came to its end") from error


def _opener(photographs: Sequence[Sample] | None) -> Opener:
    """What reads the photograph of an answer: the file of its path, or what `photographs` has in its row."""
    if photographs is None:
        return lambda answer: answer.path

    def opened(answer: Answer) -> Path | bytes:
        source = photographs[answer.row].open()
        return source if isinstance(source, Path) else source.read()

    return opened


def _curves(curves: bytes, history: dict[str, list[float]], kept: Kept) -> str:
    """The learning curves, and which weights each of them is of."""
    which = f"What is kept: {escape(kept.describe())}. " if kept.describe() else ""
    caption = (
        f"{which}Training: mean over the epoch, of the weights as they stood at each step, on augmented photographs. "
        "Validation: after each epoch, of the weights that would be kept (averaged, where the recipe says so)."
    )
    image = picture(curves, "png", _told(history), "curves")
    return f"<h2>Learning curves</h2>\n<div class='wide'>{image}</div>\n<p class=\"quiet\">{caption}</p>"


def _told(history: dict[str, list[float]]) -> str:
    accuracy = history["val_accuracy"]
    return (
        f"loss and accuracy over {len(accuracy)} epochs: validation accuracy from {percent(accuracy[0])} to "
        f"{percent(accuracy[-1])}, at best {percent(max(accuracy))}"
    )


def _warn(classes: Sequence[str], labels: Sequence[Label]) -> None:
    absent = [text for text, label in zip(classes, labels, strict=True) if label.is_number]
    if absent:
        print(
            f"no installed font can write {len(absent)} of the class names ({absent[0]!r} is one): "
            "confusion.png has their numbers, report.html the names",
            file=sys.stderr,
        )


def _headline(metrics: dict[str, Any], kept: Kept) -> str:
    """The accuracy, of which weights, what it is worth, and what it takes to beat it."""
    low, high = metrics["accuracy_ci95"]
    largest, most = max(((text, c["n"]) for text, c in metrics["per_class"].items()), key=lambda pair: pair[1])
    us = f"this model, the {escape(kept.beginning)}" if kept.is_probe else "this model"
    rows = [("us", us, metrics["accuracy"])]
    if kept.probe is not None and not kept.is_probe:
        rows.append(("", escape(kept.beginning), kept.probe["val_accuracy"]))
    if kept.is_probe and kept.epochs:
        rows.append(("", f"fine-tuned, epoch {kept.best}", kept.best_accuracy))
    rows.append(("", "largest class", most / metrics["n"]))
    bars = "".join(
        f'<li class="{style}"><span>{what}</span><span class="track"><i style="width:{100 * share:.1f}%"></i></span>'
        f"<b>{percent(share)}</b></li>"
        for style, what, share in rows
    )
    which = f"<p>The weights are those of {escape(kept.describe())}.</p>\n" if kept.describe() else ""
    chose = " These photographs also chose which weights are kept." if kept.is_chosen else ""
    tested = _tested(metrics[TEST]) if TEST in metrics else ""
    validation = "p" if tested else 'p class="headline"'
    return (
        f"{tested}<{validation}>{percent(metrics['accuracy'])} accuracy{' in validation' if tested else ''}</p>\n"
        f"<p>95 % interval {percent(low)} to {percent(high)}, from {metrics['n']:,} validation photographs.{chose} "
        f"Always answering {name(largest)} would be right for {percent(most / metrics['n'])}.</p>\n{which}"
        f'<ul class="against">{bars}</ul>'
    )


def _tested(test: dict[str, Any]) -> str:
    """The accuracy on the test photographs, which comes first; all else on the page is of the validation ones."""
    low, high = test["accuracy_ci95"]
    return (
        f'<p class="headline">{percent(test["accuracy"])} accuracy on the test photographs</p>\n'
        f"<p>95 % interval {percent(low)} to {percent(high)}, from {test['n']:,} photographs that chose nothing; "
        f"balanced accuracy {percent(test['balanced_accuracy'])}, log loss {test['log_loss']:.3f}. "
        "All else on this page is of the validation photographs.</p>\n"
    )


def _figures(metrics: dict[str, Any]) -> str:
    rows = [
        ("balanced accuracy", percent(metrics["balanced_accuracy"]), "mean recall: every class counts the same"),
        ("macro F1", f"{metrics['macro_f1']:.3f}", "mean over the classes"),
    ]
    if metrics.get("top5") is not None:
        rows.append(("top-5 accuracy", percent(metrics["top5"]), "the truth is among the five most probable"))
    if metrics.get("auroc") is not None:
        second = name(metrics["classes"][1])
        rows.append(("AUROC", f"{metrics['auroc']:.3f}", f"of {second}; 0.5 is chance, 1 perfect order"))
    rows.append(("log loss", f"{metrics['log_loss']:.3f}", "of the probabilities, in nats; 0 is best"))
    rows.append(("ECE", percent(metrics["ece"]), "mean distance of confidence and accuracy; 0 is best"))
    return table((), [(a, f"<b>{b}</b>", f'<span class="quiet">{c}</span>') for a, b, c in rows])


def _per_class(metrics: dict[str, Any], classes: Sequence[str]) -> str:
    """All classes; of many, those recognised worst in sight and all of them folded up."""

    def rows(chosen: Sequence[int]) -> str:
        lines = []
        for k in chosen:
            figures = metrics["per_class"][classes[k]]
            shown = ["–"] * 3  # of a class without a photograph
            if figures["n"]:
                shown = [percent(figures["precision"]), percent(figures["recall"]), f"{figures['f1']:.3f}"]
            lines.append((str(k), name(classes[k]), *shown, str(figures["n"])))
        return table(("class", "name", "precision", "recall", "F1", "photographs"), lines, 4)

    every = rows(range(len(classes)))
    if len(classes) <= _MOST_CLASSES:
        return "<h2>Classes</h2>\n" + every
    scored = [k for k in range(len(classes)) if metrics["per_class"][classes[k]]["n"]]
    worst = sorted(scored, key=lambda k: metrics["per_class"][classes[k]]["f1"])[:_FEW_CLASSES]
    return (
        f"<h2>Classes</h2>\n<p>The {_FEW_CLASSES} with the lowest F1:</p>\n{rows(worst)}\n"
        f"<details><summary>All {len(classes):,} classes</summary>{every}</details>"
    )


def _model(card: ModelCard, folder: Path, latency_ms: float | None, kept: Kept) -> str:
    net, preprocess = card.net, card.preprocess
    params, macs = cost.total(net, preprocess.size)
    rows = [
        ("network", f"{escape(net.name)}, width {net.width:g}, as in {escape(net.flavor)}"),
        ("size", f"{params:,} parameters; {macs / 1e6:,.1f} million multiply-adds for one photograph"),
    ]
    if kept.describe():
        rows.append(("weights", escape(kept.describe())))
    exported = folder / "model.onnx"
    if exported.exists():
        rows.append(("model.onnx", f"{exported.stat().st_size / 1e6:.1f} MB"))
    if latency_ms is not None:
        rows.append(
            ("latency", f"{latency_ms:.1f} ms for one picture, onnxruntime, one thread, on the training machine")
        )
    rows += [(f"started from: {escape(key)}", name(value)) for key, value in card.provenance.items()]
    rows += [(f"input: {escape(key)}", escape(str(value))) for key, value in preprocess.to_dict().items()]
    return "<h2>Model</h2>\n" + table((), rows)


def _next(folder: Path, card: ModelCard) -> str:
    again = "train this network on" if _is_found(card) else "the same training again"
    run = shlex.quote(str(folder))
    commands = (
        "# name what is on new photographs, then also draw them with their names\n"
        f"mobilenets predict {run} PHOTO.jpg\n"
        f"mobilenets predict {run} PHOTOS --save seen.png\n"
        "# see where it looks\n"
        f"mobilenets explain {run} PHOTO.jpg --save heat.png\n"
        "# score photographs that neither training nor validation has seen\n"
        f"mobilenets evaluate {run} DATA\n"
        f"# {again}\n"
        f"mobilenets train --config {shlex.quote(str(folder / 'config.yaml'))} --out NEW_FOLDER"
    )
    versions = [f"mobilenets {__version__}", f"Python {python_version()}", *_versions()]
    return f"<h2>What to run next</h2>\n<pre>{escape(commands)}</pre>\n<p class='quiet'>{', '.join(versions)}</p>"


def _is_found(card: ModelCard) -> bool:
    """Whether a search has found the network, and no run has trained it since."""
    return SEARCHED_FROM in card.provenance and TRAINED_FROM not in card.provenance


def _versions() -> list[str]:
    found = []
    for package in _VERSIONS:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found
