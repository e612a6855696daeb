"""`data.csv` of a run: every photograph with its class, its split and what tells its content from any other."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from sys import intern

import numpy as np
from numpy.typing import NDArray

from mobilenets.data.content import DIGEST_BYTES, UNKNOWN_SIZE, Digests, Sizes, content_digests, content_sizes
from mobilenets.data.samples import Samples, Splits
from mobilenets.data.tiles import photo_digest
from mobilenets.errors import DataError
from mobilenets.system.files import open_atomic

FILE = "data.csv"
COLUMNS = ("path", "label", "split", "bytes", "sha256", "folder")
EARLIER = "earlier"  # the split of what only the run that this one began with was trained on
LISTED_SPLITS = ("train", "val", "test", EARLIER)
# Of a larger data set training begins before all contents were read: these are hashed when it has ended.
MAX_HASHED_FIRST = 100_000


@dataclass(frozen=True)
class Manifest:
    """Photographs as columns: row i is `paths[i]` below `folders[i]` (absolute), of the class `labels[i]`.

    `splits[i]` is one of `LISTED_SPLITS`; `sizes` int64 (N,) in bytes, -1 where the content was not read; `digests`
    uint8 (N, 32), SHA-256 of the file's bytes (of the member's in a container), zeros where it was not read. Rows of a
    split are in the order that training goes by.
    """

    paths: list[str]
    labels: list[str]
    splits: list[str]
    sizes: Sizes
    digests: Digests
    folders: list[str]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def hashed(self) -> NDArray[np.bool_]:
        """Which rows know their content, bool (N,)."""
        known: NDArray[np.bool_] = self.sizes != UNKNOWN_SIZE
        return known

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Split and path of every row."""
        return list(zip(self.splits, self.paths, strict=True))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that were trained, sorted."""
        return tuple(sorted({label for label, split in zip(self.labels, self.splits, strict=True) if split == "train"}))

    def of(self, *splits: str) -> NDArray[np.int64]:
        """The rows of some splits, in their order."""
        return np.flatnonzero(np.isin(self.splits, splits)) if len(self) else np.zeros(0, np.int64)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Manifest:
        """Some of its rows."""
        rows = np.asarray(rows, np.int64)
        texts = ([column[i] for i in rows] for column in (self.paths, self.labels, self.splits, self.folders))
        paths, labels, splits, folders = texts
        return Manifest(paths, labels, splits, self.sizes[rows], self.digests[rows], folders)

    def relabelled(self, split: str) -> Manifest:
        """The same rows, all of the split `split`."""
        return replace(self, splits=[split] * len(self))

    def with_content_of(self, other: Manifest, rows: Sequence[tuple[int, int]]) -> Manifest:
        """The same rows; where `rows` pairs one with one of `other`, with what is known of that one's content."""
        mine, theirs = np.array(rows, np.int64).reshape(-1, 2).T
        sizes, digests = self.sizes.copy(), self.digests.copy()
        sizes[mine], digests[mine] = other.sizes[theirs], other.digests[theirs]
        return replace(self, sizes=sizes, digests=digests)

    def __add__(self, other: Manifest) -> Manifest:
        return Manifest(
            self.paths + other.paths,
            self.labels + other.labels,
            self.splits + other.splits,
            np.concatenate([self.sizes, other.sizes]),
            np.concatenate([self.digests, other.digests]),
            self.folders + other.folders,
        )

    def content(self, row: int) -> bytes:
        """The digest that the photograph of a row is known by: that of its file, of a tile that of its photo."""
        return photo_digest(self.paths[row]) or self.digests[row].tobytes()

    @cached_property
    def split_of_content(self) -> dict[bytes, str]:
        """From the digest of every photograph that was read to its split; trained on, if any copy or tile was."""
        known: dict[bytes, str] = {}
        for i in np.flatnonzero(self.hashed).tolist():
            digest, split = self.content(i), self.splits[i]
            if known.get(digest) not in ("train", EARLIER):
                known[digest] = split
        return known

    def recognise(self, samples: Samples) -> list[str | None]:
        """The split of the row with the same content, for every sample; None where there is none.

        A tile counts as the photo that it is of, among the rows and the samples. Only photographs with the size of one
        of the rows are read, where no row is a tile.
        """
        known = self.split_of_content
        photos = [photo_digest(str(samples.path(i))) for i in range(len(samples))]
        found = [None if digest is None else known.get(digest) for digest in photos]
        unread = np.flatnonzero([digest is None for digest in photos])
        if not any(map(photo_digest, self.paths)):
            unread = unread[np.isin(content_sizes(samples.take(unread)), self.sizes[self.hashed])]
        digests = content_digests(samples.take(unread))[1]
        for i, digest in zip(unread.tolist(), digests, strict=True):
            found[i] = known.get(digest.tobytes())
        return found

    def write(self, path: Path) -> None:
        """Write the file in one step."""
        with open_atomic(path) as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(COLUMNS)
            rows.writerows(self._rows())

    def _rows(self) -> Iterator[tuple[str, ...]]:
        hashed = self.hashed.tolist()
        names = zip(self.paths, self.labels, self.splits, self.sizes.tolist(), self.folders, strict=True)
        for i, (path, label, split, size, folder) in enumerate(names):
            digest = self.digests[i].tobytes().hex() if hashed[i] else ""
            yield path, label, split, str(size) if hashed[i] else "", digest, folder

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read what `write` wrote.

        Raises
        ------
        UserError
            Not such a file, or a damaged one.
        """
        paths: list[str] = []
        labels: list[str] = []
        splits: list[str] = []
        folders: list[str] = []
        sizes: list[int] = []
        digests = bytearray()
        line = 1
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = csv.reader(file)
                if tuple(next(rows, ())) != COLUMNS:
                    raise ValueError(f"its columns are not {','.join(COLUMNS)}")
                for name, label, split, size, digest, folder in rows:
                    line = rows.line_num
                    if split not in LISTED_SPLITS:
                        raise ValueError(f"split {split!r} is none of {', '.join(LISTED_SPLITS)}")
                    content = bytes.fromhex(digest)
                    if len(content) != (DIGEST_BYTES if size else 0):
                        raise ValueError("sha256 has the wrong length")
                    paths.append(name)
                    labels.append(intern(label))
                    splits.append(intern(split))
                    sizes.append(int(size) if size else UNKNOWN_SIZE)
                    digests += content or bytes(DIGEST_BYTES)
                    folders.append(intern(folder))
        except (ValueError, csv.Error) as error:
            raise DataError(f"{path}, line {line}: not what a run writes ({error}); put back the run's own") from error
        table = np.frombuffer(bytes(digests), np.uint8).reshape(-1, DIGEST_BYTES)
        return cls(paths, labels, splits, np.array(sizes, np.int64), table, folders)


def manifest_of(run: Path) -> Manifest | None:
    """What a run folder says of its data; None where it says nothing, as of a run older than `data.csv`.

    Raises
    ------
    UserError
        Its `data.csv` is damaged.
    """
    path = run / FILE
    if not path.is_file() or not (_is_ours(path) or (run / "config.yaml").exists()):
        return None
    return Manifest.read(path)


def listed_files(run: Path, names: Sequence[str]) -> list[Path | None]:
    """The files of photographs by their paths in the `data.csv` of a run; None of those that are not there any more."""
    manifest = manifest_of(run)
    folders = {} if manifest is None else dict(zip(manifest.paths, manifest.folders, strict=True))
    files = (Path(folders[name], name) if name in folders else None for name in names)
    return [file if file is not None and file.is_file() else None for file in files]


def _is_ours(path: Path) -> bool:
    """Whether it begins as `Manifest.write` does: in a folder that is no run it may be a list of anybody's."""
    with path.open("rb") as file:
        return file.readline(200).rstrip(b"\r\n") == ",".join(COLUMNS).encode()


