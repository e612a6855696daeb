"""YOLO: a text file for each photo with a line for each box: class, centre, width and height, relative to the photo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilenets.data.sources.boxes import darknet
from mobilenets.data.sources.boxes.data_yaml import DataYaml, is_data_yaml, read_data_yaml
from mobilenets.data.sources.boxes.files import number, read_text
from mobilenets.data.sources.boxes.photos import Photos, split_of
from mobilenets.data.sources.boxes.table import Annotated, BoxTable
from mobilenets.data.sources.survey import count_text, named
from mobilenets.errors import DataError
from mobilenets.tasks.detect.targets import Box

_LISTS = ("classes.txt", "obj.names")  # class names, a line each, where there is no data.yaml
_FURTHEST = 1.5  # a coordinate beyond is no fraction of a side: pixels, or whether a point of a pose is seen (0, 1, 2)
_NUMBERS = 5


def find_yolo(data: Path) -> list[Path]:
    """The file that names the classes of YOLO's labels; [] where there is none."""
    for path in sorted([*data.glob("*.yaml"), *data.glob("*.yml")]):
        if is_data_yaml(path):
            return [path]
    for path in sorted(data.glob(f"*{darknet.SUFFIX}")):
        if darknet.is_darknet(path):
            return [path]
    for folder in (data, data / "labels"):
        for name in _LISTS:
            if (folder / name).is_file() and _has_labels(data):
                return [folder / name]
    return []


def _has_labels(data: Path) -> bool:
    """Whether text files lie in `labels/`, or beside photos with their names."""
    if any((data / "labels").rglob("*.txt")):
        return True
    stems = {path.stem for path in data.glob("*.txt")} - {Path(name).stem for name in _LISTS}
    return any(path.stem in stems and path.suffix != ".txt" for path in data.iterdir())


@dataclass(frozen=True)
class _Labels:
    """How a line is read: the names of the classes, where they stand, and whether points follow each box."""

    names: Sequence[str]
    source: Path
    has_keypoints: bool


def read_yolo(data: Path, files: Sequence[Path]) -> BoxTable:
    """The photos of the parts that the file names, or all, with the labels in `labels/`, or beside them.

    A photo without a label file has no objects, as YOLO has it.

    Raises
    ------
    DataError
        A line that is no label, a class that has no name, a part that is not there, or a label file without photo.
    """
    (source,) = files
    if source.suffix == ".txt" or source.name in _LISTS:
        described = DataYaml({}, darknet.class_names(source), False)
    elif source.suffix == darknet.SUFFIX:
        described = darknet.read_darknet(source)
    else:
        described = read_data_yaml(source)
    labels = _Labels(described.names, source, described.has_keypoints)
    photos = Photos(data)
    table = BoxTable(data, f"YOLO ({source.relative_to(data).as_posix()})", listed=tuple(described.names))
    used = set()
    without = []
    for path, split in _parts(photos, source, described).items():
        label = _label_file(data, path)
        boxes: list[Box] = []
        if label is not None:
            used.add(label)
            boxes = list(_boxes(data / label, labels))
        else:
            without.append(path)
        table.add(Annotated(path, boxes, str(data / (label or path)), relative=True, split=split))
    _refuse_loose(photos, used, source)
    if not used:
        raise DataError(
            f"{source}: none of {count_text(len(without))} has a label file; put that of images/X.jpg at labels/X.txt "
            "or beside the photo, an empty one where it has no objects"
        )
    table.note_without_file(without)
    table.note_unlisted(photos)
    return table


def _parts(photos: Photos, source: Path, described: DataYaml) -> dict[str, str]:
    """The part of each photo; "" of all where none is named, or where training and validation are the same photos."""
    parts = {split: _of_part(photos, source, split, entries) for split, entries in described.parts.items()}
    if not parts:
        return {path: split_of(path) for path in photos.paths}
    found: dict[str, str] = {}
    same = set(parts.get("train", ())) == set(parts.get("val", ()))
    for split in ("train", "val", "test"):
        for path in parts.get(split, ()):
            if not same and found.get(path, split) != split:
                raise DataError(f"{source}: {path} is in {found[path]} and in {split}; keep it in one")
            found[path] = "" if same and split != "test" else split
    return found


