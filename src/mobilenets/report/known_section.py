"""The report on what is unknown: how far known photos are from the training photos, and the strangest of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobilenets.data.manifest import listed_files, manifest_of
from mobilenets.features.index import FeatureIndex
from mobilenets.features.known import ACCEPT
from mobilenets.model_card import ModelCard
from mobilenets.preprocess.depth import Range
from mobilenets.report.charts import Chart, histogram
from mobilenets.report.page import PageImage
from mobilenets.report.thumbnails import short_path, thumbnail
from mobilenets.runtime.index_file import find_index
from mobilenets.tasks import task_of

MAX_STRANGE = 10
_SIDE, _BARS = 112, 24


@dataclass(frozen=True)
class Strange:
    """A training photo, its class, and of the one most like it the path, the class and the distance."""

    image: PageImage
    path: str
    label: str
    nearest: str
    nearest_label: str
    distance: float


@dataclass(frozen=True)
class KnownSection:
    """How unlike known photos are drawn, the fraction of them that is accepted, and the strangest training photos.

    `farthest`: the value beyond which a photo is unknown; None: too few photos tell, and none is.
    """

    chart: Chart | None
    accept: float
    farthest: float | None
    count: int
    strangest: list[Strange]


def known_section(folder: Path, card: ModelCard) -> KnownSection | None:
    """The section of a run with an index; None of others.

    Raises
    ------
    UserError
        The index is damaged.
    """
    index = find_index(folder, card)
    if index is None:
        return None
    known = index.known
    farthest = known.farthest(ACCEPT)
    chart = None
    if len(known.distances):
        counts, edges = np.histogram(known.distances, _BARS, (0, max(float(known.distances[-1]), 1e-6)))
        across = "how unlike the training photos"
        chart = histogram(counts.tolist(), edges.tolist(), "known photos", across, farthest)
    found, label_of = index.strangest(MAX_STRANGE), _labels(folder, card, index)
    files = listed_files(folder, [index.paths[row] for row, _, _ in found])
    strangest = [
        Strange(
            _thumbnail(file, short_path(index.paths[row]), card.preprocess.range),
            short_path(index.paths[row]),
            label_of(row),
            short_path(index.paths[near]),
            label_of(near),
            distance,
        )
        for (row, near, distance), file in zip(found, files, strict=True)
    ]
    return KnownSection(chart, ACCEPT, farthest, len(index), strangest)


def _labels(folder: Path, card: ModelCard, index: FeatureIndex) -> Callable[[int], str]:
    """What each training photo of the index is labelled, by its row; sets of labels stand in data.csv alone."""
    task = task_of(card)
    if task.labels_are_classes:
        return lambda row: card.classes[index.labels[row]]
    manifest = manifest_of(folder)
    texts = {} if manifest is None else dict(zip(manifest.paths, manifest.labels, strict=True))
    return lambda row: task.shown(texts[index.paths[row]]) if index.paths[row] in texts else "?"


def _thumbnail(file: Path | None, alt: str, value_range: Range | None) -> PageImage:
    return PageImage(alt, None) if file is None else thumbnail(lambda: file, _SIDE, alt, value_range)
