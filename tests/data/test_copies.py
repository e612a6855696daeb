"""Copies of a photo, byte for byte: what they do to labels and figures is told before a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mobilenets.data.copies import copy_lines
from mobilenets.data.manifest import list_images
from mobilenets.data.sources.read import read_splits


def _photos(folder: Path, **classes: range) -> Path:
    """Class folders, of which photos of one number are copies of each other."""
    for name, numbers in classes.items():
        place = folder.joinpath(*name.split("__"))
        place.mkdir(parents=True)
        for i in numbers:
            Image.new("RGB", (8, 8), (i, 0, 0)).save(place / f"{i}.png")
    return folder


def _told(data: Path, val: Path | None = None) -> list[str]:
    return copy_lines(list_images(read_splits(data, val=val), data, val))


def test_photos_that_are_all_different_are_nothing_to_tell(tmp_path: Path) -> None:
    assert _told(_photos(tmp_path, cat=range(8), dog=range(10, 18))) == []


def test_a_photo_in_two_classes_is_told_with_both(tmp_path: Path) -> None:
    photos = _photos(tmp_path, train__cat=range(8), train__dog=range(7, 15), val__cat=range(20, 22))
    assert _told(photos) == [
        "warning: 1 photo has copies with another label (train/cat/7.png 'cat', train/dog/7.png 'dog'); "
        "'audit' lists them"
    ]


def test_validation_photos_that_are_trained_on_are_told(tmp_path: Path) -> None:
    photos = _photos(
        tmp_path, train__cat=range(8), train__dog=range(10, 18), val__cat=range(5, 10), val__dog=range(10, 12)
    )
    (line,) = _told(photos)
    assert line == (
        "warning: 5 photos of val are copies of training photos (val/cat/5.png of train/cat/5.png): too easy; "
        "'audit' lists them"
    )


def test_so_are_those_of_another_folder(tmp_path: Path) -> None:
    photos, others = _photos(tmp_path / "a", cat=range(8), dog=range(10, 18)), _photos(tmp_path / "b", cat=range(1))
    (line,) = _told(photos, others)
    assert "1 photo of val is a copy of a training photo (cat/0.png of cat/0.png)" in line


def test_boxes_that_differ_between_copies_are_no_other_label(tmp_path: Path) -> None:
    photos = _photos(tmp_path, train__cat=range(8), train__dog=range(7, 15), val__cat=range(20, 22))
    listed = list_images(read_splits(photos), photos)
    assert copy_lines(listed, has_boxes=True) == []
    assert np.all(listed.hashed)
