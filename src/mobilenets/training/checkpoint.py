"""The state of an unfinished training, written so that a kill at any moment loses no more than a minute."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mobilenets.errors import ModelFileError
from mobilenets.system.files import replacing

LAST = Path("checkpoint", "last.pt")  # within a run folder
HEAD = Path("checkpoint", "head")  # likewise: what a training of the head alone writes, until the run's ends


@dataclass
class State:
    """Where a training stands: everything that the next step depends on besides the weights.

    `epoch` and `batch` name the next batch to train on; `step` counts optimiser steps. The sums belong
    to the epoch under way. Random numbers need no state: each is drawn from (seed, epoch, position).
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    stale_epochs: int = 0
    loss_sum: float = 0.0
    correct: float = 0.0
    seen: int = 0
    best: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float | int | str]] = field(default_factory=list)


def save(path: Path, state: State, tensors: dict[str, dict[str, Any]]) -> None:
    """Write `state` and state dicts by name; the previous checkpoint stays until this one is complete.

    Raises
    ------
    OSError
        It cannot be written, as on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, part.open("wb") as file:
        try:
            torch.save({"state": dict(vars(state)), **tensors}, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch hides it behind its own
                raise error.__context__ from error
            raise


def load(path: Path) -> tuple[State, dict[str, dict[str, Any]]]:
    """Read what `save` wrote; nothing but tensors and plain values is unpickled.

    Raises
    ------
    UserError
        The file is damaged or not a checkpoint.
    """
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        return State(**content.pop("state")), content
    except Exception as error:  # torch raises many kinds for damaged files
        raise ModelFileError(f"{path}: not a readable checkpoint; delete it and resume from the start") from error
