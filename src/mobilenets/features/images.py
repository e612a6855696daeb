"""What a network saw in some photographs, as columns: a part of an index, in memory and among a file's tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobilenets.features.embeddings import Embeddings
from mobilenets.features.neighbours import Features, Indices, unit, widened
from mobilenets.system.tensor_file import Array

_COLUMNS = ("features", "lengths", "means", "labels", "groups")


class Widths(NamedTuple):
    """How many features there are of a photograph, and how many means."""

    features: int
    means: int


@dataclass(frozen=True)
class ImageFeatures:
    """Features of N photographs.

    Attributes
    ----------
    features
        float16 (N, D), each of length 1.
    lengths
        float32 (N,): what the network saw is these times the features.
    means
        float16 (N, C): of the channels of an earlier map (`Embeddings`); C is 0 of a network that was not fine-tuned.
    labels
        int64 (N,), as the classes of the network are numbered; of sets of K labels the rank of the rarest one, K of
        none.
    paths
        What the photographs are called.
    groups
        int64 (N,), equal for photographs that belong together.
    """

    features: NDArray[np.float16]
    lengths: Features
    means: NDArray[np.float16]
    labels: Indices
    paths: tuple[str, ...]
    groups: Indices

    @classmethod
    def of(
        cls,
        vectors: NDArray[np.floating],
        labels: Indices,
        paths: Sequence[str],
        groups: Indices | None = None,
        means: NDArray[np.floating] | None = None,
    ) -> ImageFeatures:
        """From what the network saw, (N, D), and `means` (N, C) of an earlier map; without `groups` each photograph
        stands for itself.

        Examples
        --------
        >>> images = ImageFeatures.of(np.array([[3.0, 4.0]]), np.array([0]), ["rose.jpg"])
        >>> images.lengths.tolist(), images.vectors.round(2).tolist()
        ([5.0], [[3.0, 4.0]])
        """
        rows = np.asarray(vectors, np.float32)
        lengths = np.linalg.norm(rows, axis=1)
        groups = np.arange(len(rows)) if groups is None else groups
        halves = np.zeros((len(rows), 0), np.float16) if means is None else means.astype(np.float16)
        return cls(unit(rows).astype(np.float16), lengths, halves, labels.astype(np.int64), tuple(paths), groups)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def vectors(self) -> Features:
        """What the network saw, float32 (N, D), as exactly as it is kept."""
        result: Features = widened(self.features) * self.lengths[:, None]
        return result

    @property
    def embeddings(self) -> Embeddings:
        """What the network saw, as exactly as it is kept."""
        return Embeddings(widened(self.features), self.lengths[:, None], widened(self.means))

    def take(self, rows: Indices) -> ImageFeatures:
        """Some of them."""
        paths = tuple(self.paths[i] for i in rows.tolist())
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return ImageFeatures(paths=paths, **columns)

    def __add__(self, other: ImageFeatures) -> ImageFeatures:
        """Both, where labels and groups mean the same."""
        joined = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in _COLUMNS}
        return ImageFeatures(paths=self.paths + other.paths, **joined)

    def tensors(self, prefix: str) -> dict[str, Array]:
        """The tensors of a file, whose names begin with `prefix`."""
        texts = [path.encode("utf-8", "surrogateescape") for path in self.paths]
        columns: dict[str, Array] = {
            "features": self.features,
            "lengths": self.lengths,
            "means": self.means,
            "labels": self.labels.astype(np.int32),
            "groups": self.groups,
            "paths": np.frombuffer(b"".join(texts), np.uint8),
            "path_ends": np.cumsum([len(text) for text in texts], dtype=np.int64),
        }
        return {prefix + name: tensor for name, tensor in columns.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Array], prefix: str, widths: Widths, kinds: int) -> ImageFeatures:
        """The inverse of `tensors`, for features and means of these `widths` and labels below `kinds`.

        Raises
        ------
        ValueError, KeyError
            They contradict each other.
        """
        names = (*_COLUMNS, "paths", "path_ends")
        features, lengths, means, labels, groups, text, ends = (tensors[prefix + name] for name in names)
        count = len(features)
        check_tensors(
            tensors,
            {
                f"{prefix}features": (np.float16, (count, widths.features)),
                f"{prefix}means": (np.float16, (count, widths.means)),
                f"{prefix}lengths": (np.float32, (count,)),
                f"{prefix}labels": (np.int32, (count,)),
                f"{prefix}groups": (np.int64, (count,)),
                f"{prefix}paths": (np.uint8, (len(text),)),
                f"{prefix}path_ends": (np.int64, (count,)),
            },
        )
        if count:
            if not (np.abs(np.linalg.norm(widened(features), axis=1) - 1) < 0.01).all():
                raise ValueError(f"{prefix}features that have not the length 1")
            if not (np.isfinite(lengths).all() and lengths.min() > 0):
                raise ValueError(f"{prefix}lengths that are none")
            if not np.isfinite(means).all():
                raise ValueError(f"{prefix}means that are no numbers")
            if labels.min() < 0 or labels.max() >= kinds:
                raise ValueError(f"{prefix}labels beyond the classes")
        starts = np.append(0, ends[:-1])
        if (ends < starts).any() or (count and (ends[0] < 0 or ends[-1] != len(text))):
            raise ValueError(f"{prefix}paths that do not follow each other")
        content = text.tobytes()
        names_of = zip(starts.tolist(), ends.tolist(), strict=True)
        paths = tuple(content[a:b].decode("utf-8", "surrogateescape") for a, b in names_of)
        return cls(features, lengths, means, labels.astype(np.int64), paths, groups)


def check_tensors(tensors: Mapping[str, Array], kinds: Mapping[str, tuple[type, tuple[int, ...]]]) -> None:
    """Refuse tensors of another kind or size than `kinds` says.

    Raises
    ------
    ValueError
        As said.
    """
    for name, (dtype, shape) in kinds.items():
        if tensors[name].dtype != dtype or tensors[name].shape != shape:
            raise ValueError(f"{name} of another size or kind")
