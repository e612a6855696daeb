"""Trainings that get a signal as a certain step begins, however busy the machine is."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command import run_command
from mobilenets.training.loop import Trainer

SCRIPT = """
import os, sys
from mobilenets.cli.main import main
from mobilenets.training.loop import Trainer

number, left, step = int(sys.argv[1]), int(sys.argv[2]), Trainer.step

def stopping(*args):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), number)
    return step(*args)

Trainer.step = stopping
sys.exit(main(sys.argv[3:]))
"""


def stopped_training(
    number: int, before_step: int, *arguments: str | Path, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`mobilenets train …` in a process of its own that gets signal `number` as step `before_step`, from 1, begins."""
    command = [sys.executable, "-c", SCRIPT, str(number), str(before_step), "train", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def press_ctrl_c(*_: object, **__: object) -> None:
    """Call what Python calls on Ctrl-C: a signal itself crashes a process that has used AMX, on the stack that
    pytest's faulthandler sets for it.
    """
    handler = signal.getsignal(signal.SIGINT)
    assert callable(handler)
    handler(signal.SIGINT, None)


def interrupted(
    when: Callable[[int], bool], *command: str | Path, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`mobilenets …`, within this process, with Ctrl-C once `when` is true of a training step that begins, from 1.

    It saves the seconds that a process of its own takes to import everything.
    """
    step, number, is_sent = Trainer.step, 0, False

    def stopping(*args: Any) -> tuple[float, float]:
        nonlocal number, is_sent
        number += 1
        if not is_sent and when(number):
            is_sent = True
            press_ctrl_c()
        return step(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", stopping)
        return run_command([*map(str, command)], cwd or Path.cwd(), {}, None)
