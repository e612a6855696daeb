"""Photos larger than a tile, cut once into files in the cache folder: a sample each, with the boxes that it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenets.data.content import UNKNOWN_SIZE, Digests, content_digests
from mobilenets.data.sample import Sample
from mobilenets.data.samples import Samples, SamplesBuilder
from mobilenets.data.sources.split_names import SPLITS
from mobilenets.data.sources.survey import Survey, count_text
from mobilenets.errors import DataError, UserError
from mobilenets.preprocess import decode
from mobilenets.preprocess.stored import stored
from mobilenets.system.cache_dir import cache_folder
from mobilenets.system.files import replacing
from mobilenets.system.progress import Progress
from mobilenets.tasks.detect.targets import NO_OBJECTS, boxes_of, text_of
from mobilenets.tasks.detect.tiles import OVERLAP, Tile, boxes_in, check_side, grid

# Counts the changes of how tiles are cut and stored, so that those of an earlier version are not used.
REVISION = 1
_WORKERS = 2  # each holds a photo of up to `opening.MAX_PIXELS`
# A photo that is a JPEG already loses next to nothing more; others stay as they are.
_JPEG: dict[str, Any] = {"format": "JPEG", "quality": 95, "subsampling": 0}
_PNG: dict[str, Any] = {"format": "PNG", "compress_level": 1}
# As `_files` puts them, in paths as `data.csv` has them.
_TILE_PATH = re.compile(
    r"tiles[/\\](?P<two>[0-9a-f]{2})[/\\](?P<photo>(?P=two)[0-9a-f]{62})[/\\][\w-]+[/\\]"
    r"(?P<stem>[\w-]*)_(?P<left>\d+)_(?P<top>\d+)\.\w+$"
)


@dataclass(frozen=True)
class Uncut:
    """Photos as they were given to `cut`: `samples`, and the SHA-256 of each, uint8 (N, 32)."""

    samples: Samples
    digests: Digests


@dataclass(frozen=True)
class _Cut:
    """A photo in tiles: their files, their boxes as label text, and whether it has more than 8 bits a channel."""

    files: list[Path]
    texts: list[str]
    is_deep: bool


def cut(samples: Samples, side: int, survey: Survey) -> Samples:
    """The photos, those with a side of more than `side` pixels in tiles, which belong to the group that the photo is.

    Tiles are JPEG of quality 95 where the photo is a JPEG, else PNG, in the cache folder under the photo's content, and
    are cut once. A photo that cannot be read stays as it is: who reads it tells why. What was cut goes to `survey`, of
    which `whole` finds the photos again.

    Raises
    ------
    UsageError
        `side` is too small for a photo.
    DataError
        The cache folder cannot be written.
    """
    check_side(side)
    digests = content_digests(samples)
    survey.uncut.append(Uncut(samples, digests[1]))
    found = SamplesBuilder("", survey, are_classes=False)

    def work(i: int) -> _Cut | None:
        size, digest = (column[i] for column in digests)
        sample = samples[i]
        return None if size == UNKNOWN_SIZE else _cut(sample, samples.names[sample.label], side, digest.tobytes())

    photos = tiles = empty = deep = 0
    with Progress("cutting tiles", len(samples), "photo") as progress, ThreadPoolExecutor(_WORKERS) as pool:
        for i, result in enumerate(pool.map(work, range(len(samples)))):
            sample, split = samples[i], SPLITS[samples.splits[i]]
            progress.advance()
            if result is None:
                name = samples.names[sample.label]
                found.add(str(sample.path), name, split, sample.group, sample.stratum, sample.member)
                continue
            photos, tiles, empty = photos + 1, tiles + len(result.files), empty + result.texts.count(NO_OBJECTS)
            deep += result.is_deep
            for file, text in zip(result.files, result.texts, strict=True):
                found.add(str(file), text, split, sample.group or str(sample.path), sample.stratum)
    survey.note(
        f"--tile {side}: {count_text(photos)} cut into {tiles:,} tiles that overlap by {100 * OVERLAP:.0f} %, "
        f"{empty:,} of them without objects; {count_text(len(samples) - photos)} small enough, or not readable"
    )
    if deep:
        survey.note(
            f"warning: --tile: {count_text(deep)} of more than 8 bits a channel; tiles have 8, black and white of each "
            "photo found for it alone"
        )
    return found.samples()


def whole(tiles: Samples, survey: Survey) -> tuple[tuple[str, ...], Samples]:
    """Label texts and samples of the photos that `tiles` show, once each, with all their boxes; from `cut`'s survey."""
    shown = {_photo_of(str(tile.path), tile.group) for tile in tiles}
    found = SamplesBuilder(are_classes=False)
    for given in survey.uncut:
        for sample, digest in zip(given.samples, given.digests, strict=True):
            path = str(sample.path)
            if (path, None) in shown or (digest.tobytes(), sample.group or path) in shown:
                found.add(path, given.samples.names[sample.label], "", sample.group, sample.stratum, sample.member)
    samples = found.samples()
    texts = samples.classes()
    return texts, samples.numbered(texts)


