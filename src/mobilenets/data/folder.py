"""Photographs in class folders, or in train/ and val/ with class folders in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from mobilenets.data.records import PART_NAMES, Finding, Records
from mobilenets.data.walk import visible_files
from mobilenets.errors import UserError
from mobilenets.preprocess.formats import is_image


def read_folder(data: Path) -> Records:
    """The photographs of every class folder; none where `data` holds no folders of images.

    Raises:
        UserError: a folder that cannot be opened, or a class folder to train on without images: a class that
            silently goes missing would be noticed only by whoever uses the model.
    """
    found = Finding(str(data))
    empty: list[Path] = []
    for folder, part in _class_folders(data):
        before = len(found)
        for path in _images(folder, data):
            found.add(path, folder.name, part)
        if len(found) == before and part in ("", "train"):
            empty.append(folder)
    if empty and len(found):
        raise UserError(f"{empty[0]}: holds no images; add some, or move the folder away if it is no class")
    return found.records()


def _class_folders(data: Path) -> list[tuple[Path, str]]:
    """Every class folder, and the part it belongs to: "" where `data` has no train/ and val/."""
    folders = _folders(data)
    parts = {folder: PART_NAMES[folder.name.lower()] for folder in folders if folder.name.lower() in PART_NAMES}
    if not _is_split(folders, parts):
        return [(folder, "") for folder in folders]
    return [(name, part) for folder, part in parts.items() for name in _folders(folder)]


def _is_split(folders: Sequence[Path], parts: dict[Path, str]) -> bool:
    """Whether train/ is a part, not a class (beside bus/ and car/): a part has folders, no images, in it."""
    if len(parts) == len(folders):
        return True
    training = [folder for folder, part in parts.items() if part == "train"]
    return bool(training) and not any(is_image(path) for folder in training for path in folder.iterdir())


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _images(folder: Path, data: Path) -> Iterator[str]:
    """Every image below `folder`, relative to `data`."""
    start = len(str(folder)) - len(str(folder.relative_to(data)))  # of a million paths, none is taken apart
    return (path[start:] for path in visible_files(folder, _unreadable) if is_image(path))


def _unreadable(error: OSError) -> NoReturn:
    raise UserError(f"{error.filename}: {error.strerror}; check its permissions, or move it away") from error
