"""What a run has before it learns anything: its photographs in their splits, its network, and how they are shown."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mobilenets.arch.build import build
from mobilenets.data.cache.images import open_cache
from mobilenets.data.loader import Loader, Skipped
from mobilenets.data.manifest import FILE
from mobilenets.data.overview import overview
from mobilenets.data.readable import Measure, readable_splits
from mobilenets.data.samples import Samples, Splits
from mobilenets.data.value_range import RangeDecision, decide_range, range_text, range_to_ask
from mobilenets.errors import DataError, UsageError
from mobilenets.model_card import CLASSIFY, has_card, read_card
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess.depth import Range
from mobilenets.system import torchrun_env
from mobilenets.tasks.objective import Objective
from mobilenets.tasks.task import Task
from mobilenets.training.checkpoint import LAST
from mobilenets.training.context import pick_device
from mobilenets.training.detection import take_own_anchors
from mobilenets.training.distributed.group import Group
from mobilenets.training.freeze import check_freeze
from mobilenets.training.input import fitted
from mobilenets.training.loaders import LoaderFactory
from mobilenets.training.origin import Origin
from mobilenets.training.plan import Plan
from mobilenets.training.recipe import ProbeRecipe, Recipe
from mobilenets.training.refusals import check_from, check_network, check_task, of_good_ones
from mobilenets.training.run_data import draw_splits, open_splits, write_list
from mobilenets.training.run_folder import begin_folder
from mobilenets.training.settings import Settings
from mobilenets.weights.create import create, name_or_default
from mobilenets.weights.state import is_file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenedRun:
    """A run in its folder, ready to learn; nothing of it is replaced later but the weights of `model`.

    `listed`: the photographs that its data names, `splits`: those of them that can be read. `origin`: the run it goes
    on from, None of others, and `new_classes`: those which that one does not know. `range`: how deep photographs are
    seen. `started`: when the minutes began to count, by `time.monotonic`.
    """

    folder: Path
    group: Group
    started: float
    origin: Origin | None
    new_classes: list[int]
    listed: Splits
    splits: Splits
    model: MobileNet
    range: RangeDecision
    loaders: LoaderFactory


def open_run(
    settings: Settings,
    changes: dict[str, Any],
    folder: Path,
    group: Group,
    started: float | None = None,
    measure: Callable[[Range | None], Measure] | None = None,
) -> tuple[OpenedRun, Plan]:
    """Open what `settings` name and begin the run folder, or go on in it; the plan has what that has settled.

    `changes`: values of the recipe, by name, that are not the usual ones. `measure`: of what deep photographs are
    scaled by, makes what measures all that are opened to be checked.

    Raises
    ------
    UserError
        Unusable data, unknown names, a device that is not there, a folder that cannot be written.
    """
    started = time.monotonic() if started is None else started
    asked, device, is_begun = settings, pick_device(settings.device), _is_begun(folder)
    origin = Origin.open(Path(settings.from_run)) if settings.from_run is not None else None
    settings = settings if origin is None else origin.with_tiles(settings)
    listed = open_splits(folder, settings, resuming=True) if is_begun else _draw(settings, origin)
    task = listed.objective.task
    if task.probe == "bank":
        settings = of_good_ones(settings)
    recipe = settings.make_recipe(changes, task.recipe(len(listed.train), listed.classes))
    check_task(task, settings, recipe)
    torch.manual_seed(settings.seed)  # of what starts random
    with group.one_per_machine_first():
        outputs = None if origin is None else origin.card.net.num_classes
        model = _create(settings, listed.objective, outputs, recipe.freeze)
    new_classes = origin.prepare(model, listed.objective.classes) if origin else []
    settings = replace(settings, model=model.net.name, width=model.net.width)
    check_freeze(model.net, recipe.freeze)
    preprocess = fitted(settings, model.preprocess, listed.train, task.has_boxes)
    if task.has_boxes:
        take_own_anchors(model, preprocess.size, listed, None if origin is None else origin.run)
    value_range = decide_range(listed.train, range_to_ask(settings.range, preprocess.range))
    settings = replace(
        settings,
        range=range_text(value_range.range, settings.range),
        fit=preprocess.fit if settings.fit == "auto" else settings.fit,
    )
    if value_range.note:
        log.info("%s", value_range.note)
    plan = Plan(asked, settings, recipe, replace(preprocess, range=value_range.range))
    if group.is_main:
        begin_folder(folder, plan)
    loaders = LoaderFactory(device, settings.seed, settings.workers, Skipped(), rank=group.rank, world_size=group.size)
    of_sample = measure(value_range.range) if measure is not None and group.is_main else None
    splits = readable_splits(listed, loaders.skipped, settings.rare, of_sample)
    _check_parts(splits, plan, group)
    if group.is_main and not is_begun:
        for line in overview(splits):
            log.info("%s", line)
        write_list(folder, listed, settings, origin.earlier if origin else None)
    group.wait()
    cache = open_cache(settings.cache, _expected_pixels(splits, plan, loaders) if settings.cache == "auto" else 0)
    loaders = replace(loaders, cache=cache, points=splits.objective.task.points(splits.classes))
    opened = OpenedRun(folder, group, started, origin, new_classes, listed, splits, model, value_range, loaders)
    return opened, plan


def _is_begun(folder: Path) -> bool:
    """Whether a run in this folder was trained, so that its split stands."""
    return any((folder / name).exists() for name in (FILE, LAST, "model.safetensors"))


def _draw(settings: Settings, origin: Origin | None) -> Splits:
    """The data in new splits; those that the run it begins with knows keep theirs."""
    splits = draw_splits(settings, CLASSIFY if origin is None else origin.card.task)
    check_from(splits.objective.task, settings, None if origin is None else origin.card.task)
    if origin is None:
        return splits
    origin.check_classes(settings.data, splits.objective.classes)
    return origin.keep_splits(splits, settings)


def _create(settings: Settings, objective: Objective, width: int | None, freeze: str | int) -> MobileNet:
    """The network that is trained; `width`: its outputs, where they are not the objective's."""
    weights, name = settings.pretrained, _network_name(settings, objective.task)
    check_network(objective.task, settings, name or _name_in(weights))  # before weights are fetched, as what follows
    if name is not None:
        check_freeze(build(name, width=1.0 if settings.width is None else settings.width), freeze)
    outputs = objective.width if width is None else width
    model = create(name, weights=weights, num_classes=outputs, width=settings.width, dropout=settings.dropout)
    check_network(objective.task, settings, model.net.name)
    if name is None:
        log.info("%s: a %s of width %s", weights, model.net.name, f"{model.net.width:g}")
    return model


