"""A folder with boxes, or the file that describes it: which form its annotations have, and its photos."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from mobilenets.data.samples import Samples
from mobilenets.data.sources.boxes.coco import find_coco, is_coco, read_coco
from mobilenets.data.sources.boxes.labelme import find_labelme, read_labelme
from mobilenets.data.sources.boxes.roboflow import find_roboflow, read_roboflow
from mobilenets.data.sources.boxes.voc import find_voc, read_voc
from mobilenets.data.sources.boxes.yolo import find_yolo, read_yolo
from mobilenets.data.sources.split_names import split_called
from mobilenets.data.sources.survey import Survey
from mobilenets.data.walk import is_folder, is_unseen
from mobilenets.errors import DataError

# Folders that annotations lie in, besides the data's own and those called as parts. No class is called so.
_HOLDERS = frozenset({"annotations", "annotation", "images", "labels", "jpegimages", "xmls", "imgs", "photos", "json"})
_MAX_DEPTH = 4  # folders one in another, each alone


def read_boxes(data: Path) -> tuple[Samples, Survey] | None:
    """The photos of a folder with annotations of COCO, YOLO, Pascal VOC, labelme or Roboflow; None of any other folder.

    Raises
    ------
    DataError
        Annotations that cannot be used.
    """
    try:
        base = _innermost(data)
        folders = _folders(base)
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}; check its permissions, or move it away") from error
    found = {
        name: (reader, files)
        for name, reader, files in (
            ("YOLO", read_yolo, find_yolo(base)),
            ("COCO", read_coco, find_coco(folders)),
            ("Pascal VOC", read_voc, find_voc(folders)),
            ("labelme", read_labelme, find_labelme(folders)),
            ("Roboflow's CSV", read_roboflow, find_roboflow(folders)),
        )
        if files
    }
    if not found:
        _refuse_nameless(base)
        return None
    (_, (reader, files)), *others = found.items()
    table = reader(base, files)
    for name, _ in others:
        table.survey.note(f"{base}: annotations of {name} are there too, and are not read")
    samples = table.samples()
    return samples, table.survey


def read_described(file: Path) -> tuple[Samples, Survey]:
    """The photos that a `data.yaml` of YOLO or a JSON file of COCO describes; they lie in its folder or one beside it.

    Raises
    ------
    DataError
        It is neither, or cannot be used.
    """
    base = file.parent.parent if file.parent.name.lower() in _HOLDERS else file.parent
    if file.suffix.lower() != ".json":
        table = read_yolo(file.parent, [file])
    elif is_coco(file):
        table = read_coco(base, [file])
    else:
        raise DataError(
            f"{file}: is no JSON of COCO; export boxes as COCO or YOLO, classes as a CSV (of labelme's give the folder)"
        )
    samples = table.samples()
    return samples, table.survey


def _refuse_nameless(data: Path) -> None:
    """Refuse labels of YOLO whose classes nothing names: they would be taken for class folders."""
    if (data / "images").is_dir() and next((data / "labels").rglob("*.txt"), None) is not None:
        raise DataError(
            f"{data}: labels/ beside images/ looks like YOLO's, but nothing names its classes; write data.yaml there, "
            "with names: [cat, dog]"
        )


def _innermost(data: Path) -> Path:
    """The folder below which there is more than another folder."""
    at = data
    for _ in range(_MAX_DEPTH):
        with os.scandir(at) as entries:
            seen = list(islice((entry for entry in entries if not is_unseen(entry.name)), 2))
        if len(seen) != 1 or not is_folder(seen[0]) or split_called(seen[0].name):
            break
        at = at / seen[0].name
    return at


def _folders(data: Path) -> list[Path]:
    """Where annotations may lie: the data's folder, and those in it that are called so, two deep."""
    found = [data]
    for depth in range(2):
        for folder in [path for path in found if len(path.relative_to(data).parts) == depth]:
            with os.scandir(folder) as entries:  # of a million photos, none is asked whether it is a folder
                inside = sorted(entry.name for entry in entries if is_folder(entry) and not is_unseen(entry.name))
            found += [folder / name for name in inside if name.lower() in _HOLDERS or split_called(name)]
    return found
