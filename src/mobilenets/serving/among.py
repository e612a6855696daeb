"""What `/similar` looks among: the features of photos, and the names by which clients may know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from mobilenets.features.lookup import Lookup
from mobilenets.features.neighbours import Features, roots
from mobilenets.runtime.predictor import Row


@dataclass(frozen=True)
class Among:
    """Photos to look among.

    Attributes
    ----------
    rows
        float32 (N, D), the roots of their features.
    names
        Of each what a client is told.
    """

    rows: Features
    names: tuple[str, ...]

    @classmethod
    def of(cls, rows: Features, paths: Sequence[str]) -> Among:
        """With the names of `paths` that a client may know."""
        return cls(rows, tuple(without_server_folders(path) for path in paths))

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(self.rows)

    def alike(self, row: Row, top: int) -> dict[str, Any]:
        """The `top` photos that are most like the one of `row`, in the words of `mobilenets similar --json`."""
        assert row.features is not None  # the predictor keeps them
        near = self._lookup.nearest(roots(row.features[None]), top)
        found = zip(near.distances[0].tolist(), near.rows[0].tolist(), strict=True)
        return {"similar": [{"path": self.names[i], "similarity": round(1 - distance, 6)} for distance, i in found]}


def without_server_folders(path: str) -> str:
    """A path that a client may know: below the data's folder as it is, of any other the file's name alone."""
    is_absolute = PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()
    return PureWindowsPath(path).name if is_absolute else path
