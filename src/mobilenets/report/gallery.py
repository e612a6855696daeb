"""The photographs of a report: small, bounded in number, with the network's heat over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.errors import UserError
from mobilenets.explaining.overlay import describe, overlay
from mobilenets.preprocess.depth import Range
from mobilenets.report.html import name, percent
from mobilenets.report.thumbnails import jpeg, thumbnail, where
from mobilenets.tasks.classify.predictions import Answer, Predictions

if TYPE_CHECKING:
    from mobilenets.explaining.gradcam import Explainer

MOST = 12  # photographs in each of the two galleries with heat
MOST_IN_CELLS, MOST_IN_A_CELL = 60, 8  # behind the confusion matrix
_SIDE, _CELL_SIDE = 160, 112  # pixels

Opener = Callable[[Answer], str | Path | bytes]  # the photograph of an answer


def galleries(
    predictions: Predictions,
    classes: Sequence[str],
    opened: Opener,
    explainer: Explainer | None,
    faults: Mapping[str, Sequence[str]],
    value_range: Range | None = None,
) -> str:
    """The most confident mistakes and the least confident hits, 12 each; beside each what speaks for the answer.

    `faults`: what an audit calls a photograph, by its path.
    """

    def gallery(answers: Sequence[Answer]) -> str:
        figures = [_figure(a, classes, opened, explainer, faults.get(a.path, ()), value_range) for a in answers[:MOST]]
        return '<div class="gallery">\n' + "\n".join(figures) + "\n</div>"

    heat = " Beside each, where the network looks: yellow speaks most for its answer (Grad-CAM)." if explainer else ""
    parts = []
    mistakes, hits = predictions.mistakes(), predictions.doubtful_hits()
    if mistakes:
        parts.append(
            f'<h2>Most confident mistakes</h2>\n<p class="quiet">Wrong labels are often among these.{heat}</p>'
        )
        parts.append(gallery(mistakes))
    if hits:
        parts.append('<h2>Least confident hits</h2>\n<p class="quiet">Right, but only just.</p>')
        parts.append(gallery(hits).replace("<figure>", '<figure class="hit">'))
    return "\n".join(parts)


def cells(
    predictions: Predictions,
    classes: Sequence[str],
    opened: Opener,
    wanted: Sequence[tuple[int, int]],
    value_range: Range | None = None,
) -> dict[tuple[int, int], str]:
    """For each cell (truth, answer) of the matrix the section a click leads to; at most 60, of all 60 photographs.

    They are shown by the address (`#c0-1`), so that keyboard, back button and pages without scripts all work.
    """
    kept = wanted[:MOST_IN_CELLS]
    each = min(MOST_IN_A_CELL, MOST_IN_CELLS // max(1, len(kept)))
    sections = {}
    for truth, predicted in kept:
        members = predictions.cell(truth, predicted)
        said = "recognised" if truth == predicted else f"taken for {name(classes[predicted])}"
        title = f"{len(members)} × {name(classes[truth])} {said}"
        figures = [
            f'<figure class="small">{thumbnail(partial(opened, a), _CELL_SIDE, where(a.path), value_range)}'
            f"<figcaption>{percent(a.probability)}<br>{name(where(a.path))}</figcaption></figure>"
            for a in members[:each]
        ]
        more = f"<p>The surest {each}; all are in predictions.csv.</p>" if len(members) > each else ""
        sections[truth, predicted] = (
            f'<section class="cell" id="c{truth}-{predicted}" tabindex="-1"><h3>{title}</h3>{more}'
            f'<div class="gallery">{"".join(figures)}</div><p><a href="#matrix">back to the matrix</a></p></section>'
        )
    return sections


def _figure(
    answer: Answer,
    classes: Sequence[str],
    opened: Opener,
    explainer: Explainer | None,
    faults: Sequence[str],
    value_range: Range | None,
) -> str:
    truth, predicted = name(classes[answer.truth]), name(classes[answer.predicted])
    said = truth if answer.truth == answer.predicted else f"{truth} taken for {predicted}"
    photo = thumbnail(partial(opened, answer), _SIDE, where(answer.path), value_range)
    heat = _heat(answer, classes, opened, explainer) if explainer else ""
    audit = f'<br><a href="#data">audit</a>: {escape(", ".join(faults))}' if faults else ""
    return (
        f'<figure><div class="pair">{photo}{heat}</div>'
        f"<figcaption>{said}, {percent(answer.probability)} sure<br>"
        f'<span class="quiet">{name(where(answer.path))}</span>{audit}</figcaption></figure>'
    )


def _heat(answer: Answer, classes: Sequence[str], opened: Opener, explainer: Explainer) -> str:
    try:
        seen = explainer.explain(opened(answer), classes[answer.predicted])
    except UserError:
        return ""
    return jpeg(overlay(seen.crop, seen.heat), _SIDE, f"heat map: {describe(seen.heat)}")
