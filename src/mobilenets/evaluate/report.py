"""A run explained on one page, from the files of its folder."""

from __future__ import annotations

import base64
import csv
import io
import sys
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from mobilenets import images
from mobilenets.artifact import ModelCard, write_atomic
from mobilenets.errors import UserError
from mobilenets.evaluate.plots import confusion_png, curves_png, writable
from mobilenets.spec.cost import total

MOST_WRONG = 12
THUMBNAIL = 160

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
h1{margin-bottom:0}h2{margin-top:2.2rem}table{border-collapse:collapse}img{max-width:100%}
td,th{padding:.2rem .8rem .2rem 0;text-align:left;border-bottom:1px solid #ddd}td.n,th.n{text-align:right}
.big{font-size:2.6rem;font-weight:600}.note{color:#555}.wrong{display:flex;flex-wrap:wrap;gap:1rem}
figure{margin:0;width:170px;font-size:.85rem}code{background:#f3f3f3;padding:.1rem .3rem}
"""


def write_report(folder: Path) -> None:
    """Write `curves.png` (where epochs were trained), `confusion.png` and `report.html` into a run folder."""
    card = ModelCard.from_json((folder / "card.json").read_text(encoding="utf-8"))
    metrics = card.metrics
    pictures: list[tuple[str, bytes]] = []
    if (folder / "history.csv").exists():
        history = [{k: float(v) for k, v in row.items()} for row in _rows(folder / "history.csv")]
        pictures.append(("curves", curves_png(history)))
    names = writable(card.classes)
    for name, original in zip(names, card.classes, strict=True):
        if name != original:
            print(f"no installed font can write {original!r}; drawn as {name!r}", file=sys.stderr)
    pictures.append(("confusion", confusion_png(metrics["confusion"], names)))
    for title, content in pictures:
        write_atomic(folder / f"{title}.png", content)
    parts = [
        _headline(card, metrics),
        *(_picture(title, content) for title, content in pictures),
        _classes(card.classes, names, metrics),
        _confusions(metrics),
        _wrong(_rows(folder / "predictions.csv"), card.classes),
        _card(card),
        _next(folder),
    ]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(folder.name)}</title>'
    write_atomic(folder / "report.html", f"{head}<style>{_STYLE}</style>" + "\n".join(parts) + "</html>\n")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _headline(card: ModelCard, metrics: dict[str, Any]) -> str:
    low, high = metrics["accuracy_ci95"]
    figures = [("balanced accuracy", "balanced_accuracy"), ("macro F1", "macro_f1"), ("AUROC", "auroc")]
    figures += [("top-5", "top5"), ("log loss", "log_loss"), ("calibration error", "ece")]
    known = [(title, f"{metrics[key]:.3f}") for title, key in figures if metrics.get(key) is not None]
    return (
        f"<h1>{escape(card.name)}</h1><p class=big>{metrics['accuracy']:.1%}</p>"
        f"<p>of {metrics['n']} validation photographs are right; with 95 % confidence between "
        f"{low:.1%} and {high:.1%}.</p>{_table(['', ''], known)}"
    )


def _picture(title: str, content: bytes, kind: str = "png") -> str:
    return f'<h2>{title}</h2><img alt="{title}" src="{_inline(content, kind)}">'


def _inline(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _classes(classes: Sequence[str], drawn: Sequence[str], metrics: dict[str, Any]) -> str:
    rows = []
    for name, shown in zip(classes, drawn, strict=True):
        row = metrics["per_class"][name]
        label = name if name == shown else f"{name} ({shown})"
        rows.append((label, f"{row['precision']:.3f}", f"{row['recall']:.3f}", f"{row['f1']:.3f}", row["n"]))
    return "<h2>classes</h2>" + _table(["class", "precision", "recall", "F1", "n"], rows)


def _confusions(metrics: dict[str, Any]) -> str:
    pairs = [
        (count, truth, answer)
        for truth, counts in zip(metrics["classes"], metrics["confusion"], strict=True)
        for answer, count in zip(metrics["classes"], counts, strict=True)
        if truth != answer and count
    ]
    if not pairs:
        return ""
    rows = [(truth, answer, count) for count, truth, answer in sorted(pairs, reverse=True)[:10]]
    return "<h2>most frequent confusions</h2>" + _table(["truth", "answer", "n"], rows)


def _wrong(rows: Iterable[dict[str, str]], classes: Sequence[str]) -> str:
    """Thumbnails of the most confidently wrong photographs: mislabelled ones are often among them."""
    wrong = [row for row in rows if row["label"] != row["predicted"]]
    wrong.sort(key=lambda row: -float(row[row["predicted"]]))
    figures = []
    for row in wrong[:MOST_WRONG]:
        try:
            picture = images.read(row["path"], at_least=THUMBNAIL)
        except UserError:  # moved or deleted since
            continue
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=80)
        share = float(row[row["predicted"]])
        text = f"{escape(row['label'])}, taken for {escape(row['predicted'])} ({share:.2f})"
        name = escape(Path(row["path"]).name)
        figures.append(f'<figure><img src="{_inline(content.getvalue(), "jpeg")}"><br>{text}<br>{name}</figure>')
    if not figures:
        return ""
    note = '<p class="note">Look for wrong labels here first.</p>'
    return f'<h2>most confidently wrong</h2>{note}<div class="wrong">{"".join(figures)}</div>'


def _card(card: ModelCard) -> str:
    parameters, macs = total(card.net, card.preprocess.size)
    preprocess = card.preprocess
    rows = [
        ("network", f"{card.name}, width {card.net.width:g}, flavor {card.net.flavor}"),
        ("parameters", f"{parameters:,}"),
        ("multiply-accumulates", f"{macs:,}"),
        ("input", f"{preprocess.size}x{preprocess.size}, crop {preprocess.crop:g}, {preprocess.interpolation}"),
        *((f"weights: {key}" if key != "weights" else key, value) for key, value in card.provenance.items()),
    ]
    return "<h2>model</h2>" + _table(["", ""], rows)


def _next(folder: Path) -> str:
    commands = [f"mobilenets predict {folder} PHOTO", f"mobilenets evaluate {folder} OTHER_PHOTOS"]
    return "<h2>next</h2>" + "".join(f"<p><code>{escape(command)}</code></p>" for command in commands)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def line(cells: Sequence[object], tag: str) -> str:
        numeric = [' class="n"' if i and len(cells) > 2 else "" for i in range(len(cells))]
        inner = "".join(f"<{tag}{n}>{escape(str(c))}</{tag}>" for c, n in zip(cells, numeric, strict=True))
        return f"<tr>{inner}</tr>"

    head = line(header, "th") if any(header) else ""
    return "<table>" + head + "".join(line(row, "td") for row in rows) + "</table>"