def _name_in(weights: str | None) -> str | None:
    """The network in a file of this package."""
    is_ours = weights is not None and weights.endswith(".safetensors") and Path(weights).is_file()
    return read_card(Path(weights)).net.name if weights and is_ours and has_card(Path(weights)) else None


def _network_name(settings: Settings, task: Task[Any]) -> str | None:
    """Which network is created; None where the file of its weights says which."""
    weights, usual = settings.pretrained, task.network(settings.model)
    if settings.model is None and usual is not None and weights is not None and is_file(weights):
        file = Path(weights)
        return task.network(read_card(file).net.name) if file.suffix == ".safetensors" and has_card(file) else None
    return name_or_default(usual, weights)


def _check_parts(splits: Splits, plan: Plan, group: Group) -> None:
    """That several processes see the same photographs and that batches divide among them."""
    counts = [len(splits.train), len(splits.val)]
    if group.any(group.agreed(counts) != counts):
        raise DataError(f"{plan.settings.data}: the processes find different photos; give all of them the same")
    if plan.has_loop:
        check_divisible(plan.recipe.batch_size, counts[0], group.size)


def check_divisible(batch_size: int, images: int, processes: int) -> None:
    """Refuse batches that do not fall into equal parts: each would count for less or more than its images.

    Raises
    ------
    UserError
        As said.
    """
    if processes == 1:
        return
    if batch_size % (2 * processes):  # pairs: BatchNorm needs two images, and mixing keeps neighbours together
        fits = max(1, round(batch_size / (2 * processes))) * 2 * processes
        raise UsageError(
            f"batch_size: {batch_size} does not divide into pairs for {processes} processes; use {fits}, for example"
        )
    if images < batch_size:
        raise UsageError(
            f"batch_size: {batch_size} is more than the {images} training images, and {processes} processes "
            f"need whole batches; use {max(1, images // (2 * processes)) * 2 * processes} or one process"
        )


def _expected_pixels(splits: Splits, plan: Plan, loaders: LoaderFactory) -> int:
    """Bytes of all the pixels that the processes of this machine would keep in memory."""

    def loader(samples: Samples, recipe: Recipe | None = None) -> Loader:
        return loaders.loader(samples, plan.preprocess, 1, recipe)

    shown = [loader(splits.val)]
    if plan.settings.pretrained is not None:
        shown.append(loader(splits.train.spread(ProbeRecipe().max_images)))
    if plan.has_loop:
        shown.append(loader(splits.train, plan.recipe))
    return sum(loader.expected_bytes() for loader in shown) * torchrun_env.local_world()
