"""A run's photographs in its splits: drawn once, then those of its `data.csv`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mobilenets.arch.build import DETECTOR
from mobilenets.data.copies import copy_lines
from mobilenets.data.manifest import (
    FILE,
    MAX_HASHED_FIRST,
    Manifest,
    base_of,
    list_images,
    manifest_of,
)
from mobilenets.data.match import match, some
from mobilenets.data.samples import Splits
from mobilenets.data.sources.read import read_splits
from mobilenets.data.sources.survey import count_text
from mobilenets.errors import DataError
from mobilenets.model_card import CLASSIFY, read_card
from mobilenets.tasks.task import Task
from mobilenets.training.settings import Settings, read_config

log = logging.getLogger(__name__)


def draw_splits(settings: Settings, task: str = CLASSIFY) -> Splits:
    """The photographs of a run's data in new splits; `task`: what its labels are to answer, where that is known."""
    return read_splits(
        Path(settings.data),
        val=settings.val,
        seed=settings.seed,
        rare=settings.rare,
        defects=settings.defects,
        tile=settings.tile,
        task=task,
    )


def read_like(run: Path, data: Path, task: Task[Any]) -> Splits:
    """The photographs of other data for `task`, in tiles where those of `run` were.

    Raises
    ------
    UserError
        `data` cannot be used, or answers another task, or the `config.yaml` of `run` is damaged.
    """
    config = run / "config.yaml"
    splits = read_splits(data, tile=read_config(config)[0].tile if config.exists() else None)
    if splits.survey.task not in (task.name, *task.reads):
        raise DataError(
            f"{data}: its labels answer {splits.survey.task!r}, where {task.name!r} is asked; give other data"
        )
    return splits


def with_data_at(settings: Settings, run: Path, data: Path | None) -> Settings:
    """The settings of a run with the place where its photographs are now: `data`, else where they were.

    Raises
    ------
    UserError
        They are not there any more.
    """
    if data is not None:
        return replace(settings, data=str(data))
    if not exists(Path(settings.data)):
        raise DataError(
            f"{Path(settings.data).absolute()}: the photos of {run} were there and are not any more; "
            "say where they are now with --data NEW"
        )
    return settings


def open_splits(run: Path, settings: Settings, data: Path | None = None, *, resuming: bool = False) -> Splits:
    """The photographs of a run's data in the splits of the run, as far as they are what they were.

    `data`: where they are now, if not where its settings say. What came, went or changed since is told in a line
    each. A run without `data.csv` has its splits drawn anew, with a line that says so.

    Raises
    ------
    UserError
        The data is gone or has other classes, or too little is left of it.
    """
    settings = with_data_at(settings, run, data)
    manifest, found = manifest_of(run), draw_splits(settings)
    _check_boxes(found.objective.task, run, settings)
    if manifest is None:
        classes = read_card(run).classes if (run / "model.safetensors").exists() else found.objective.classes
        _check_classes(run, settings, classes, found.objective.classes)
        log.warning(
            "%s: has no %s, as runs of older versions: its split is drawn anew from %s, "
            "and is the same only if no photo came or went",
            run,
            FILE,
            settings.data,
        )
        return found
    known = found.objective.task.classes(manifest.classes)
    _check_classes(run, settings, known, found.objective.classes)
    matched = match(manifest, found, Path(settings.data), Path(settings.val) if isinstance(settings.val, str) else None)
    for line in matched.describe():
        log.warning("%s: %s", settings.data, line)
    if resuming and not matched.is_exact:
        log.warning("%s: goes on without them, so its weights will not be exactly those it would have had", run)
    splits = matched.splits
    if len(splits.train) + len(splits.val) == 0:
        raise DataError(f"{settings.data}: holds none of the photos of {run}; say where they are with --data NEW")
    for name, samples in (("training", splits.train), ("validation", splits.val)):
        if len(samples) == 0:
            raise DataError(f"{settings.data}: no {name} photo of {run} is left there as it was; put some back")
    objective = splits.objective
    left = objective.task.classes([splits.classes[k] for k in sorted(set(splits.train.labels.tolist()))])
    if lost := [name for name in objective.classes if name not in set(left)]:
        names = some(lost)
        raise DataError(f"{settings.data}: no training photo of {names} is left as {run} had it; put some back")
    return splits