def _of_part(photos: Photos, source: Path, split: str, entries: Sequence[str]) -> list[str]:
    """The photos of a part: all below its folders, and those that its lists name."""
    found: dict[str, None] = {}
    for entry in entries:
        steps = [step for step in entry.replace("\\", "/").split("/") if step not in ("", ".", "..")]
        inside = _inside(photos.data, steps)
        if inside is None:
            raise DataError(
                f"{source}: {split} is {entry[:120]!a}, which is not in {photos.data}; write where it is there"
            )
        path = photos.data / inside
        if path.is_dir():
            own = [name for name in photos.paths if inside in ("", ".") or name.startswith(f"{inside}/")]
        else:
            own = list(_listed(photos, path))
        if not own:
            raise DataError(f"{source}: {split} is {entry[:120]!a}, which holds no photos; put them there")
        found.update(dict.fromkeys(own))
    return list(found)


def _inside(data: Path, steps: Sequence[str]) -> str | None:
    """The longest end of a path that is there below `data`; a path may be that of another machine."""
    for k in range(len(steps)):
        end = "/".join(steps[k:])
        try:
            if (data / end).exists():
                return end
        except (OSError, ValueError):  # no name that a file can have
            return None
    return "" if not steps else None


def _listed(photos: Photos, path: Path) -> Iterator[str]:
    """The photos that a list names, a line each."""
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    missing = []
    for line in lines:
        found = photos.find(line)
        if found is None:
            missing.append(line)
        else:
            yield found
    photos.refuse_missing(path.relative_to(photos.data).as_posix(), missing, len(lines))


def _label_file(data: Path, photo: str) -> str | None:
    """The file with the labels of a photo: in `labels` where the photo is in `images`, or beside it."""
    stem = photo.rpartition(".")[0] or photo
    steps = stem.split("/")
    at = [k for k, step in enumerate(steps[:-1]) if step.lower() == "images"]
    for candidate in [*(("/".join([*steps[:k], "labels", *steps[k + 1 :]])) for k in reversed(at)), stem]:
        if (data / f"{candidate}.txt").is_file():
            return f"{candidate}.txt"
    return None


def _refuse_loose(photos: Photos, used: set[str], source: Path) -> None:
    """Refuse label files whose photo is not there."""
    stems = {path.rpartition(".")[0] for path in photos.paths}
    loose = []
    for path in sorted((photos.data / "labels").rglob("*.txt")):
        name = path.relative_to(photos.data).as_posix()
        in_images = "/".join("images" if step == "labels" else step for step in name.split("/")).rpartition(".")[0]
        if (
            name not in used
            and path.name not in (*_LISTS, "train.txt", "val.txt", "test.txt")
            and in_images not in stems
        ):
            loose.append(name)
    if loose:
        raise DataError(
            f"{source}: {len(loose):,} label file{'s have' if len(loose) > 1 else ' has'} no photo "
            f"({named(loose, 3)}); put it back, or move the label file away"
        )


def _boxes(path: Path, labels: _Labels) -> Iterator[Box]:
    for k, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            yield _box(line.split(), f"{path}, line {k}", labels)


def _box(values: Sequence[str], where: str, labels: _Labels) -> Box:
    """The box of a line: of four numbers, or around the corners of a polygon."""
    is_box = len(values) == _NUMBERS or (labels.has_keypoints and len(values) > _NUMBERS)
    if not is_box and (len(values) < 7 or len(values) % 2 == 0):
        count = "1 value" if len(values) == 1 else f"{len(values)} values"
        raise DataError(
            f"{where}: {count}; write class, centre x, centre y, width and height, or class and corners of a polygon"
        )
    own = number(values[0], where, "the class")
    if not own.is_integer() or not 0 <= own < len(labels.names):
        raise DataError(
            f"{where}: the class is {values[0][:20]!a}; {labels.source} names {len(labels.names)}, numbered from 0"
        )
    name = labels.names[int(own)]
    numbers = [number(value, where, "a coordinate") for value in values[1 : _NUMBERS if is_box else len(values)]]
    far = next((value for value in numbers if abs(value) > _FURTHEST), None)
    if far is not None:
        remedy = "divide by the photo's width and height"
        if len(values) > _NUMBERS and not labels.has_keypoints:
            remedy += f", or give kpt_shape in {labels.source.name} if points of a pose follow each box"
        raise DataError(f"{where}: {far:g} is no fraction of a side; {remedy}")
    if is_box:
        x, y, width, height = numbers
        return Box(name, x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return Box(name, min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2]))
