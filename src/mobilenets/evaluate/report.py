"""The report of a run: pictures, and one HTML page that can be sent to a colleague as it is."""

from __future__ import annotations

import csv
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

from mobilenets import __version__
from mobilenets.artifact import ModelCard, write_atomic
from mobilenets.errors import UserError
from mobilenets.evaluate.calibration import calibrate, coverage, reliability, threshold_for
from mobilenets.evaluate.charts import coverage_chart, reliability_chart
from mobilenets.evaluate.gallery import cells, gallery
from mobilenets.evaluate.html import name, percent, picture, table
from mobilenets.evaluate.plots import Label, draw_confusion, draw_curves, labels_of
from mobilenets.evaluate.predictions import Predictions
from mobilenets.spec import cost

if TYPE_CHECKING:
    from mobilenets.evaluate.explain import Explainer

_MOST_CONFUSIONS = 15
_MOST_IN_TABLE = 12  # classes: a larger matrix is a picture
_MOST_DRAWN = 250  # classes: beyond this the picture has less than a dozen pixels a class, and the page gets heavy
_PRECISIONS = (0.9, 0.95, 0.99)
_VERSIONS = ("torch", "onnxruntime", "numpy", "pillow")


def write_report(folder: Path, explainer: Explainer | None = None, latency_ms: float | None = None) -> None:
    """Write `curves.png` (where there is a history), `confusion.png` and `report.html` into a run folder.

    With an `explainer`, photographs get the network's heat beside them; `latency_ms` is that of `model.onnx` for one
    picture on one thread. The page has at most 24 photographs with heat and 60 behind the matrix, whatever the data:
    it stays below 3 MB. A class name that no font of this system can write is replaced by its number on the picture,
    with a warning; the page has the legend.

    Raises:
        UserError: card.json, metrics.json or predictions.csv is missing.
    """
    card = ModelCard.from_json(_text(folder, "card.json"))
    metrics = json.loads(_text(folder, "metrics.json"))
    predictions = Predictions.parse(_text(folder, "predictions.csv"))
    history = _history(folder / "history.csv")
    curves = draw_curves(history) if history else None
    drawn, labels = None, labels_of(card.classes[:_MOST_DRAWN])
    if len(card.classes) <= _MOST_DRAWN:
        _warn(card.classes, labels)
        drawn = draw_confusion(np.array(metrics["confusion"], np.int64), labels)
        write_atomic(folder / "confusion.png", drawn)
    if curves:
        write_atomic(folder / "curves.png", curves)
    body = [
        f"<h1>{name(card.name)}</h1>",
        _headline(metrics, _probe(folder)),
        _figures(metrics),
        f"<h2>Learning curves</h2>\n<div class='wide'>{picture(curves, 'png', _told(history), 'curves')}</div>"
        if curves
        else "",
        _confusion(metrics, card.classes, labels, drawn, predictions),
        _per_class(metrics, card.classes),
        _galleries(predictions, card.classes, explainer),
        _sureness(metrics, predictions),
        _model(card, folder, latency_ms),
        _next(folder),
    ]
    style = files("mobilenets.evaluate").joinpath("report.css").read_text(encoding="utf-8")
    head = (
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(card.name)}</title>\n<style>{style}</style>"
    )
    page = f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n<main>\n'
    write_atomic(folder / "report.html", page + "\n".join(filter(None, body)) + "\n</main>\n</body>\n</html>\n")


def _text(folder: Path, file: str) -> str:
    try:
        return (folder / file).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{folder}: has no {file}; a report needs a run that came to its end") from error


