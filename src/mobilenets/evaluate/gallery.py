"""The photographs of a report: small, bounded in number, with the network's heat over them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from mobilenets import images
from mobilenets.errors import UserError
from mobilenets.evaluate.heat import describe, overlay
from mobilenets.evaluate.html import name, percent, picture
from mobilenets.evaluate.predictions import Answer, Predictions

if TYPE_CHECKING:
    from mobilenets.evaluate.explain import Explainer

MOST = 12  # photographs in each of the two galleries with heat
MOST_IN_CELLS, MOST_IN_A_CELL = 60, 8  # behind the confusion matrix
_SIDE, _CELL_SIDE = 160, 112  # pixels
_QUALITY = 80


def gallery(answers: Sequence[Answer], classes: Sequence[str], explainer: Explainer | None) -> str:
    """The first 12 answers: the photograph, beside it what speaks for the answer, and both in words."""
    figures = [_figure(answer, classes, explainer) for answer in answers[:MOST]]
    return '<div class="gallery">\n' + "\n".join(figures) + "\n</div>"


def cells(
    predictions: Predictions, classes: Sequence[str], wanted: Sequence[tuple[int, int]]
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
            f'<figure class="small">{_thumbnail(a.path, _CELL_SIDE)}'
            f"<figcaption>{percent(a.probability)}<br>{name(_where(a.path))}</figcaption></figure>"
            for a in members[:each]
        ]
        more = f"<p>The surest {each}; all are in predictions.csv.</p>" if len(members) > each else ""
        sections[truth, predicted] = (
            f'<section class="cell" id="c{truth}-{predicted}" tabindex="-1"><h3>{title}</h3>{more}'
            f'<div class="gallery">{"".join(figures)}</div><p><a href="#matrix">back to the matrix</a></p></section>'
        )
    return sections


def _figure(answer: Answer, classes: Sequence[str], explainer: Explainer | None) -> str:
    truth, predicted = name(classes[answer.truth]), name(classes[answer.predicted])
    said = truth if answer.truth == answer.predicted else f"{truth} taken for {predicted}"
    return (
        f'<figure><div class="pair">{_thumbnail(answer.path, _SIDE)}{_heat(answer, classes, explainer)}</div>'
        f"<figcaption>{said}, {percent(answer.probability)} sure<br>"
        f'<span class="quiet">{name(_where(answer.path))}</span></figcaption></figure>'
    )


def _heat(answer: Answer, classes: Sequence[str], explainer: Explainer | None) -> str:
    if explainer is None:
        return ""
    try:
        seen = explainer.explain(answer.path, classes[answer.predicted])
    except UserError:
        return ""
    return _jpeg(overlay(seen.crop, seen.heat), _SIDE, f"heat map: {describe(seen.heat)}")


def _thumbnail(path: str, side: int) -> str:
    """The photograph, small; a grey square where it was moved or is damaged."""
    try:
        image = images.read(path, at_least=side)
    except UserError:
        return '<div class="absent">no photograph</div>'
    return _jpeg(image, side, _where(path))


def _jpeg(image: Image.Image, side: int, alt: str) -> str:
    content = io.BytesIO()
    ImageOps.contain(image, (side, side)).save(content, "JPEG", quality=_QUALITY)
    return picture(content.getvalue(), "jpeg", alt)


def _where(path: str) -> str:
    return "/".join(Path(path).parts[-2:])