def run_of(model: Path) -> Path | None:
    """The run folder that MODEL is, or lies in: beside it or as one of its exports; None without a `data.csv`."""
    folder = model.absolute() if model.is_dir() else model.absolute().parent
    for candidate in (folder, folder.parent.parent if folder.parent.name == "exports" else None):
        if candidate is not None and manifest_of(candidate) is not None:
            return candidate
    return None


def base_of(data: Path) -> Path:
    """The folder that the photographs of `data` are called relative to: it, or that of a CSV, a shard or a pattern."""
    if data.is_dir():
        return data
    base = data.parent
    while any(sign in str(base) for sign in "*?[{"):
        base = base.parent
    return base


def names_below(samples: Samples, base: Path) -> list[str]:
    """The path of every sample, relative to `base` where it lies there, as `data.csv` has it."""
    root = samples.root
    before = "" if root in ("", ".") else f"{root}{os.sep}".replace(os.sep * 2, os.sep)
    prefix = "" if str(base) == "." else f"{base}{os.sep}".replace(os.sep * 2, os.sep)
    names = []
    for i in range(len(samples)):
        name = samples.name(i).decode("utf-8", "surrogatepass")
        full = name if name.startswith(os.sep) else before + name
        full = full[len(prefix) :] if full.startswith(prefix) else full
        names.append(_text(full.replace(os.sep, "/")))
    return names


def _text(path: str) -> str:
    """A path as the file has it: names need not be UTF-8, and CSV readers may take a lone \\r for an end of line."""
    return path.encode(errors="backslashreplace").decode().replace("\r", "\\r")


def list_images(splits: Splits, data: Path, val: Path | None = None, *, content: bool = True) -> Manifest:
    """The rows of `splits`, as read from `data`, and their validation part from `val` if that is given.

    `content`: read every file for its size and digest.
    """
    parts = []
    for name, samples in (("train", splits.train), ("val", splits.val), ("test", splits.test)):
        base = base_of(val if val is not None and name == "val" else data)
        count = len(samples)
        labels = [splits.classes[k] for k in samples.labels.tolist()]
        if content:
            sizes, digests = content_digests(samples)
        else:
            sizes, digests = np.full(count, UNKNOWN_SIZE, np.int64), np.zeros((count, DIGEST_BYTES), np.uint8)
        folder = _text(str(base.absolute()))
        parts.append(Manifest(names_below(samples, base), labels, [name] * count, sizes, digests, [folder] * count))
    return parts[0] + parts[1] + parts[2]