def _history(path: Path) -> dict[str, list[float]]:
    """The columns of history.csv; empty without an epoch: a probe trains no network."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return {column: [float(row[column]) for row in rows] for column in names} if rows else {}


def _told(history: dict[str, list[float]]) -> str:
    accuracy = history["val_accuracy"]
    return (
        f"loss and accuracy over {len(accuracy)} epochs: validation accuracy from {percent(accuracy[0])} to "
        f"{percent(accuracy[-1])}, at best {percent(max(accuracy))}"
    )


def _probe(folder: Path) -> float | None:
    """Validation accuracy of the linear probe the training started from; None where there was none."""
    path = folder / "probe.json"
    return float(json.loads(path.read_text(encoding="utf-8"))["val_accuracy"]) if path.exists() else None


def _warn(classes: Sequence[str], labels: Sequence[Label]) -> None:
    absent = [text for text, label in zip(classes, labels, strict=True) if label.is_number]
    if absent:
        print(
            f"no installed font can write {len(absent)} of the class names ({absent[0]!r} is one): "
            "confusion.png has their numbers, report.html the names",
            file=sys.stderr,
        )


def _headline(metrics: dict[str, Any], probe: float | None) -> str:
    """The accuracy, what it is worth, and what it takes to beat it."""
    low, high = metrics["accuracy_ci95"]
    largest, most = max(((text, c["n"]) for text, c in metrics["per_class"].items()), key=lambda pair: pair[1])
    rows = [("us", "this model", metrics["accuracy"])]
    if probe is not None:
        rows.append(("", "linear probe", probe))
    rows.append(("", "largest class", most / metrics["n"]))
    bars = "".join(
        f'<li class="{style}"><span>{what}</span><span class="track"><i style="width:{100 * share:.1f}%"></i></span>'
        f"<b>{percent(share)}</b></li>"
        for style, what, share in rows
    )
    return (
        f'<p class="headline">{percent(metrics["accuracy"])} accuracy</p>\n'
        f"<p>95 % interval {percent(low)} to {percent(high)}, from {metrics['n']} validation photographs. "
        f"Always answering {name(largest)} would be right for {percent(most / metrics['n'])}.</p>\n"
        f'<ul class="against">{bars}</ul>'
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


def _confusion(
    metrics: dict[str, Any],
    classes: Sequence[str],
    labels: Sequence[Label],
    drawn: bytes | None,
    predictions: Predictions,
) -> str:
    counts = np.array(metrics["confusion"], np.int64)
    pairs = _pairs(counts)
    small = len(classes) <= _MOST_IN_TABLE
    hits = [(k, k) for k in range(len(classes)) if counts[k, k]] if small else []
    behind = cells(predictions, classes, [*(pairs if small else pairs[:_MOST_CONFUSIONS]), *hits])
    parts = ['<h2 id="matrix">Confusion matrix</h2>']
    if small:
        parts.append('<p class="quiet">Rows: the truth. Columns: the answer. A number leads to its photographs.</p>')
        parts.append(_matrix(counts, classes, behind))
    if drawn:
        image = picture(drawn, "png", _most_confused(pairs, counts, classes))
        caption = '<p class="quiet">Number: photographs. Colour: their share of the true class.</p>'
        legend = [f"{label.text}: {name(n)}" for n, label in zip(classes, labels, strict=True) if label.is_number]
        caption += f"<p>On the picture, {', '.join(legend)}.</p>" if legend else ""
        block = f'<div class="wide">{image}</div>{caption}'
        parts.append(f"<details><summary>The matrix as a picture</summary>{block}</details>" if small else block)
    parts.append("<h2>Most frequent confusions</h2>")
    truths = counts.sum(1)
    rows = [
        (
            name(classes[t]),
            name(classes[p]),
            f'<a href="#c{t}-{p}">{counts[t, p]}</a>' if (t, p) in behind else str(counts[t, p]),
            percent(counts[t, p] / truths[t]),
        )
        for t, p in pairs[:_MOST_CONFUSIONS]
    ]
    header = ("truth", "taken for", "photographs", "of the class")
    parts.append(table(header, rows, 2) if rows else "<p>None: every photograph was recognised.</p>")
    return "\n".join([*parts, *behind.values()])


def _pairs(counts: np.ndarray) -> list[tuple[int, int]]:
    """(truth, answer) of everything that was confused, the most frequent first."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")
    found = [divmod(int(i), len(counts)) for i in order[: np.count_nonzero(wrong)]]
    return found


def _most_confused(pairs: Sequence[tuple[int, int]], counts: np.ndarray, classes: Sequence[str]) -> str:
    said = [f"{counts[t, p]} × {classes[t]} taken for {classes[p]}" for t, p in pairs[:3]]
    return f"confusion matrix: {'; '.join(said) or 'every photograph was recognised'}"


