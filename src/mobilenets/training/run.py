"""A training run from a folder of photos to a run folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mobilenets.data.manifest import base_of
from mobilenets.data.readable import Measure
from mobilenets.data.samples import Samples
from mobilenets.errors import UsageError
from mobilenets.features.index import MAX_IMAGES
from mobilenets.model_card import ModelCard, read_card
from mobilenets.preprocess.depth import Range
from mobilenets.preprocess.opening import max_pixels
from mobilenets.system import torchrun_env
from mobilenets.system.files import check_new_folder
from mobilenets.tasks import task_of
from mobilenets.training.checkpoint import HEAD, LAST, load
from mobilenets.training.distributed.group import Group, processes
from mobilenets.training.feature_index import TrainImages
from mobilenets.training.fitting import Fitted, fit
from mobilenets.training.opening import OpenedRun, open_run
from mobilenets.training.recipe import Recipe
from mobilenets.training.refusals import goes_on
from mobilenets.training.run_data import complete_list, with_data_at
from mobilenets.training.run_folder import JOB, complete, finish
from mobilenets.training.settings import Settings, check_same, read_config

log = logging.getLogger(__name__)

FINAL_BATCH_SIZE = 16  # photographs at a time for the figures of the exported model


@dataclass(frozen=True)
class TrainingResult:
    """A finished (or interrupted) training: its folder, card and validation metrics."""

    path: Path
    card: ModelCard
    interrupted: bool = False

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        return self.card.metrics


@dataclass(frozen=True)
class TrainedRun:
    """A run whose model and figures are in its folder: what pages about it are made of.

    `images`: those of predictions.csv, row by row.
    """

    opened: OpenedRun
    fitted: Fitted
    images: Samples


@dataclass(frozen=True)
class Pages:
    """What writes pages about a run; as it is, none.

    `write`: into its folder, before the run is complete: after a Ctrl-C in it --resume goes on. `measure`: as in
    `open_run`, for photographs that `write` will want to know something of.
    """

    write: Callable[[TrainedRun], object] = lambda run: None
    measure: Callable[[Range | None], Measure] | None = None


NO_PAGES = Pages()


def train(
    data: str | Path, out: str | Path | None = None, changes: dict[str, Any] | None = None, **settings: Any
) -> TrainingResult:
    """Train a classifier on `data` and write the run folder `out` (default: `runs/NAME-OF-DATA`).

    `settings` are the fields of `Settings` (model, weights, recipe, minutes, epochs, size, val, seed, …);
    `changes` replaces values of the recipe by name, e.g. `{"lr": 3e-4, "augment.hflip": 0}`. No page is written.

    Raises
    ------
    UserError
        Unusable data, unknown names, an existing `out`.
    """
    return start(Settings(data=str(data), **settings), changes or {}, out)


def start(
    settings: Settings,
    changes: dict[str, Any],
    out: str | Path | None = None,
    started: float | None = None,
    pages: Pages = NO_PAGES,
) -> TrainingResult:
    """`train`, for settings that stand; `started`: when the minutes began to count, by `time.monotonic`."""
    with processes() as group:
        folder = Path(group.agreed(str(_folder(out, Path(settings.data))) if group.is_main else ""))
        if torchrun_env.restarts() and (folder / LAST).exists():
            settings, recipe = read_config(folder / "config.yaml")
            changes = recipe.to_dict()
        return _run(settings, changes, folder, group, pages, started)


def _run(
    settings: Settings,
    changes: dict[str, Any],
    folder: Path,
    group: Group,
    pages: Pages,
    started: float | None = None,
) -> TrainingResult:
    """The four parts of a run: open, plan and fit (which plans as it goes, by what it measures), finish."""
    try:
        with max_pixels(settings.max_pixels):
            opened, plan = open_run(settings, changes, folder, group, started, pages.measure)
            fitted = fit(opened, plan)
            if group.is_main:
                _finish(opened, fitted, pages)
            group.wait()
    except KeyboardInterrupt:
        if (folder / "config.yaml").exists():
            log.warning("\ngo on with: mobilenets train --resume --out %s", folder)
        raise
    return TrainingResult(folder, read_card(folder / "model.safetensors"), fitted.interrupted)


def _finish(run: OpenedRun, fitted: Fitted, pages: Pages) -> None:
    """Write the other files of the folder; of an interrupted run only what needs no waiting for."""
    plan, loaders, objective = fitted.plan, run.loaders.whole(), run.splits.objective
    val, test = (loaders.loader(part, plan.preprocess, FINAL_BATCH_SIZE) for part in (run.splits.val, run.splits.test))
    if fitted.interrupted:
        finished = finish(run.folder, objective, val, survey=run.splits.survey)
    else:
        complete_list(run.folder, run.listed, plan.settings)
        train = _train_images(run, fitted) if objective.task.tells_unknown else None
        finished = finish(run.folder, objective, val, test, train, run.splits.survey)
    pages.write(TrainedRun(run, fitted, finished.images))
    complete(run.folder, finished.card)


def _train_images(run: OpenedRun, fitted: Fitted) -> TrainImages:
    """The training photographs that the index is made of, with what the probe saw of them."""
    plan, loaders, total = fitted.plan, run.loaders.whole(), len(run.splits.train)
    if fitted.probed is None:  # a probe left their pixels in the cache; what only training saw is there as it crops
        loaders = replace(loaders, cache=None)
    some = loaders.loader(run.splits.train.spread(MAX_IMAGES), plan.preprocess, FINAL_BATCH_SIZE)
    return TrainImages(some, total, base_of(Path(plan.settings.data)), fitted.probed)


def train_again(
    config: Path, out: Path | None = None, data: Path | None = None, pages: Pages = NO_PAGES
) -> TrainingResult:
    """Repeat the run whose `config.yaml` this is, in a new folder; `data`: where its photographs are, if they moved."""
    settings, recipe = read_config(config)
    if data is not None:
        settings = replace(settings, data=str(data))
    return start(settings, recipe.to_dict(), out, pages=pages)


def resume(
    folder: Path,
    given: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
    data: Path | None = None,
    pages: Pages = NO_PAGES,
) -> TrainingResult:
    """Go on with an interrupted run, to the same final weights as if it had never stopped.

    `given` and `changes`: settings and values of the recipe, as in the command that began it; they change nothing.
    `data`: where the run's photographs are now, if they were moved.

    Raises
    ------
    UserError
        Not a run folder, one whose training is complete, or settings that are not the run's.
    """
    with processes() as group:
        config = folder / "config.yaml"
        settings, recipe = read_config(config)
        check_same(config, settings, recipe, given or {}, changes or {})
        if is_complete(folder, recipe):
            can_go_on = goes_on(task_of(read_card(folder)))
            begin = f"--from {folder}" if can_go_on else f"--weights {folder / 'model.safetensors'}"
            raise UsageError(
                f"{folder}: this run is complete; to train it on: mobilenets train DATA {begin} --minutes T"
            )
        return _run(with_data_at(settings, folder, data), recipe.to_dict(), folder, group, pages)


def is_complete(folder: Path, recipe: Recipe) -> bool:
    """Whether a run folder's training has ended."""
    last = folder / LAST
    if not (folder / "metrics.json").exists():
        return False
    if not last.exists():
        return not (folder / HEAD).exists()
    state = load(last)[0]
    return state.epoch >= recipe.epochs or (0 < recipe.steps <= state.step and state.batch == 0)


