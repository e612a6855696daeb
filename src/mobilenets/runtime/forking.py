"""A forked process has none of the threads that engines of its parent wait for: it leaves them alone."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """What can be there in a forked process too."""

    def left_to_parent(self) -> tuple[object, ...]:
        """What it must not touch any more in a process that was just forked, nor take down: it would wait for ever."""


def watch(one: Forked) -> None:
    """Have `one` leave to the parent what it must, in every process that is forked while it is in use."""
    _ALIVE.add(one)


_ALIVE: weakref.WeakSet[Forked] = weakref.WeakSet()
_LEFT: list[object] = []


def _leave_to_parent() -> None:
    for one in list(_ALIVE):
        _LEFT.extend(one.left_to_parent())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
