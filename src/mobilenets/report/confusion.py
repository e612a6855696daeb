"""The report's confusion matrix: as a table one can click into, or a picture; and what was confused most often."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from mobilenets.preprocess.depth import Range
from mobilenets.report.gallery import Opener, cells
from mobilenets.report.html import name, percent, picture, table
from mobilenets.report.plots import Label
from mobilenets.tasks.classify.predictions import Predictions

_MOST_CONFUSIONS = 15
_MOST_IN_TABLE = 12  # classes: a larger matrix is a picture


def confusion(
    metrics: dict[str, Any],
    classes: Sequence[str],
    labels: Sequence[Label],
    drawn: bytes | None,
    predictions: Predictions,
    opened: Opener,
    value_range: Range | None = None,
) -> str:
    """Matrix and most frequent confusions, whose numbers lead to photographs.

    `drawn`: the matrix as a PNG, where there is one, and `labels` on it.
    """
    counts = np.array(metrics["confusion"], np.int64)
    pairs = _pairs(counts)
    small = len(classes) <= _MOST_IN_TABLE
    hits = [(k, k) for k in range(len(classes)) if counts[k, k]] if small else []
    behind = cells(predictions, classes, opened, [*(pairs if small else pairs[:_MOST_CONFUSIONS]), *hits], value_range)
    parts = ['<h2 id="matrix">Confusion matrix</h2>'] if small or drawn else []
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
    if parts:
        parts.append("<h2>Most frequent confusions</h2>")
    else:  # too many classes for a matrix that could be read
        parts.append('<h2 id="matrix">Most frequent confusions</h2>')
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
