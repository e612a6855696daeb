"""What a training of one task cannot do, refused before it begins, each in a line with the remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mobilenets.arch.build import DETECTOR
from mobilenets.errors import UsageError
from mobilenets.tasks.task import Task
from mobilenets.training.recipe import Recipe
from mobilenets.training.settings import Settings


def goes_on(task: Task[Any]) -> bool:
    """Whether a finished run for `task` can be trained on."""
    return task.labels_are_classes or task.probe == "loop"


def check_from(task: Task[Any], settings: Settings, answered: str | None) -> None:
    """Refuse to go on with a run for a task that cannot, or where the run `answered` another one.

    Raises
    ------
    UserError
        As said.
    """
    if settings.from_run is not None and not goes_on(task):
        asks = f"{settings.data} asks for {task.name!r}"
        raise UsageError(f"--from: {asks}, not for classes or boxes; use --weights instead")
    if answered not in (None, task.name):
        asks = f"{settings.data} asks for {task.name!r}"
        raise UsageError(f"--from {settings.from_run}: answers {answered!r}, and {asks}; give a run of the same task")


def check_network(task: Task[Any], settings: Settings, name: str | None) -> None:
    """Refuse a detector, by the `name` of its network (None: not known yet), where labels are no boxes.

    Raises
    ------
    UserError
        As said.
    """
    if name is not None and name.startswith(DETECTOR) and not task.has_boxes:
        asks = f"{settings.data} asks for {task.name!r}"
        raise UsageError(f"{name}: finds boxes, and {asks}; use {name.removeprefix(DETECTOR)}, or other weights")


def of_good_ones(settings: Settings) -> Settings:
    """Settings for good ones only: patches are kept, of all of a photo, as a defect may lie at its edge.

    Raises
    ------
    UserError
        What is asked for trains by steps, or from nothing.
    """
    if settings.pretrained is None:
        raise UsageError("weights: none; random features tell no good ones, use the weights of another network")
    for name, usual in (("recipe", ("auto", "probe")), ("minutes", (None,)), ("epochs", (None,))):
        value = getattr(settings, name)
        if value not in usual:
            raise UsageError(
                f"--{name} {value}: {settings.data} shows good ones only, which are kept, not trained by steps; "
                "leave it out"
            )
    return replace(settings, recipe="probe", fit=settings.fit or "squash")


def check_task(task: Task[Any], settings: Settings, recipe: Recipe) -> None:
    """Refuse what is made for classes where the labels are none, and what moves pixels where labels are boxes.

    Raises
    ------
    UserError
        As said.
    """
    if task.labels_are_classes:
        return
    asks = f"{settings.data} asks for {task.name!r}"
    if recipe.balance == "sampler":
        raise UsageError(f"balance: sampler draws classes, and {asks}; use loss")
    if settings.recipe == "probe" and task.probe is None:
        raise UsageError(f"--recipe probe: fits classes, and {asks}; use finetune")
    if not task.has_boxes:
        return
    augment = recipe.augment
    unknown = {
        "mixup": recipe.mixup, "cutmix": recipe.cutmix, "views": recipe.views, "augment.trivial": augment.trivial,
        "augment.erase": augment.erase,
    }  # fmt: skip
    for name, value in unknown.items():
        if value:
            raise UsageError(f"{name}: {asks}, and boxes do not go with it; leave it out")
    if settings.fit not in (None, "squash", "auto"):
        raise UsageError(f"--fit {settings.fit}: {asks}, and a detector sees all of a photo, stretched; leave it out")
    if settings.crop not in (None, 1.0):
        raise UsageError(f"--crop {settings.crop:g}: {asks}, and a detector sees all of a photo; leave it out")
