"""What a run's `data.csv` lists, found again in its data as that is now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.content import content_digests, content_sizes
from mobilenets.data.manifest import EARLIER, MAX_HASHED_FIRST, Manifest, list_images
from mobilenets.data.samples import Samples, Splits
from mobilenets.data.sources.survey import count_text
from mobilenets.data.tiles import tile_name


@dataclass(frozen=True)
class Matched:
    """The photographs that are what they were, in the splits and the order of the run, and names of the others.

    `came`: not in `data.csv`. `gone`: in it, but not found. `changed`: of other content. `relabelled`: of another
    class. `moved`: how many were known by their content, under another name; they are among `splits`.
    """

    splits: Splits
    came: tuple[str, ...]
    gone: tuple[str, ...]
    changed: tuple[str, ...]
    relabelled: tuple[str, ...]
    moved: int

    @property
    def is_exact(self) -> bool:
        """Whether every photograph of the run is there as it was."""
        return not (self.gone or self.changed or self.relabelled)

    def describe(self) -> list[str]:
        """A line for every kind of difference."""
        kinds = (
            (self.came, "came since and {are} left out"),
            (self.gone, "{are} gone"),
            (self.changed, "{are} changed and left out"),
            (self.relabelled, "{are} labelled otherwise now and left out"),
        )
        lines = [
            f"{_counted(names)} {what.format(are='is' if len(names) == 1 else 'are')}: "
            f"{some([tile_name(name) or name for name in names])}"
            for names, what in kinds
            if names
        ]
        if self.moved:
            lines.append(
                f"{count_text(self.moved)} {'has' if self.moved == 1 else 'have'} another name now, known by content"
            )
        return lines


def _counted(names: Sequence[str]) -> str:
    if not all(map(tile_name, names)):
        return count_text(len(names))
    return "1 tile" if len(names) == 1 else f"{len(names):,} tiles"


def some(names: Sequence[str], shown: int = 3) -> str:
    """The first names, and how many more there are."""
    printable = [name if name.isprintable() else ascii(name) for name in names[:shown]]
    rest = len(names) - len(printable)
    return ", ".join(printable) + (f" and {rest:,} more" if rest else "")


def match(manifest: Manifest, found: Splits, data: Path, val: Path | None = None) -> Matched:
    """Find the photographs of `manifest` among `found`, which was read from `data` and, validation, from `val`.

    By their path below the data, then by content, wherever it lies. Contents are compared where the run knows them;
    of data sets beyond `MAX_HASHED_FIRST` only their sizes. How `found` is split does not matter.
    """
    everything = Samples.joined([found.train, found.val, found.test])
    listed = list_images(found, data, val, content=False)
    rows = manifest.of("train", "val", "test")
    partner = _by_path(manifest, rows, listed, apart=val is not None)
    same_label = {row: i for row, i in partner.items() if manifest.labels[row] == listed.labels[i]}
    relabelled = {row: i for row, i in partner.items() if row not in same_label}
    kept = _unchanged(manifest, same_label, everything)

    lost = [row for row in rows.tolist() if row not in kept and row not in relabelled]
    taken = {*kept.values(), *relabelled.values()}
    free = [i for i in range(len(listed)) if i not in taken]
    elsewhere = _by_content(manifest, lost, everything, free)
    moved = {row: i for row, i in elsewhere.items() if manifest.labels[row] == listed.labels[i]}
    relabelled |= {row: i for row, i in elsewhere.items() if row not in moved}
    kept |= moved

    changed = [row for row in lost if row in same_label and row not in elsewhere]
    gone = [row for row in lost if row not in same_label and row not in elsewhere]
    taken = {*kept.values(), *relabelled.values(), *(same_label[row] for row in changed)}
    came = [i for i in free if i not in taken]
    if came and len(manifest.of(EARLIER)):  # in the data from the start, and left out as it was trained on before
        known = manifest.recognise(everything.take(np.array(came, np.int64)))
        came = [i for i, split in zip(came, known, strict=True) if split != EARLIER]

    def of_split(name: str) -> Samples:
        return everything.take(np.array([kept[row] for row in manifest.of(name).tolist() if row in kept], np.int64))

    def names(some_rows: Iterable[int]) -> tuple[str, ...]:
        return tuple(manifest.paths[row] for row in some_rows)

    return Matched(
        Splits(found.classes, of_split("train"), of_split("val"), of_split("test"), found.survey),
        tuple(listed.paths[i] for i in came),
        names(gone),
        names(changed),
        names(sorted(relabelled)),
        len(moved),
    )


def _by_path(manifest: Manifest, rows: NDArray[np.int64], listed: Manifest, apart: bool) -> dict[int, int]:
    """From rows of `manifest` to those of `listed` with the same path; one that is listed twice is found twice.

    `apart`: validation photographs have a folder of their own, where others may have the same names.
    """
    waiting: dict[tuple[bool, str], list[int]] = defaultdict(list)
    for i in reversed(range(len(listed))):
        waiting[apart and listed.splits[i] == "val", listed.paths[i]].append(i)
    partner = {}
    for row in rows.tolist():
        same = waiting.get((apart and manifest.splits[row] == "val", manifest.paths[row]))
        if same:
            partner[row] = same.pop()
    return partner


def _unchanged(manifest: Manifest, partner: dict[int, int], everything: Samples) -> dict[int, int]:
    """Those of `partner` whose content is still the one that was hashed."""
    if not manifest.hashed.any():  # stopped before a data set this large was hashed
        return dict(partner)
    rows, found = np.array(list(partner), np.int64), everything.take(np.array(list(partner.values()), np.int64))
    if len(manifest) > MAX_HASHED_FIRST:
        same = content_sizes(found) == manifest.sizes[rows]
    else:
        sizes, digests = content_digests(found)
        same = (sizes == manifest.sizes[rows]) & (digests == manifest.digests[rows]).all(1)
    return {int(row): partner[int(row)] for row in rows[same]}


def _by_content(manifest: Manifest, lost: list[int], everything: Samples, free: list[int]) -> dict[int, int]:
    """From rows of `manifest` to samples of the same content that no row has yet."""
    hashed = [row for row in lost if manifest.hashed[row]]
    if not hashed or not free:
        return {}
    candidates = everything.take(np.array(free, np.int64))
    likely = np.flatnonzero(np.isin(content_sizes(candidates), manifest.sizes[hashed]))
    digests = content_digests(candidates.take(likely))[1]
    waiting: dict[bytes, list[int]] = defaultdict(list)
    for k, digest in zip(reversed(likely.tolist()), reversed(digests), strict=True):
        waiting[digest.tobytes()].append(free[k])
    partner = {}
    for row in hashed:
        same = waiting.get(manifest.digests[row].tobytes())
        if same:
            partner[row] = same.pop()
    return partner
