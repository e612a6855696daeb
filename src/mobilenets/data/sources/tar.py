"""WebDataset shards: tar files of photographs, each with its class in a `.cls` or `.json` beside it.

A shard is read through once for the places of its members and their classes; the index is kept. From then on a
photograph inside is as random to reach as a file, so that splitting, shuffling and resuming need nothing of their own.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mobilenets.data.cache.fingerprint import FileFingerprint
from mobilenets.data.sample import Member
from mobilenets.data.samples import Samples, SamplesBuilder
from mobilenets.data.sources.split_names import split_of_shard
from mobilenets.data.sources.survey import Survey, Tally
from mobilenets.data.walk import count_unseen
from mobilenets.errors import DataError, MissingExtraError
from mobilenets.preprocess.formats import SNIFFED, is_image, reads, sniff
from mobilenets.system.cache_dir import cache_folder
from mobilenets.system.files import write_atomic
from mobilenets.system.progress import Progress

_VERSION = 2  # of the index's form
_MAX_BYTES = 2**28  # of a photograph: what a tar claims must not reserve memory
_MAX_LABEL_BYTES = 2**20

Entry = tuple[str, str, int, int]  # name inside the shard, class, offset and length in bytes


@dataclass(frozen=True)
class TarShard:
    """An uncompressed tar file, as it was when it was indexed; coordinates are offset and length."""

    path: Path
    fingerprint: FileFingerprint

    def read(self, offset: int, extent: int) -> bytes:
        """The member's bytes.

        Raises
        ------
        UnreadableImage
            The shard is gone or was changed since.
        """
        with self.fingerprint.opened(self.path) as file:
            file.seek(offset)
            return file.read(extent)


def expand(pattern: str) -> list[Path]:
    """The files that a pattern with braces, as `shards/{000..099}.tar`, names."""
    return [Path(path) for path in _webdataset("shardlists").expand_urls(pattern)]


def read_shards(files: Sequence[Path]) -> tuple[Samples, Survey]:
    """The photographs of all shards, each called SHARD/NAME.

    Raises
    ------
    UserError
        A shard that is no tar, is compressed or damaged; a photograph without class.
    """
    survey = Survey()
    found = SamplesBuilder(survey=survey)
    with Progress("reading shards", len(files), "shard") as progress:
        for path in files:
            shard = TarShard(path, FileFingerprint.of(path))
            split = split_of_shard(path.stem)
            entries, left_out = _index(shard)
            survey.add(left_out)
            for name, label, offset, extent in entries:
                found.add(f"{path}/{name}", label, split, member=Member(shard, offset, extent))
            progress.advance()
    return found.samples(), found.survey


def _index(shard: TarShard) -> tuple[list[Entry], Survey]:
    """The shard's entries and what is no entry, from the index kept of it if there is one."""
    key = hashlib.sha256(
        repr((_VERSION, str(shard.path.resolve()), shard.fingerprint)).encode(errors="surrogateescape")
    )
    kept = cache_folder("shards") / f"{key.hexdigest()[:32]}.json"
    try:
        content = json.loads(kept.read_text("utf-8"))
        entries = [(name, label, offset, extent) for name, label, offset, extent in content["entries"]]
        tallies = {kind: Tally(count, Counter(names)) for kind, (count, names) in content["left_out"].items()}
        return entries, Survey(notes=list(map(str, content["notes"])), left_out=tallies)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none yet, or not one of ours
        pass
    survey = Survey()
    entries = list(_entries(shard.path, shard.fingerprint.size, survey))
    left_out = {kind: (tally.count, tally.names) for kind, tally in survey.left_out.items()}
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, json.dumps({"entries": entries, "notes": survey.notes, "left_out": left_out}))
    except OSError:  # no place for it: the shard is read through again next time
        pass
    return entries, survey


def _entries(path: Path, size: int, survey: Survey) -> Iterator[Entry]:
    split_name = _webdataset("tariterators").base_plus_ext
    image: tuple[str, int, int] | None = None
    label: str | None = None
    sample, more = "", 0
    for member, beginning in _members(path):
        # A name without a suffix is no member of a sample to webdataset; a photograph it can be all the same.
        key, suffix = split_name(member.name)
        key, suffix = (key, suffix) if key is not None else (member.name, "")
        if count_unseen(Path(key).name, survey):
            continue
        if key != sample:
            yield from _entry(path, sample, image, label)
            sample, image, label = key, None, None
        if member.offset_data + member.size > size:
            raise DataError(f"{path}: is cut short; copy it again from where it came")
        if suffix.lower() in ("cls", "json"):
            label = _label(path, member.name, beginning(_MAX_LABEL_BYTES)) or label
            continue
        # Its suffix is trusted, as a file's is: what it is shows when it is decoded.
        kind = "" if is_image(f"x.{suffix}") else sniff(beginning(SNIFFED), f".{suffix.lower()}")
        if kind and not reads(kind):
            survey.leave_out(kind, member.name)
        elif image is not None:
            more += 1
        elif member.size > _MAX_BYTES:
            raise DataError(f"{path}: {member.name} is larger than {_MAX_BYTES} bytes; this is no photo")
        else:
            image = member.name, member.offset_data, member.size
    yield from _entry(path, sample, image, label)
    if more:
        survey.note(f"{path}: {more:,} photos beside the first of their sample are left out")


def _entry(path: Path, sample: str, image: tuple[str, int, int] | None, label: str | None) -> Iterator[Entry]:
    if image is not None:
        name, offset, extent = image
        if label is None:
            raise DataError(
                f"{path}: {name} has no class; put it into {sample}.cls, or into {sample}.json as label; unpack a tar "
                "whose folders are its classes"
            )
        yield name, label, offset, extent


def _beginning(tar: tarfile.TarFile, member: tarfile.TarInfo, size: int) -> bytes:
    file = tar.extractfile(member)
    assert file is not None  # as it is for what is no regular file
    return file.read(size)


def _members(path: Path) -> Iterator[tuple[tarfile.TarInfo, Callable[[int], bytes]]]:
    """Every regular file of a tar, and a function that reads so many bytes of its beginning."""
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # or it would keep them all
                if member.isreg():
                    yield member, partial(_beginning, tar, member)
    except tarfile.ReadError as error:
        remedy = "a compressed one has to be unpacked first (gunzip)" if _is_compressed(path) else "copy it again"
        raise DataError(f"{path}: not a readable tar file ({error}); {remedy}") from error


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))


def _label(path: Path, name: str, content: bytes) -> str | None:
    """The class in a `.cls` (its text) or a `.json` (its `label`, if it has one)."""
    try:
        text = content.decode().strip()
        if not name.lower().endswith(".json"):
            return text or None
        value = json.loads(text)
        value = value.get("label") if isinstance(value, dict) else None
    except ValueError as error:
        raise DataError(f"{path}: {name} is not UTF-8 text or not JSON ({error})") from error
    return None if value is None else str(value)


def _webdataset(module: str) -> Any:
    """A module of the webdataset library, which says how shards are named and samples are grouped."""
    from importlib import import_module

    try:
        return import_module(f"webdataset.{module}")
    except ModuleNotFoundError:
        raise MissingExtraError("webdataset is not installed; run: pip install 'mobilenets[shards]'") from None
