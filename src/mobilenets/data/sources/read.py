"""A data set in any of its layouts: class folders, train/val folders, a CSV, tar shards, parquet files, boxes."""

from __future__ import annotations

import glob
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np

from mobilenets.data.rare import Rare, check_empty, settle_rare
from mobilenets.data.samples import Samples, Splits
from mobilenets.data.sources.boxes.read import read_boxes, read_described
from mobilenets.data.sources.csv import read_metadata, read_table
from mobilenets.data.sources.folder import is_folder_of_folders, read_folder
from mobilenets.data.sources.good_only import as_defects, good_of, with_defects
from mobilenets.data.sources.survey import Survey, count_text, named
from mobilenets.data.sources.tree import key
from mobilenets.data.split import train_val_split
from mobilenets.data.tiles import cut
from mobilenets.errors import DataError, UsageError
from mobilenets.model_card import ANOMALY, CLASSIFY, DETECT
from mobilenets.preprocess.formats import kind_of
from mobilenets.tasks import TASKS
from mobilenets.tasks.task import Task

DEFAULT_VAL = 0.2


def read_splits(
    data: Path,
    *,
    val: float | str | Path | None = None,
    seed: int = 0,
    rare: Rare = "keep",
    tile: int | None = None,
    defects: str | Path | None = None,
    task: str = CLASSIFY,
) -> Splits:
    """The training and validation samples (and test ones, if any) of `data`.

    `data` is a folder of class folders, a folder with train/ and val/ (and test/), a CSV with the columns
    path,label[,split][,group][,stratum], WebDataset shards (`shards/{000..099}.tar`), a Hugging Face data set
    (a folder of parquet files), or photographs with boxes (COCO, YOLO, Pascal VOC, labelme, CSV). Where it names no
    validation part, `val` is the fraction held out (default 0.2, stratified, seeded), or other such data; of a folder
    inside `data` nothing is trained on.

    `rare`: what becomes of classes without validation photographs, as one that has a single one: "keep" trains on
    them, "drop" leaves them out, as it does class folders without photographs, "refuse" raises. `tile`: photographs
    with boxes that are larger are cut into tiles of so many pixels. `task`: what the labels are to answer, where that
    is known; whether they do is not checked.

    A single class is understood as good ones only, for which others are told. `defects`: a folder with photographs of
    defects, which validate too; `data` may then be a folder with photographs and no class folder.

    Raises
    ------
    UserError
        Nothing usable there, a class without photographs, bad rows of a CSV, or `defects` beside several classes.
    """
    fraction, folder = (float(val), None) if isinstance(val, (int, float)) else (None, val)
    if folder is not None and Path(folder).resolve() == data.resolve():
        raise UsageError(f"val: {folder} is the training data itself; use other photos, or a fraction such as 0.2")
    if defects is not None and Path(defects).resolve() == data.resolve():
        raise UsageError(f"defects: {defects} is the training data itself; give a folder with photos of defects")
    without = defects if folder is None else folder
    found, survey, others = with_defects(
        data,
        None if defects is None else Path(defects),
        lambda: _find(data, without=None if without is None else Path(without), task=task, tile=tile),
    )
    held_out = None if folder is None else _held_out(Path(folder), survey.task, tile)
    check_empty(survey, rare)
    validating = found.of_splits("val") if held_out is None else held_out[0]
    if held_out is not None and survey.task == ANOMALY:
        validating = as_defects(validating, good_of(found))
    if len(validating) and fraction is not None:
        raise UsageError(f"val: {data} has a validation part already; leave --val out")
    if held_out is not None:
        survey.add(held_out[1])
        if n := found.split_counts().get("val"):
            survey.note(f"{data}: {count_text(n)} of its own validation part left out, as --val names others")
    else:
        survey.note_unsplit(found.split_counts())
    training = found.of_splits("train", "")
    found_task = TASKS[survey.task]
    testing = found.of_splits("test")
    classes = _texts(data, training, found_task)
    if not found_task.labels_are_classes:
        classes = _with_texts_of(data, (validating, testing, others), classes, found_task)
    train, test = _numbered(data, "train", training, classes), _numbered(data, "test", testing, classes)
    if len(validating):
        held = _numbered(data, "val", validating, classes)
    else:
        counts = np.bincount(train.labels, minlength=len(classes))
        strata = found_task.strata(classes, counts)
        members = None if found_task.labels_are_classes else found_task.members(classes)
        fraction = DEFAULT_VAL if fraction is None else fraction
        train, held = train_val_split(train, classes, fraction, seed, strata, members)
        if len(held) == 0:
            raise DataError(
                f"{data}: no photo can validate: each class has a single photo or group; each class needs 2 "
                "(one to train, one to validate)"
            )
    if len(others):
        held = Samples.joined([held, _numbered(data, "defects", others, classes)])
    splits = Splits(classes, train, held, test, survey)
    return settle_rare(data, splits, rare) if found_task.labels_are_classes else splits


