"""The report of a run: pictures, and one HTML page that can be sent to a colleague as it is."""

from __future__ import annotations

import base64
import csv
import io
import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageOps

from mobilenets import images
from mobilenets.artifact import ModelCard, write_atomic
from mobilenets.errors import UserError
from mobilenets.evaluate.plots import Label, draw_confusion, draw_curves, labels_of
from mobilenets.spec import cost

_MOST_MISTAKES = 12
_MOST_CONFUSIONS = 15
_THUMBNAIL = 160  # pixels
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: white; margin: 2em auto; max-width: 64em;
  padding: 0 1em }
table { border-collapse: collapse } td, th { padding: .2em .9em .2em 0; text-align: left; vertical-align: top }
thead th { border-bottom: 1px solid #999 } tr > .n { text-align: right; font-variant-numeric: tabular-nums }
.headline { font-size: 2.4em; font-weight: 600; line-height: 1.2 } .quiet { color: #595959 }
.wide { overflow: auto } .curves { max-width: 100% } pre { background: #f3f3f3; padding: .8em; overflow: auto }
.mistakes { display: flex; flex-wrap: wrap; gap: 1em } .mistakes figure { margin: 0; width: 160px; font-size: 13px;
  overflow-wrap: anywhere } .absent { height: 160px; background: #eee; color: #595959; display: grid;
  place-items: center }
"""


@dataclass(frozen=True)
class _Mistake:
    """A photograph taken for another class, and the probability given to that class."""

    path: str
    label: str
    predicted: str
    probability: float


def write_report(folder: Path) -> None:
    """Write `curves.png` (where there is a history), `confusion.png` and `report.html` into a run folder.

    A class name that no font of this system can write is replaced by its number on the picture, with a
    warning; the page has the legend.

    Raises:
        UserError: card.json, metrics.json or predictions.csv is missing.
    """
    card = ModelCard.from_json(_text(folder, "card.json"))
    metrics = json.loads(_text(folder, "metrics.json"))
    mistakes = _mistakes(_text(folder, "predictions.csv"))
    history = _history(folder / "history.csv")
    curves = draw_curves(history) if history else None
    labels = labels_of(card.classes)
    _warn(card.classes, labels)
    confusion = draw_confusion(np.array(metrics["confusion"], np.int64), labels)
    if curves:
        write_atomic(folder / "curves.png", curves)
    write_atomic(folder / "confusion.png", confusion)
    body = [
        f"<h1>{_name(card.name)}</h1>",
        _headline(metrics),
        _figures(metrics),
        f"<h2>Learning curves</h2>\n{_picture(curves, 'png', 'loss and accuracy', 'curves')}" if curves else "",
        _confusion(metrics, card.classes, labels, confusion),
        _per_class(metrics, card.classes),
        _gallery(mistakes),
        _model(card),
        _next(folder),
    ]
    head = f'<meta charset="utf-8">\n<title>{escape(card.name)}</title>\n<style>{_STYLE}</style>'
    page = f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n'
    write_atomic(folder / "report.html", page + "\n".join(filter(None, body)) + "\n</body>\n</html>\n")


def _text(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{folder}: has no {name}; a report needs a run that came to its end") from error


def _history(path: Path) -> dict[str, list[float]]:
    """The columns of history.csv; empty without an epoch: a probe trains no network."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return {name: [float(row[name]) for row in rows] for name in names} if rows else {}


def _mistakes(predictions: str) -> list[_Mistake]:
    """All wrong predictions of predictions.csv, the most confident first."""
    header, *rows = csv.reader(io.StringIO(predictions, newline=""))
    column = {name: 3 + k for k, name in enumerate(header[3:])}  # by place: a class may be called "label"
    wrong = [_Mistake(row[0], row[1], row[2], float(row[column[row[2]]])) for row in rows if row[1] != row[2]]
    return sorted(wrong, key=lambda m: -m.probability)


def _warn(classes: Sequence[str], labels: Sequence[Label]) -> None:
    absent = [name for name, label in zip(classes, labels, strict=True) if label.is_number]
    if absent:
        print(
            f"no installed font can write {len(absent)} of the class names ({absent[0]!r} is one): "
            "confusion.png has their numbers, report.html the names",
            file=sys.stderr,
        )


def _name(text: str) -> str:
    """Escaped, and kept apart from the direction of the script around it."""
    return f"<bdi>{escape(text)}</bdi>"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _picture(content: bytes, kind: str, alt: str, style: str = "") -> str:
    data = base64.b64encode(content).decode()
    return f'<img class="{style}" alt="{escape(alt)}" src="data:image/{kind};base64,{data}">'


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """Cells are HTML already; the last `numbers` columns are set flush right."""

    def line(tag: str, cells: Sequence[str]) -> str:
        first = len(cells) - numbers
        tags = (f'<{tag} class="n">' if i >= first else f"<{tag}>" for i in range(len(cells)))
        return "<tr>" + "".join(f"{t}{cell}</{tag}>" for t, cell in zip(tags, cells, strict=True)) + "</tr>"

    head = f"<thead>{line('th', header)}</thead>\n" if header else ""
    return f"<table>\n{head}" + "\n".join(line("td", row) for row in rows) + "\n</table>"


def _headline(metrics: dict[str, Any]) -> str:
    low, high = metrics["accuracy_ci95"]
    name, most = max(((name, c["n"]) for name, c in metrics["per_class"].items()), key=lambda pair: pair[1])
    return (
        f'<p class="headline">{_percent(metrics["accuracy"])} accuracy</p>\n'
        f"<p>95 % interval {_percent(low)} to {_percent(high)}, from {metrics['n']} validation photographs. "
        f"Always answering {_name(name)} would be right for {_percent(most / metrics['n'])}.</p>"
    )


def _figures(metrics: dict[str, Any]) -> str:
    rows = [
        ("balanced accuracy", _percent(metrics["balanced_accuracy"]), "mean recall: every class counts the same"),
        ("macro F1", f"{metrics['macro_f1']:.3f}", "mean over the classes"),
    ]
    if metrics.get("top5") is not None:
        rows.append(("top-5 accuracy", _percent(metrics["top5"]), "the truth is among the five most probable"))
    if metrics.get("auroc") is not None:
        second = _name(metrics["classes"][1])
        rows.append(("AUROC", f"{metrics['auroc']:.3f}", f"of {second}; 0.5 is chance, 1 perfect order"))
    rows.append(("log loss", f"{metrics['log_loss']:.3f}", "of the probabilities, in nats; 0 is best"))
    rows.append(("ECE", _percent(metrics["ece"]), "mean distance of confidence and accuracy; 0 is best"))
    return _table((), [(a, f"<b>{b}</b>", f'<span class="quiet">{c}</span>') for a, b, c in rows])


def _confusion(metrics: dict[str, Any], classes: Sequence[str], labels: Sequence[Label], picture: bytes) -> str:
    parts = ["<h2>Confusion matrix</h2>", f'<div class="wide">{_picture(picture, "png", "confusion matrix")}</div>']
    parts.append('<p class="quiet">Number: photographs. Colour: their share of the true class.</p>')
    legend = [f"{label.text}: {_name(n)}" for n, label in zip(classes, labels, strict=True) if label.is_number]
    if legend:
        parts.append(f"<p>On the picture, {', '.join(legend)}.</p>")
    counts = np.array(metrics["confusion"], np.int64)
    truths = counts.sum(1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    pairs = [divmod(int(i), len(classes)) for i in order if counts.flat[i]]
    rows = [
        (_name(classes[t]), _name(classes[p]), str(counts[t, p]), _percent(counts[t, p] / truths[t])) for t, p in pairs
    ]
    parts.append("<h2>Most frequent confusions</h2>")
    header = ("truth", "taken for", "photographs", "of the class")
    parts.append(_table(header, rows, 2) if rows else "<p>None: every photograph was recognised.</p>")
    return "\n".join(parts)


def _per_class(metrics: dict[str, Any], classes: Sequence[str]) -> str:
    rows = []
    for k, name in enumerate(classes):
        figures = metrics["per_class"][name]
        shares = [_percent(figures[key]) for key in ("precision", "recall")]
        rows.append((str(k), _name(name), *shares, f"{figures['f1']:.3f}", str(figures["n"])))
    header = ("class", "name", "precision", "recall", "F1", "photographs")
    return "<h2>Classes</h2>\n" + _table(header, rows, 4)


def _gallery(mistakes: Sequence[_Mistake]) -> str:
    if not mistakes:
        return ""
    figures = []
    for mistake in mistakes[:_MOST_MISTAKES]:
        where = "/".join(Path(mistake.path).parts[-2:])
        figures.append(
            f"<figure>{_thumbnail(mistake.path, where)}<figcaption>{_name(mistake.label)} taken for "
            f"{_name(mistake.predicted)}, {_percent(mistake.probability)} sure<br>"
            f'<span class="quiet">{_name(where)}</span></figcaption></figure>'
        )
    note = '<p class="quiet">Wrong labels are often among these.</p>'
    return f'<h2>Most confident mistakes</h2>\n{note}\n<div class="mistakes">\n' + "\n".join(figures) + "\n</div>"


def _thumbnail(path: str, alt: str) -> str:
    """The photograph, small; a grey square where it was moved or is damaged."""
    try:
        image = images.read(path, at_least=_THUMBNAIL)
    except UserError:
        return '<div class="absent">no photograph</div>'
    content = io.BytesIO()
    ImageOps.contain(image, (_THUMBNAIL, _THUMBNAIL)).save(content, "JPEG", quality=85)
    return _picture(content.getvalue(), "jpeg", alt)


def _model(card: ModelCard) -> str:
    net, preprocess = card.net, card.preprocess
    params, macs = cost.total(net, preprocess.size)
    rows = [
        ("network", f"{escape(net.name)}, width {net.width:g}, as in {escape(net.flavor)}"),
        ("size", f"{params:,} parameters; {macs / 1e6:,.1f} million multiply-adds for one photograph"),
        *((f"started from: {escape(key)}", _name(value)) for key, value in card.provenance.items()),
        *((f"input: {escape(key)}", escape(str(value))) for key, value in preprocess.to_dict().items()),
    ]
    return "<h2>Model</h2>\n" + _table((), rows)


def _next(folder: Path) -> str:
    run = shlex.quote(str(folder))
    commands = (
        "# name what is on new photographs, then also draw them with their names\n"
        f"mobilenets predict {run} PHOTO.jpg\n"
        f"mobilenets predict {run} PHOTOS --save seen.png\n"
        "# score photographs that neither training nor validation has seen\n"
        f"mobilenets evaluate {run} DATA"
    )
    return f"<h2>What to run next</h2>\n<pre>{escape(commands)}</pre>"
