"""`index.safetensors` of a run: the features of its training photographs, and how unlike them known ones may be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenets.errors import DataError, ModelFileError
from mobilenets.features.coverage import choose_covering
from mobilenets.features.known import Known
from mobilenets.features.neighbours import Features, Indices, Neighbours, nearest, roots, unit
from mobilenets.model_card import ModelCard
from mobilenets.system.files import write_atomic
from mobilenets.system.tensor_file import Array, pack, unpack

FILE = "index.safetensors"
MAX_IMAGES = 20_000  # of a larger data set so many are looked at, and of each class those kept that cover it
PER_CLASS = 200
NEAREST = 3  # of the training photographs, that are named beside an answer
FORMAT = "1"
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
    features
        float16 (N, D), each of length 1.
    labels
        int64 (N,), as the classes of the network are numbered.
    paths
        As `data.csv` of the run has them.
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

    features: NDArray[np.float16]
    labels: Indices
    paths: tuple[str, ...]
    known: Known
    model: str

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def rows(self) -> Features:
        """What photographs are compared with: the roots of the features, float32 (N, D)."""
        return roots(self.features)

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
                f"features of shape {features.shape}: the index has {self.features.shape[1]} a photograph; "
                "use the model of the same run"
            )
        if not np.isfinite(features).all():
            raise ModelFileError("features that are no numbers: the model is damaged; train or export it again")
        return nearest(roots(features), self.rows, k)

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
        texts = [path.encode("utf-8", "surrogateescape") for path in self.paths]
        tensors: dict[str, Array] = {
            "features": self.features,
            "labels": self.labels.astype(np.int32),
            "paths": np.frombuffer(b"".join(texts), np.uint8),
            "path_ends": np.cumsum([len(text) for text in texts], dtype=np.int64),
            "distances": self.known.distances,
            "known": self.known.values,
        }
        write_atomic(path, pack(tensors, {"format": FORMAT, "model": self.model}))


def model_id(card: ModelCard) -> str:
    """What tells a trained network from others in all its forms, exported ones included."""
    facts = [card.name, list(card.classes), card.metrics]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def build_index(
    features: NDArray[np.floating],
    labels: Indices,
    paths: Sequence[str],
    model: str,
    held_out: NDArray[np.floating],
    groups: Indices | None = None,
    held_out_groups: Indices | None = None,
    per_class: int | None = None,
) -> FeatureIndex:
    """The index of training photographs.

    Parameters
    ----------
    features, labels, paths
        Of the training photographs: (N, D), int64 (N,) and N names.
    model
        `model_id` of the network's card.
    held_out
        Features (M, D) of photographs that the network was not trained on, which say how far known ones may be.
    groups, held_out_groups
        Numbers int64 (N,) and (M,), equal for photographs that belong together: none of the own group counts as
        neighbour. None: each photograph stands for itself.
    per_class
        Keep at most so many of each class, those that cover it; None: all.

    Raises
    ------
    UserError
        No training photographs, or features that are no numbers.
    """
    if len(features) == 0:
        raise DataError("no training photographs: an index needs one or more")
    if not (np.isfinite(features).all() and np.isfinite(held_out).all()):
        raise ModelFileError("features that are no numbers: the network is damaged; train it again")
    groups = np.arange(len(features)) if groups is None else groups
    held_out_groups = -1 - np.arange(len(held_out)) if held_out_groups is None else held_out_groups
    if per_class is not None:
        kept = choose_covering(roots(features), labels, per_class)
        features, labels, groups, paths = features[kept], labels[kept], groups[kept], [paths[i] for i in kept]
    stored = unit(features).astype(np.float16)
    rows = roots(stored)  # distances as they will be seen
    distances = nearest(roots(held_out), rows, 1, held_out_groups, groups).distances[:, 0]
    if len(np.unique(held_out_groups)) < FEW_HELD_OUT:
        distances = np.append(distances, nearest(rows, rows, 1, groups, groups).distances[:, 0])
        held_out_groups = np.append(held_out_groups, groups)
    near = np.isfinite(distances)  # of a single group nothing can be told
    return FeatureIndex(
        stored, labels.astype(np.int64), tuple(paths), Known.of(distances[near], held_out_groups[near]), model
    )


def read_index(path: Path, card: ModelCard) -> FeatureIndex:
    """The index at `path`, which is to be that of the network of `card`.

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
        return _checked(tensors, card, metadata["model"])
    except (ValueError, KeyError) as error:
        raise ModelFileError(f"{path}: damaged ({error}); put back the run's own, or remove it") from error


def find_index(model: Path, card: ModelCard) -> FeatureIndex | None:
    """The index that lies beside a model file or in its run folder; None: there is none.

    Raises
    ------
    UserError
        It is damaged, or that of another network.
    """
    path = (model if model.is_dir() and model.suffix != ".mlpackage" else model.parent) / FILE
    return read_index(path, card) if path.is_file() else None


def need_index(model: Path, card: ModelCard) -> FeatureIndex:
    """As `find_index`, for what cannot do without.

    Raises
    ------
    UserError
        There is none, or a damaged one.
    """
    index = find_index(model, card)
    if index is None:
        raise ModelFileError(f"{model}: has no {FILE} beside it, so nothing tells what is unknown; train again")
    return index


def _checked(tensors: dict[str, Array], card: ModelCard, model: str) -> FeatureIndex:
    """The index of a file's tensors.

    Raises
    ------
    ValueError, KeyError
        They contradict each other or the card.
    """
    features, labels, text, ends = (tensors[name] for name in ("features", "labels", "paths", "path_ends"))
    known = Known(tensors["distances"], tensors["known"])
    count, width, named = len(features), card.net.head_width, len(known.distances)
    shapes = {
        "features": (np.float16, (count, width)),
        "labels": (np.int32, (count,)),
        "paths": (np.uint8, (len(text),)),
        "path_ends": (np.int64, (count,)),
        "distances": (np.float32, (named,)),
        "known": (np.float32, (named + 1,)),
    }
    for name, (dtype, shape) in shapes.items():
        if tensors[name].dtype != dtype or tensors[name].shape != shape:
            raise ValueError(f"{name} of another size or kind")
    lengths = np.linalg.norm(features.astype(np.float32), axis=1)
    if count == 0 or not (np.abs(lengths - 1) < 0.01).all():
        raise ValueError("features that have not the length 1")
    if labels.min() < 0 or labels.max() >= len(card.classes):
        raise ValueError("labels beyond the classes")
    starts = np.append(0, ends[:-1])
    if (ends < starts).any() or ends[0] < 0 or ends[-1] != len(text):
        raise ValueError("paths that do not follow each other")
    for values, low, high in ((known.distances, 0, 2), (known.values[::-1], 0, 1)):
        if not (np.isfinite(values).all() and (np.diff(values) >= 0).all()):
            raise ValueError("distances in no order")
        if len(values) and not low <= values.min() <= values.max() <= high:
            raise ValueError("distances out of range")
    content = text.tobytes()
    paths = tuple(content[a:b].decode("utf-8", "surrogateescape") for a, b in zip(starts, ends, strict=True))
    return FeatureIndex(features, labels.astype(np.int64), paths, known, model)
