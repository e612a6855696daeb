"""The names of ImageNet's 1,000 classes, in the order of every published checkpoint.

`imagenet_classes.txt` has the names of torchvision's `_IMAGENET_CATEGORIES` (torchvision/models/_meta.py,
BSD-3-Clause, copyright Soumith Chintala 2016), one a line.
"""

from __future__ import annotations

from importlib.resources import files


def class_names() -> tuple[str, ...]:
    """1,000 names, all different."""
    text = files("mobilenets.weights").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