def find_splits(run: Path, data: Path, task: Task[Any]) -> Splits | None:
    """The photographs of a run for `task` that lie in `data`, in its splits; None where they are too few of its own.

    Raises
    ------
    UserError
        `data` cannot be used, or the `data.csv` of `run` is damaged.
    """
    manifest = manifest_of(run)
    if manifest is None:
        return None
    matched = match(manifest, read_like(run, data, task), data)
    if len(matched.splits.train) == 0 or len(matched.splits.val) == 0:
        known = len(matched.splits.train) + len(matched.splits.val)
        are = "is" if known == 1 else "are"
        log.warning("%s: %s of %s %s there: taken as other data", data, count_text(known), run, are)
        return None
    for line in matched.describe():
        log.warning("%s: %s", data, line)
    return matched.splits


def write_list(
    run: Path, splits: Splits, settings: Settings, earlier: Callable[[Manifest], Manifest] | None = None
) -> None:
    """Write the `data.csv` of a run that begins: what is trained on is known from here on, whatever happens.

    `earlier`: what the weights were trained on before, given what is listed.
    """
    manifest = _listed(splits, settings, content=_count(splits) <= MAX_HASHED_FIRST)
    for line in copy_lines(manifest, has_boxes=splits.objective.task.has_boxes):
        log.warning("%s", line)
    if earlier is not None:
        manifest = manifest + earlier(manifest)
    manifest.write(run / FILE)


def copy_list(run: Path, folder: Path, splits: Splits, settings: Settings) -> None:
    """Write into `folder` what a training there on the `splits` of `run` was given: the run's own list, if it has one.

    Photographs that the run was trained on and that are gone stay in it: its weights know them.
    """
    manifest = manifest_of(run)
    if manifest is None:
        write_list(folder, splits, settings)
    else:
        manifest.write(folder / FILE)


def complete_list(run: Path, splits: Splits, settings: Settings) -> None:
    """Hash what the `data.csv` of a large data set lacks, at the end of a training on `splits`."""
    manifest = manifest_of(run)
    if manifest is None or manifest.hashed.any():
        return
    listed = _listed(splits, settings, content=True)
    content = {listed.keys[i]: i for i in range(len(listed))}
    rows = [(row, content[key]) for row, key in enumerate(manifest.keys) if key in content]
    if rows:
        manifest.with_content_of(listed, rows).write(run / FILE)


def _listed(splits: Splits, settings: Settings, content: bool) -> Manifest:
    val = Path(settings.val) if isinstance(settings.val, str) else None
    return list_images(splits, Path(settings.data), val, content=content)


def exists(data: Path) -> bool:
    """Whether there is anything where `data` is, or, of a pattern, in its folder."""
    return data.exists() or (base_of(data) != data.parent and base_of(data).exists())


def _count(splits: Splits) -> int:
    return len(splits.train) + len(splits.val) + len(splits.test)


def _check_boxes(task: Task[Any], run: Path, settings: Settings) -> None:
    """Refuse boxes for a classifier's run, and data without for a detector's.

    Raises
    ------
    UserError
        As said.
    """
    is_detector = settings.model is not None and settings.model.startswith(DETECTOR)
    if is_detector != task.has_boxes:
        answers = f"{run} {'finds' if is_detector else 'finds no'} boxes"
        raise DataError(f"{settings.data}: its labels answer {task.name!r}, and {answers}; give the data of the run")


def _check_classes(run: Path, settings: Settings, known: tuple[str, ...], now: tuple[str, ...]) -> None:
    if set(known) == set(now):
        return
    came, gone = sorted(set(now) - set(known)), sorted(set(known) - set(now))
    what = [f"{some(names)} {word}" for names, word in ((came, "came"), (gone, "went")) if names]
    remedy = "put the classes back as they were, or train a new run"
    raise DataError(f"{settings.data}: its classes are not those of {run} any more ({'; '.join(what)}); {remedy}")