def read_samples(
    data: Path,
    classes: Sequence[str] | None = None,
    split: str | None = None,
    survey: Survey | None = None,
    task: Task[Any] | None = None,
) -> tuple[tuple[str, ...], Samples]:
    """Label texts (class names) and samples of `data`, for the evaluation of a model for `task` (None: classes).

    Of split data, `split`: "train", "val" or "test"; by default the test part if there is one, else the
    validation part. With `classes` (a model's) labels are numbered by them. What reading came upon goes to `survey`.

    Raises
    ------
    UserError
        Nothing usable there, no such part, labels of another task, or a class that is not among `classes`.
    """
    task = task or TASKS[CLASSIFY]
    found, own_survey = _find(data, known=classes or (), task=task.name)
    _check_task(data, own_survey, task.name)
    _pass_on(own_survey, survey)
    there = found.split_names()
    chosen = split or next(p for p in ("test", "val", "", "train") if p in there)
    if chosen not in there:
        raise DataError(f"{data}: has no {chosen} part; it has {', '.join(sorted(there)) or 'no images'}")
    found = found.of_splits(chosen)
    known = tuple(classes) if classes is not None else _texts(data, found, task)
    return known, _numbered(data, chosen, found, known)


def read_named_splits(data: Path, survey: Survey | None = None) -> tuple[tuple[str, ...], dict[str, Samples]]:
    """Label texts (class names) of all parts, and the samples of each part that `data` names; "" where it names none.

    Nothing is asked of the classes' sizes: this is for looking at data that may not be fit to train on. What reading
    came upon goes to `survey`.

    Raises
    ------
    UserError
        Nothing usable there, fewer than two classes, labels of a task that is not audited, bad rows of a CSV.
    """
    found, own_survey, _ = with_defects(data, None, lambda: _find(data))
    task = TASKS[own_survey.task]
    if not task.is_audited:
        _check_task(data, own_survey, CLASSIFY)
    _pass_on(own_survey, survey)
    _texts(data, found.of_splits("train", "") if own_survey.task == ANOMALY else found, task)  # refuses what is unfit
    classes, names = found.classes(), sorted(found.split_names())
    return classes, {split: _numbered(data, split, found.of_splits(split), classes) for split in names}


def _check_task(data: Path, survey: Survey, task: str) -> None:
    if survey.task not in (task, *TASKS[task].reads):
        raise DataError(f"{data}: its labels answer {survey.task!r}, where {task!r} is asked; give other data")


def _pass_on(own: Survey, survey: Survey | None) -> None:
    if survey is not None:
        survey.add(own)
        survey.task = own.task
        for line in own.empty:
            survey.note(line)


def _held_out(folder: Path, task: str, tile: int | None) -> tuple[Samples, Survey]:
    """The photographs of other data for validation: its validation part, where it has parts."""
    found, survey = _find(folder, task=task, tile=tile)
    _check_task(folder, survey, task)
    return found.of_splits("val") if "val" in found.split_names() else found, survey


