"""What a photograph is asked: how labels are read, how outputs become answers, and how right these are.

A new task is a folder beside `classify/` and a line in `TASKS`.
"""

from __future__ import annotations

from typing import Any

from mobilenets.errors import ModelFileError
from mobilenets.model_card import ModelCard
from mobilenets.tasks.anomaly import Anomaly
from mobilenets.tasks.classify import Classify
from mobilenets.tasks.detect import Detect
from mobilenets.tasks.multilabel import Multilabel
from mobilenets.tasks.task import Task

TASKS: dict[str, Task[Any]] = {task.name: task for task in (Classify(), Multilabel(), Detect(), Anomaly())}


def task_of(card: ModelCard) -> Task[Any]:
    """The task that a model was trained for.

    Parameters
    ----------
    card
        The model's.

    Returns
    -------
    Task
        Of the name that the card has.

    Raises
    ------
    ModelFileError
        This version does not know it, or the card does not describe its network.

    Examples
    --------
    >>> from mobilenets.arch import build
    >>> from mobilenets.preprocess import Preprocess
    >>> net = build("mobilenet_v2", num_classes=2)
    >>> task_of(ModelCard("mobilenet_v2", net, ("daisy", "rose"), Preprocess())).name
    'classify'
    """
    task = TASKS.get(card.task)
    if task is None:
        raise ModelFileError(
            f"{card.name}: its task is {card.task!r}; this version knows {', '.join(TASKS)}: install a newer one"
        )
    if task.width(card.classes) != card.net.num_classes:
        raise ModelFileError(f"{card.name}: {len(card.classes)} class names for {card.net.num_classes} outputs")
    return task.of(card)
