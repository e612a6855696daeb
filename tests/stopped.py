"""A training in a process of its own that gets a signal before a certain step, however busy the machine is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
    """`mobilenets train …`, to which signal `number` is sent as its step `before_step`, from 1, begins."""
    command = [sys.executable, "-c", SCRIPT, str(number), str(before_step), "train", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
