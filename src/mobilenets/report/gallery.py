"""The photos of a report: small, bounded in number, with the network's heat over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.data.sample import Sample
from mobilenets.errors import UserError
from mobilenets.explaining.overlay import describe, overlay
from mobilenets.preprocess.depth import Range
from mobilenets.report.page import PageImage
from mobilenets.report.thumbnails import jpeg, short_path, thumbnail
from mobilenets.tasks.classify.predictions import ImageAnswer, Predictions

if TYPE_CHECKING:
    from mobilenets.explaining.gradcam import Explainer

MAX_IN_GALLERY = 12  # photos in each of the two galleries with heat
MAX_IN_CELLS, MAX_IN_A_CELL = 60, 8  # behind the confusion matrix
_SIDE, _CELL_SIDE = 160, 112  # pixels

Opener = Callable[[ImageAnswer], str | Path | bytes]  # the image of an answer


@dataclass(frozen=True)
class Figure:
    """A photo with its answer, what speaks for that, and what an audit calls it."""

    answer: ImageAnswer
    path: str
    image: PageImage
    heat: PageImage | None
    faults: Sequence[str]


@dataclass(frozen=True)
class CellPhotos:
    """The photos of one cell of the confusion matrix: how many there are, and the surest of them."""

    truth: int
    predicted: int
    count: int
    figures: list[Figure]


def open_image(images: Sequence[Sample] | None, row: int, path: str) -> str | Path | bytes:
    """The image of a row of predictions.csv: what `images` have there, or the file of its path."""
    if images is None:
        return path
    source = images[row].open()
    return source if isinstance(source, Path) else source.read()


def figures(
    answers: Sequence[ImageAnswer],
    classes: Sequence[str],
    opener: Opener,
    explainer: Explainer | None,
    faults: Mapping[str, Sequence[str]],
    value_range: Range | None = None,
) -> list[Figure]:
    """The first 12 of `answers`; beside each what speaks for it. `faults`: what an audit calls an image, by path."""
    shown = answers[:MAX_IN_GALLERY]
    heats = [None] * len(shown) if explainer is None else _heats(shown, classes, opener, explainer)
    return [
        Figure(
            answer,
            short_path(answer.path),
            thumbnail(partial(opener, answer), _SIDE, short_path(answer.path), value_range),
            heat,
            faults.get(answer.path, ()),
        )
        for answer, heat in zip(shown, heats, strict=True)
    ]


def photos_behind(
    predictions: Predictions, wanted: Sequence[tuple[int, int]], opener: Opener, value_range: Range | None = None
) -> list[CellPhotos]:
    """For each cell (truth, answer) of the matrix the photos a click leads to; at most 60 cells, of all 60 photos."""
    kept = wanted[:MAX_IN_CELLS]
    each = min(MAX_IN_A_CELL, MAX_IN_CELLS // max(1, len(kept)))
    result = []
    for truth, predicted in kept:
        members = predictions.cell(truth, predicted)
        shown = []
        for answer in members[:each]:
            path = short_path(answer.path)
            shown.append(
                Figure(answer, path, thumbnail(partial(opener, answer), _CELL_SIDE, path, value_range), None, ())
            )
        result.append(CellPhotos(truth, predicted, len(members), shown))
    return result


def _heats(
    answers: Sequence[ImageAnswer], classes: Sequence[str], opener: Opener, explainer: Explainer
) -> list[PageImage | None]:
    """What speaks for each answer, on one thread: several that share an image wait for each other beside other work."""
    from mobilenets.runtime.engines.torch import torch_threads  # a page without heat needs no torch

    with torch_threads(1):
        return [_heat(answer, classes, opener, explainer) for answer in answers]


def _heat(answer: ImageAnswer, classes: Sequence[str], opener: Opener, explainer: Explainer) -> PageImage | None:
    try:
        seen = explainer.explain(opener(answer), classes[answer.predicted])
    except UserError:
        return None
    return jpeg(overlay(seen.crop, seen.heat), _SIDE, f"heat map: {describe(seen.heat)}")
