"""`index.safetensors` of a run: what the network that is kept sees in the training photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.loader import Loader
from mobilenets.data.manifest import names_below
from mobilenets.data.samples import Samples
from mobilenets.features.embeddings import Embeddings
from mobilenets.features.images import ImageFeatures
from mobilenets.features.index import FILE, MAX_IMAGES, PER_CLASS, build_index, model_id
from mobilenets.model_card import ModelCard
from mobilenets.runtime.base import Features
from mobilenets.tasks.classify.predictions import path_text
from mobilenets.tasks.objective import Objective
from mobilenets.training.vectors import VectorEngine

Groups = NDArray[np.int64]


@dataclass(frozen=True)
class TrainImages:
    """The training photographs that an index is made of.

    `loader`: `MAX_IMAGES` or fewer of the `total`. `base`: the folder that their names are relative to, as in data.csv.
    `probed`: their features (N, D) by the frozen network of a probe, which is done again where another network is kept
    in the end; None: there was none.
    """

    loader: Loader
    total: int
    base: Path
    probed: Features | None = None


def write_index(
    folder: Path,
    engine: VectorEngine,
    card: ModelCard,
    train: TrainImages,
    val_seen: Embeddings,
    val_images: Samples,
    objective: Objective,
    is_probe: bool,
) -> None:
    """Write `folder/index.safetensors` for the model of `card`, which runs in `engine`.

    `is_probe`: the network that is kept is that of the probe, whose features tell by themselves what is unknown. What
    is unlike the training photographs is learned from what was seen in the validation photographs `val_images`.
    `objective`: what their labels number.
    """
    images, vectors, means = train.loader.samples, train.probed, None
    if not is_probe or vectors is None or len(vectors) != len(images):
        seen, shown = engine.embeddings(train.loader, "index")
        images, vectors, means = images.take(shown), seen.vectors, None if is_probe else seen.means
    if len(images) == 0:  # they were readable when the training began
        return
    groups, first_val = _group_numbers(images, val_images), len(images)
    texts = objective.texts
    kinds = objective.task.strata(texts, np.bincount(images.labels, minlength=len(texts)))
    index = build_index(
        ImageFeatures.of(vectors, kinds[images.labels], names_below(images, train.base), groups[:first_val], means),
        ImageFeatures.of(
            val_seen.vectors,
            kinds[val_images.labels],
            _names(val_images),
            groups[first_val:],
            None if is_probe else val_seen.means,
        ),
        model_id(card),
        per_class=PER_CLASS if train.total > MAX_IMAGES else None,
    )
    index.write(folder / FILE)


def _names(images: Samples) -> list[str]:
    return [path_text(image.path) for image in images]


def _group_numbers(*parts: Samples) -> Groups:
    """A number for every photograph of all parts, equal for those of one group; the others have one of their own."""
    names: list[str | None] = []
    for images in parts:
        names += [None] * len(images) if images.groups is None else [image.group for image in images]
    first_of: dict[str | int, int] = {}
    return np.array([first_of.setdefault(i if name is None else name, i) for i, name in enumerate(names)], np.int64)