def _matrix(counts: np.ndarray, classes: Sequence[str], behind: dict[tuple[int, int], str]) -> str:
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))

    def cell(t: int, p: int) -> str:
        said = f'aria-label="{counts[t, p]} × {escape(classes[t])} answered {escape(classes[p])}"'
        inner = f'<a href="#c{t}-{p}" {said}>{counts[t, p]}</a>' if (t, p) in behind else f"<span>{counts[t, p]}</span>"
        return f'<td style="--share:{shares[t, p]:.3f}">{inner}</td>'

    head = "".join(f'<th scope="col">{name(text)}</th>' for text in classes)
    lines = [
        f'<tr><th scope="row">{name(text)}</th>{"".join(cell(t, p) for p in range(len(classes)))}</tr>'
        for t, text in enumerate(classes)
    ]
    return (
        f'<div class="wide"><table class="matrix"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _per_class(metrics: dict[str, Any], classes: Sequence[str]) -> str:
    rows = []
    for k, text in enumerate(classes):
        figures = metrics["per_class"][text]
        shares = [percent(figures[key]) for key in ("precision", "recall")]
        rows.append((str(k), name(text), *shares, f"{figures['f1']:.3f}", str(figures["n"])))
    header = ("class", "name", "precision", "recall", "F1", "photographs")
    return "<h2>Classes</h2>\n" + table(header, rows, 4)


def _galleries(predictions: Predictions, classes: Sequence[str], explainer: Explainer | None) -> str:
    heat = " Beside each, where the network looks: yellow speaks most for its answer (Grad-CAM)." if explainer else ""
    parts = []
    mistakes, hits = predictions.mistakes(), predictions.doubtful_hits()
    if mistakes:
        parts.append(
            f'<h2>Most confident mistakes</h2>\n<p class="quiet">Wrong labels are often among these.{heat}</p>'
        )
        parts.append(gallery(mistakes, classes, explainer))
    if hits:
        parts.append('<h2>Least confident hits</h2>\n<p class="quiet">Right, but only just.</p>')
        parts.append(gallery(hits, classes, explainer).replace("<figure>", '<figure class="hit">'))
    return "\n".join(parts)


def _sureness(metrics: dict[str, Any], predictions: Predictions) -> str:
    """Whether a stated confidence can be believed, and what answering only when sure would bring."""
    probabilities, labels = predictions.probabilities, predictions.labels
    result, curve = calibrate(probabilities, labels), coverage(probabilities, labels)
    said = f"The calibration error is {percent(result.before)}."
    if result.temperature is not None and result.after is not None:
        side = "too sure" if result.temperature > 1 else "not sure enough"
        said += (
            f" With temperature scaling it is {percent(result.after)}, each photograph scaled by a temperature fitted "
            f"on the half it is not in. Fitted on all, the temperature is {result.temperature:.2f}: it is {side}. "
            "The probabilities of model.onnx are as they were; divide their logarithms by it and normalise."
        )
    rows = []
    for precision in _PRECISIONS:
        found = threshold_for(curve, precision) if precision > metrics["accuracy"] else None
        if found:
            rows.append((f"{100 * precision:.0f} %", percent(found[0]), percent(found[1])))
    header = ("for this share of right answers", "answer when at least so sure", "answers this share")
    parts = [
        "<h2>How sure it is</h2>",
        f"<p>{said}</p>",
        f'<div class="charts">{reliability_chart(reliability(probabilities, labels))}{coverage_chart(curve)}</div>',
    ]
    if rows:
        parts.append("<h3>Answering only when sure</h3>")
        parts.append(table(header, rows, 2))
        parts.append('<p class="quiet">Chosen on these photographs, so a little flattering for new ones.</p>')
    return "\n".join(parts)


def _model(card: ModelCard, folder: Path, latency_ms: float | None) -> str:
    net, preprocess = card.net, card.preprocess
    params, macs = cost.total(net, preprocess.size)
    rows = [
        ("network", f"{escape(net.name)}, width {net.width:g}, as in {escape(net.flavor)}"),
        ("size", f"{params:,} parameters; {macs / 1e6:,.1f} million multiply-adds for one photograph"),
    ]
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


def _next(folder: Path) -> str:
    run = shlex.quote(str(folder))
    commands = (
        "# name what is on new photographs, then also draw them with their names\n"
        f"mobilenets predict {run} PHOTO.jpg\n"
        f"mobilenets predict {run} PHOTOS --save seen.png\n"
        "# see where it looks\n"
        f"mobilenets explain {run} PHOTO.jpg --save heat.png\n"
        "# score photographs that neither training nor validation has seen\n"
        f"mobilenets evaluate {run} DATA\n"
        "# the same training again\n"
        f"mobilenets train --config {shlex.quote(str(folder / 'config.yaml'))} --out NEW_FOLDER"
    )
    versions = [f"mobilenets {__version__}", f"Python {python_version()}", *_versions()]
    return f"<h2>What to run next</h2>\n<pre>{escape(commands)}</pre>\n<p class='quiet'>{', '.join(versions)}</p>"


def _versions() -> list[str]:
    found = []
    for package in _VERSIONS:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found
