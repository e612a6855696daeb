"""Darknet's `obj.data`, as CVAT's "YOLO 1.1" writes it: where the names of the classes and the lists of photos are."""

from __future__ import annotations

import re
from pathlib import Path

from mobilenets.data.sources.boxes.data_yaml import DataYaml
from mobilenets.data.sources.boxes.files import beginning, read_text
from mobilenets.errors import DataError

SUFFIX = ".data"
_SPLITS = {"train": "train", "valid": "val", "test": "test"}
_NAMES = re.compile(rb"^[ \t]*names[ \t]*=", re.MULTILINE)


def is_darknet(path: Path) -> bool:
    """Whether a file says where names of classes are."""
    return _NAMES.search(beginning(path)) is not None


def read_darknet(path: Path) -> DataYaml:
    """What the file says, as a `data.yaml` would; its paths are those of the machine that trains.

    Raises
    ------
    DataError
        The names are not beside it.
    """
    pairs = (line.partition("=") for line in read_text(path).splitlines())
    values = {key.strip(): value.strip() for key, _, value in pairs}
    names = path.parent / values["names"].replace("\\", "/").rpartition("/")[2]
    if not names.is_file():
        raise DataError(f"{path}: names is {values['names'][:120]!a}; put that file beside it")
    parts = {split: [values[key]] for key, split in _SPLITS.items() if values.get(key)}
    return DataYaml(parts, class_names(names), False)


def class_names(path: Path) -> list[str]:
    """A name in each line."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]