def _photo_of(path: str, group: str | None) -> tuple[str | bytes, str | None]:
    """What tells the photo of a tile from others, and from copies with other boxes; of a whole photo its path."""
    digest = photo_digest(path)
    return (path, None) if digest is None else (digest, group)


def photo_digest(path: str) -> bytes | None:
    """The SHA-256 of the photo that the tile in the file `path` was cut of; None of what is no tile.

    Examples
    --------
    >>> photo_digest(f"/cache/tiles/0f/{'0f' * 32}/640-25-1-2/field_4_300_0.png") == b"\\x0f" * 32
    True
    """
    found = _TILE_PATH.search(path)
    return bytes.fromhex(found["photo"]) if found else None


def tile_name(path: str) -> str | None:
    """What people call the tile in the file `path`, by its photo and where in it its upper left corner is; None: none.

    Examples
    --------
    >>> tile_name(f"/cache/tiles/0f/{'0f' * 32}/640-25-1-2/field_4_300_0.png")
    'field_4 at 300, 0'
    """
    found = _TILE_PATH.search(path)
    return f"{found['stem']} at {found['left']}, {found['top']}" if found else None


def _cut(sample: Sample, text: str, side: int, digest: bytes) -> _Cut | None:
    """The tiles of a photo, cut if they are not there; None where there is nothing to cut."""
    try:
        width, height = stored(sample.open()).upright
        if max(width, height) <= side:
            return None
        tiles = grid(width, height, side)
        is_deep = decode.is_deep(sample.open())
        is_jpeg = decode.header(sample.open())[0] == "JPEG"
        files = list(_files(sample, tiles, side, digest, ".jpg" if is_jpeg else ".png"))
        if not all(file.is_file() for file in files):
            _write(sample, tiles, files, _JPEG if is_jpeg else _PNG)
    except UserError:
        return None
    except OSError as error:
        raise DataError(
            f"--tile: {error.filename} cannot be written ({error.strerror}); make room, or set MOBILENETS_HOME to a "
            "folder elsewhere"
        ) from error
    boxes = boxes_of(text)
    return _Cut(files, [text_of(boxes_in(tile, boxes, width, height)) for tile in tiles], is_deep)


def _files(sample: Sample, tiles: list[Tile], side: int, digest: bytes, suffix: str) -> Iterator[Path]:
    """Where the tiles of a photo lie: below its content, by which it is known, and how they were cut.

    The photo's name is in theirs, for people.
    """
    how = f"{side}-{100 * OVERLAP:.0f}-{REVISION}-{decode.REVISION}"
    stem = re.sub(r"[^\w-]", "_", sample.path.stem.encode(errors="replace").decode())[:60]
    for tile in tiles:
        folder = cache_folder("tiles") / digest.hex()[:2] / digest.hex() / how
        yield folder / f"{stem}_{tile.left}_{tile.top}{suffix}"


def _write(sample: Sample, tiles: list[Tile], files: list[Path], options: dict[str, Any]) -> None:
    image = decode.read(sample.open())
    for tile, file in zip(tiles, files, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as part, part.open("wb") as target:
            box = (tile.left, tile.top, tile.left + tile.width, tile.top + tile.height)
            image.crop(box).save(target, **options)