def interrupted_run(data: Path) -> Path:
    """The folder that a training on `data` without `out` was last stopped in; the first one where none was."""
    found = [folder for folder in _default_folders(data) if folder.exists()]
    for folder in reversed(found):
        if (folder / "config.yaml").exists() and not is_complete(folder, read_config(folder / "config.yaml")[1]):
            return folder
    return found[-1] if found else next(_default_folders(data))


def _folder(out: str | Path | None, data: Path) -> Path:
    """A new folder, or the one this job made before torchrun started it again."""
    if torchrun_env.may_restart() and out is None:
        raise UsageError("--out: say where to with --max-restarts, so that a restarted run finds its folder")
    if out is not None and torchrun_env.restarts():
        job = Path(out) / JOB
        if job.exists() and job.read_text(encoding="utf-8") == torchrun_env.job():
            return Path(out)
    return new_folder(out, data)


def new_folder(out: str | Path | None, data: Path) -> Path:
    """Where a new run goes; an existing folder is never reused.

    Raises
    ------
    UserError
        `out` exists, or a folder cannot be made there.
    """
    if out is not None and Path(out).exists():
        raise UsageError(f"{out}: exists already; choose another --out, or go on with it by --resume")
    folder = next(folder for folder in _default_folders(data) if not folder.exists()) if out is None else Path(out)
    check_new_folder(folder)
    return folder


def _default_folders(data: Path) -> Iterator[Path]:
    """Where runs on `data` go, one after another."""
    base = Path("runs") / (data.resolve().stem or "run")
    return (base if i == 1 else base.with_name(f"{base.name}-{i}") for i in range(1, 10_000))
