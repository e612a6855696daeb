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
from mobilenets.features.embeddings import Embeddings
from mobilenets.features.images import ImageFeatures, Widths, check_tensors
from mobilenets.features.known import MAX_DISTANCES, Known
from mobilenets.features.lookup import Lookup
from mobilenets.features.neighbours import Features, Indices, Neighbours, nearest, roots
from mobilenets.features.unlike import Reference, Spread, known_measures, largest, levels_of
from mobilenets.model_card import ModelCard
from mobilenets.system.files import write_atomic
from mobilenets.system.tensor_file import Array, pack, unpack

FILE = "index.safetensors"
HELD_OUT = "held_out_"  # before the names of their tensors
MAX_IMAGES = 20_000  # of a larger data set so many are looked at, and of each class those kept that cover it
PER_CLASS = 200
MAX_COMPARED = 5_000  # photographs with all others, for the strangest: a few seconds
NEAREST = 3  # of the training photographs, that are named beside an answer
FORMAT = "3"  # 1 had neither lengths nor held-out photographs, 2 no means
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
        How unlike they are, 1 for about the farthest twentieth of known photos (`features.unlike`); which fraction of
        known photos is as unlike or more so, above 0 and up to 1.
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
    spread, levels
        Of the means that the training photographs have, None of a probe; what few known photos exceed by each measure.
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
    spread: Spread | None
    levels: Features
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
    def reference(self) -> Reference:
        """What photographs are compared with."""
        return Reference.of(self.train, self.spread)

    @cached_property
    def lookup(self) -> Lookup:
        """Rows of the reference, for photographs that come one after another."""
        return Lookup(self.reference.rows)

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
        rows = self.reference.rows
        near = nearest(rows[some], rows, 1, some, own)
        distances = near.distances[:, 0]
        order = np.argsort(-distances, kind="stable")[:count]
        return [(int(some[i]), int(near.rows[i, 0]), float(distances[i])) for i in order if np.isfinite(distances[i])]

    def likeness(self, seen: Embeddings) -> list[Likeness]:
        """How like the training photos each photo is.

        Parameters
        ----------
        seen
            What the engine of the same run gives of n photos.

        Returns
        -------
        list of Likeness
            One for each, with its nearest three.

        Raises
        ------
        ModelFileError
            As `nearest`.
        """
        near = self.nearest(seen.features, NEAREST)
        distances = largest(self.reference.measures(near, seen), self.levels)
        known = self.known.of_distances(distances)
        return [
            Likeness(distance, value, tuple(self.paths[i] for i in rows))
            for distance, value, rows in zip(distances.tolist(), known.tolist(), near.rows.tolist(), strict=True)
        ]

    def write(self, path: Path) -> None:
        """Write the file at `path` in one step; the same index gives the same bytes."""
        tensors: dict[str, Array] = {
            **self.train.tensors(""),
            **self.held_out.tensors(HELD_OUT),
            **({} if self.spread is None else {"centre": self.spread.centre, "whitening": self.spread.whitening}),
            "levels": self.levels,
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
        counts as neighbour: groups are numbered as those of `train`. Without means neither part is to have any.
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
    spread = Spread.of(train.means) if train.means.shape[1] else None
    if per_class is not None:
        train = train.take(choose_covering(roots(train.features), train.labels, per_class))
    few = len(np.unique(held_out.groups)) < FEW_HELD_OUT
    measures = known_measures(train, held_out, Reference.of(train, spread), own=few)
    groups = np.append(held_out.groups, train.groups) if few else held_out.groups
    near = np.isfinite(measures).all(1)  # of a single group nothing can be told
    levels = levels_of(measures[near])
    known = Known.of(largest(measures[near], levels), groups[near])
    some = np.unique(np.linspace(0, len(held_out) - 1, min(len(held_out), MAX_DISTANCES)).astype(np.int64))
    return FeatureIndex(train, held_out.take(some), spread, levels, known, model)


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
        means = card.net.earlier_map.channels if "centre" in tensors else 0
        return _checked(tensors, Widths(card.net.head_width, means), kinds, metadata["model"])
    except (ValueError, KeyError) as error:
        raise ModelFileError(f"{path}: damaged ({error}); put back the run's own, or remove it") from error


def _checked(tensors: dict[str, Array], widths: Widths, kinds: int, model: str) -> FeatureIndex:
    """The index of a file's tensors, for features of these `widths` and labels below `kinds`.

    Raises
    ------
    ValueError, KeyError
        They contradict each other or that.
    """
    train, held_out = (ImageFeatures.from_tensors(tensors, prefix, widths, kinds) for prefix in ("", HELD_OUT))
    if len(train) == 0:
        raise ValueError("no photo")
    known = Known(tensors["distances"], tensors["known"])
    named = len(known.distances)
    check_tensors(tensors, {"distances": (np.float32, (named,)), "known": (np.float32, (named + 1,))})
    spread = _spread(tensors, widths.means) if widths.means else None
    check_tensors(tensors, {"levels": (np.float32, (1 if spread is None else 2,))})
    levels = tensors["levels"]
    if not (np.isfinite(levels).all() and levels.min() > 0):
        raise ValueError("levels that are none")
    for values, low, high in ((known.distances, 0, np.inf), (known.values[::-1], 0, 1)):
        if not (np.isfinite(values).all() and (np.diff(values) >= 0).all()):
            raise ValueError("distances in no order")
        if len(values) and not low <= values.min() <= values.max() <= high:
            raise ValueError("distances out of range")
    return FeatureIndex(train, held_out, spread, levels, known, model)


def _spread(tensors: dict[str, Array], width: int) -> Spread:
    check_tensors(tensors, {"centre": (np.float32, (width,)), "whitening": (np.float32, (width, width))})
    spread = Spread(tensors["centre"], tensors["whitening"])
    if not (np.isfinite(spread.centre).all() and np.isfinite(spread.whitening).all()):
        raise ValueError("a spread of no numbers")
    return spread
