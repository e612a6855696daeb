"""`index.safetensors` of a run: the features of its training photographs, and how unlike them known ones may be."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenets.errors import DataError, ModelFileError
from mobilenets.features.coverage import choose_covering
from mobilenets.features.images import ImageFeatures, check_tensors
from mobilenets.features.known import MAX_DISTANCES, Known
from mobilenets.features.lookup import Lookup
from mobilenets.features.neighbours import Features, Indices, Neighbours, nearest, roots
from mobilenets.model_card import ModelCard
from mobilenets.system.files import write_atomic
from mobilenets.system.tensor_file import Array, pack, unpack

FILE = "index.safetensors"
HELD_OUT = "held_out_"  # before the names of their tensors
MAX_IMAGES = 20_000  # of a larger data set so many are looked at, and of each class those kept that cover it
PER_CLASS = 200
MAX_COMPARED = 5_000  # photographs with all others, for the strangest: a few seconds
NEAREST = 3  # of the training photographs, that are named beside an answer
FORMAT = "2"  # 1 had neither lengths nor held-out photographs
MAX_BYTES = 2**31
# Fewer held-out photographs than these tell little of the farthest twentieth; the training photographs, each without
# itself and its group, then count too.
FEW_HELD_OUT = 100


@dataclass(frozen=True)
class Likeness:
    """How like the training photos one photo is.

    Attributes
    ----------
    distance, known
        From the nearest of them, 0 to 2; which fraction of known photos is as far or farther, above 0 and up to 1.
    nearest
        The paths of those that it is most like, the nearest first.
    """

    distance: float
    known: float
    nearest: tuple[str, ...]


@dataclass(frozen=True)
class FeatureIndex:
    """Features of training photos: `index.safetensors` of a run.

    Attributes
    ----------
    train
        The training photographs, or of many those that cover each class; paths as `data.csv` of the run has them.
    held_out
        Photographs that the network was not trained on, or of many some; paths as `predictions.csv` has them.
    known
        How known a photo is at which distance.
    model
        What tells the network with its classes from others: `model_id` of its card.

    Examples
    --------
    >>> import mobilenets as mn
    >>> index = mn.load("runs/photos").index
    >>> own = index.nearest(index.features[:2])
    >>> [index.paths[row] == path for row, path in zip(own.rows[:, 0], index.paths)]
    [True, True]
    """

    train: ImageFeatures
    held_out: ImageFeatures
    known: Known
    model: str

    @property
    def features(self) -> NDArray[np.float16]:
        """Of the training photographs, float16 (N, D), each of length 1."""
        return self.train.features

    @property
    def labels(self) -> Indices:
        """Of the training photographs, int64 (N,), as `ImageFeatures` has them."""
        return self.train.labels

    @property
    def paths(self) -> tuple[str, ...]:
        """Of the training photographs."""
        return self.train.paths

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def rows(self) -> Features:
        """What photographs are compared with: the roots of the features, float32 (N, D)."""
        return roots(self.features)

    @cached_property
    def lookup(self) -> Lookup:
        """`rows`, for photographs that come one after another."""
        return Lookup(self.rows)

    def nearest(self, features: NDArray[np.floating], k: int = 1) -> Neighbours:
        """The nearest training photos.

        Parameters
        ----------
        features
            float (n, D), as the engine of the same run gives them.
        k
            How many for each, 1 or more.

        Returns
        -------
        Neighbours
            Distances float32 (n, k), 0 to 2, and rows int64 (n, k) of this index, the nearest first.

        Raises
        ------
        ModelFileError
            Features of another size, or such that are no numbers.
        """
        if features.ndim != 2 or features.shape[1] != self.features.shape[1]:
            raise ModelFileError(
                f"features of shape {features.shape}: the index has {self.features.shape[1]} a photo; "
                "use the model of the same run"
            )
        if not np.isfinite(features).all():
            raise ModelFileError("features that are no numbers: the model is damaged; train or export it again")
        return self.lookup.nearest(roots(features), k)

    def strangest(self, count: int) -> list[tuple[int, int, float]]:
        """The `count` photographs that are least like the others: each with the nearest of those, and how far it is.

        Of more than `MAX_COMPARED` photographs so many are compared, from all over.
        """
        own = np.arange(len(self))
        some = np.linspace(0, len(self) - 1, min(len(self), MAX_COMPARED)).round().astype(np.int64)
        near = nearest(self.rows[some], self.rows, 1, some, own)
        distances = near.distances[:, 0]
        order = np.argsort(-distances, kind="stable")[:count]
        return [(int(some[i]), int(near.rows[i, 0]), float(distances[i])) for i in order if np.isfinite(distances[i])]

    def likeness(self, features: NDArray[np.floating]) -> list[Likeness]:
        """How like the training photos each photo is.

        Parameters
        ----------
        features
            float (n, D), as the engine of the same run gives them.

        Returns
        -------
        list of Likeness
            One for each, with its nearest three.

        Raises
        ------
        ModelFileError
            As `nearest`.
        """
        near = self.nearest(features, NEAREST)
        known = self.known.of_distances(near.distances[:, 0])
        return [
            Likeness(float(distance), float(value), tuple(self.paths[i] for i in rows))
            for distance, value, rows in zip(near.distances[:, 0], known, near.rows.tolist(), strict=True)
        ]

    def write(self, path: Path) -> None:
        """Write the file at `path` in one step; the same index gives the same bytes."""
        tensors: dict[str, Array] = {
            **self.train.tensors(""),
            **self.held_out.tensors(HELD_OUT),
            "distances": self.known.distances,
            "known": self.known.values,
        }
        write_atomic(path, pack(tensors, {"format": FORMAT, "model": self.model}))


def model_id(card: ModelCard) -> str:
    """What tells a trained network from others in all its forms, exported ones included."""
    facts = [card.name, list(card.classes), card.metrics, card.provenance]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def build_index(
    train: ImageFeatures, held_out: ImageFeatures, model: str, per_class: int | None = None
) -> FeatureIndex:
    """The index of training photographs.

    Parameters
    ----------
    train
        The training photographs.
    held_out
        Photographs that the network was not trained on, which say how far known ones may be. None of the own group
        counts as neighbour: groups are numbered as those of `train`.
    model
        `model_id` of the network's card.
    per_class
        Keep at most so many of each class, those that cover it; None: all.

    Raises
    ------
    UserError
        No training photographs, or features that are no numbers.
    """
    if len(train) == 0:
        raise DataError("no training photos: an index needs one or more")
    if not (np.isfinite(train.lengths).all() and np.isfinite(held_out.lengths).all()):
        raise ModelFileError("features that are no numbers: the network is damaged; train it again")
    if per_class is not None:
        train = train.take(choose_covering(roots(train.features), train.labels, per_class))
    rows, groups = roots(train.features), held_out.groups
    distances = nearest(roots(held_out.features), rows, 1, groups, train.groups).distances[:, 0]
    if len(np.unique(groups)) < FEW_HELD_OUT:
        distances = np.append(distances, nearest(rows, rows, 1, train.groups, train.groups).distances[:, 0])
        groups = np.append(groups, train.groups)
    near = np.isfinite(distances)  # of a single group nothing can be told
    some = np.unique(np.linspace(0, len(held_out) - 1, min(len(held_out), MAX_DISTANCES)).astype(np.int64))
    return FeatureIndex(train, held_out.take(some), Known.of(distances[near], groups[near]), model)


def read_index(path: Path, card: ModelCard, kinds: int) -> FeatureIndex:
    """The index at `path`, which is to be that of the network of `card`, with labels below `kinds`.

    Raises
    ------
    UserError
        Not there, damaged, or of another network.
    """
    tensors, metadata = unpack(path, MAX_BYTES)
    if metadata.get("format") != FORMAT:
        raise ModelFileError(f"{path}: not an index that this version reads; train again, or remove the file")
    if metadata.get("model") != model_id(card):
        raise ModelFileError(f"{path}: the index of another model than {card.name} here; put back the run's own")
    try:
        return _checked(tensors, card.net.head_width, kinds, metadata["model"])
    except (ValueError, KeyError) as error:
        raise ModelFileError(f"{path}: damaged ({error}); put back the run's own, or remove it") from error


def _checked(tensors: dict[str, Array], width: int, kinds: int, model: str) -> FeatureIndex:
    """The index of a file's tensors, for features of this `width` and labels below `kinds`.

    Raises
    ------
    ValueError, KeyError
        They contradict each other or that.
    """
    train, held_out = (ImageFeatures.from_tensors(tensors, prefix, width, kinds) for prefix in ("", HELD_OUT))
    if len(train) == 0:
        raise ValueError("no photo")
    known = Known(tensors["distances"], tensors["known"])
    named = len(known.distances)
    check_tensors(tensors, {"distances": (np.float32, (named,)), "known": (np.float32, (named + 1,))})
    for values, low, high in ((known.distances, 0, 2), (known.values[::-1], 0, 1)):
        if not (np.isfinite(values).all() and (np.diff(values) >= 0).all()):
            raise ValueError("distances in no order")
        if len(values) and not low <= values.min() <= values.max() <= high:
            raise ValueError("distances out of range")
    return FeatureIndex(train, held_out, known, model)
