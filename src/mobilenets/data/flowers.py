"""The tutorial's photographs: five classes of flowers, fetched, verified, unpacked and split."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mobilenets.data.sample import Sample
from mobilenets.data.split import check_val_fraction, train_val_split
from mobilenets.errors import DownloadError
from mobilenets.preprocess.formats import is_image
from mobilenets.system.cache_dir import cache_folder
from mobilenets.system.download import fetch
from mobilenets.system.files import check_new_folder

URL = "http://download.tensorflow.org/example_images/flower_photos.tgz"
MIRROR = "MOBILENETS_FLOWERS_URL"  # environment variable: the whole address of another copy
DIGEST = (  # as TensorFlow Datasets records it, in url_checksums/tf_flowers.txt
    "sha256:4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c"
)
VAL_FRACTION = 0.1  # the tutorial's

# The archive unpacks to 3,670 photographs and 230 MB; another one may not fill the disk.
_MAX_MEMBERS = 10_000
_MAX_BYTES = 2**30


def fetch_flowers(
    out: Path, val: float = VAL_FRACTION, seed: int = 0, *, url: str | None = None, digest: str = DIGEST
) -> dict[str, tuple[int, int]]:
    """Write `out`/train/CLASS and `out`/val/CLASS; returns (training, validation) counts by class.

    The archive is kept in the cache folder; `out` appears complete or not at all.

    Raises
    ------
    UserError
        `out` exists, no network, a wrong digest, or an archive of another layout.
    """
    check_new_folder(out)
    check_val_fraction("--val", val)
    address = url or os.environ.get(MIRROR) or URL
    archive = fetch(address, cache_folder("data") / "flower_photos.tgz", digest)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".flowers-") as temporary:
        folder = Path(temporary)
        samples, classes = _unpack(archive, folder / "all")
        splits = dict(zip(("train", "val"), train_val_split(samples, classes, val, seed), strict=True))
        for split, chosen in splits.items():
            for sample in chosen:
                target = folder / "split" / split / classes[sample.label] / sample.path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(sample.path, target)
        (folder / "split").replace(out)
    counts = {split: [s.label for s in chosen] for split, chosen in splits.items()}
    return {name: (counts["train"].count(k), counts["val"].count(k)) for k, name in enumerate(classes)}


def _unpack(archive: Path, folder: Path) -> tuple[list[Sample], tuple[str, ...]]:
    """Photographs of the archive, in `folder`/CLASS, as samples, and the class names."""
    found: list[tuple[str, Path]] = []
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member, name in _image_members(archive, tar):
                target = folder / name / PurePosixPath(member.name).name
                target.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(member)
                if source is not None:
                    with source, target.open("wb") as file:
                        shutil.copyfileobj(source, file)
                    found.append((name, target))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DownloadError(f"{archive}: cannot be unpacked ({error}); delete it and fetch again") from error
    classes = tuple(sorted({name for name, _ in found}))
    if len(classes) < 2:
        raise DownloadError(f"{archive}: holds no folders of photos; delete it and fetch again")
    return [Sample(path, classes.index(name)) for name, path in found], classes


def _image_members(archive: Path, tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """Regular files named TOP/CLASS/PHOTO, with their class; nothing else of an archive is touched.

    Only the last two parts of a name are used, so that no member can name a place outside the folder.
    """
    size = 0
    for count, member in enumerate(tar):
        size += member.size
        if count > _MAX_MEMBERS or size > _MAX_BYTES:
            raise DownloadError(f"{archive}: unpacks to more than {_MAX_BYTES} bytes; this is not the flower archive")
        parts = PurePosixPath(member.name).parts
        plain = len(parts) == 3 and ".." not in parts and not set(member.name) & set("\\:")  # Windows' own separators
        if member.isfile() and plain and is_image(parts[-1]):
            yield member, parts[1]
