"""What a training of one task cannot do, refused before it begins, each in a line with the remedy."""

from __future__ import annotations

from typing import Any

from mobilenets.errors import UsageError
from mobilenets.tasks.task import Task
from mobilenets.training.recipe import Recipe
from mobilenets.training.settings import Settings


def check_from(task: Task[Any], settings: Settings) -> None:
    """Refuse to go on with a run where labels are no classes.

    Raises
    ------
    UserError
        As said.
    """
    if settings.from_run is not None and not task.labels_are_classes:
        asks = f"{settings.data} asks for {task.name!r}"
        raise UsageError(f"--from: {asks}, not for classes; use --weights instead")


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
        raise UsageError(
            f"--fit {settings.fit}: {asks}, and a detector sees all of a photograph, stretched; leave it out"
        )
    if settings.crop not in (None, 1.0):
        raise UsageError(f"--crop {settings.crop:g}: {asks}, and a detector sees all of a photograph; leave it out")