def _find(
    data: Path,
    *,
    known: Collection[str] = (),
    without: Path | None = None,
    task: str = CLASSIFY,
    tile: int | None = None,
) -> tuple[Samples, Survey]:
    """The photographs of `data`, labels numbered as the classes come, and what reading them came upon.

    `task`: what the labels are to answer, where that is known.
    """
    found, survey = _read(data, known, without, task)
    if len(found) == 0:
        lines = survey.lines()
        there = f" ({named(lines, 3)})" if lines else ""
        wanted = "one folder per class with JPEG, PNG or other images" if data.is_dir() else "a row for each photo"
        raise DataError(f"{data}: no images found{there}; expected {wanted}")
    if tile is not None and survey.task == DETECT:
        found = cut(found, tile, survey)
    elif tile is not None and task != DETECT:  # else what is wrong is the task, which is told
        raise UsageError(
            f"--tile: cuts photos with boxes; the labels of {data} answer {survey.task!r}; leave --tile out, or "
            "give other data"
        )
    return found, survey


def _read(data: Path, known: Collection[str], without: Path | None, task: str) -> tuple[Samples, Survey]:
    """The photographs of `data`, whatever it is; the readers of containers are imported where one is met."""
    files = _containers(data)
    if files and files[0].suffix.lower() == ".parquet":
        from mobilenets.data.sources.parquet import read_parquet

        return read_parquet(files)
    if files:
        from mobilenets.data.sources.tar import read_shards

        return read_shards(files)
    if not data.exists():
        raise DataError(f"{data}: no such file or folder; give a folder of class folders or a CSV")
    if data.is_dir():
        return read_metadata(data, task) or read_boxes(data) or read_folder(data, known=known, without=without)
    if data.suffix.lower() in (".csv", ".tsv"):
        return read_table(data, task)
    if data.suffix.lower() in (".yaml", ".yml", ".json"):
        return read_described(data)
    first = "unpack it first, or " if kind_of(data) == "archive" else ""
    first = "save the sheet as CSV, or " if data.suffix.lower() in (".xlsx", ".xls", ".ods") else first
    raise DataError(f"{data}: not data to train on; {first}give a folder of classes, a .csv, .tar shards or .parquet")


def _containers(data: Path) -> list[Path]:
    """The tar or parquet files that `data` is, names by a pattern, or holds; none for other data."""
    kinds = (".tar", ".parquet")
    if data.is_dir():
        # Hugging Face's data sets have their files in data/.
        inside = [p for folder in (data, data / "data") for kind in kinds for p in sorted(folder.glob(f"*{kind}"))]
        if not inside or is_folder_of_folders(data):  # an archive beside class folders is left out, and counted
            return []
        return [p for p in inside if p.suffix == inside[0].suffix]
    if data.suffix.lower() not in kinds:
        return []
    if data.exists():
        return [data]
    if "{" in str(data):
        from mobilenets.data.sources.tar import expand

        files = expand(str(data))
    else:
        files = [Path(p) for p in sorted(glob.glob(str(data)))]
    for path in files:
        if not path.is_file():
            raise DataError(f"{path}: no such file, but {data} names it")
    return files


def _texts(data: Path, samples: Samples, task: Task[Any]) -> tuple[str, ...]:
    """The label texts that occur, fit for their task."""
    texts = samples.classes()
    task.check(data, texts, len(samples))
    return texts


def _with_texts_of(data: Path, others: Sequence[Samples], texts: tuple[str, ...], task: Task[Any]) -> tuple[str, ...]:
    """The label texts `texts` of the training photographs, and those of others, which are of the same classes."""
    texts_of_all = tuple(sorted({*texts, *(text for samples in others for text in samples.classes())}))
    untrained = set(task.classes(texts_of_all)) - set(task.classes(texts))
    if untrained:
        raise DataError(
            f"{data}: no training photo has {named(map(repr, sorted(untrained)))}, which others have; move some"
        )
    return texts_of_all


def _numbered(data: Path, split: str, samples: Samples, classes: tuple[str, ...]) -> Samples:
    known = {normalize("NFC", name) for name in classes}
    unknown = [name for name in samples.classes() if name not in known]
    if unknown:
        what = f"{split or 'data'} has the class {', '.join(map(repr, unknown[:5]))}"
        meant = next((name for name in classes for other in unknown if key(name) == key(other)), None)
        alone = f"; train on photos of {'it' if len(unknown) == 1 else 'them'} too, or leave those here out"
        hint = alone if meant is None else f"; is {meant!r} meant? Call both alike"
        raise DataError(f"{data}: {what}, which is not among {', '.join(classes[:10])}{hint}")
    return samples.numbered(classes)
