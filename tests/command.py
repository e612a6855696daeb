"""The command line within this process: the code of `mobilenets …` without the seconds that importing torch takes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
import torch

from mobilenets.cli.main import main


def run_command(
    arguments: list[str], cwd: Path, env: dict[str, str], stdin: str | None
) -> subprocess.CompletedProcess[str]:
    """What a process of these arguments would return and write; afterwards everything is as it was before."""
    threads = torch.get_num_threads()
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        patch.chdir(cwd)
        for name, value in env.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((stdin or "").encode()), encoding="utf-8"))
        try:
            with _written_to(1, "stdout", stdout), _written_to(2, "stderr", stderr):
                try:
                    code = main(arguments)
                except SystemExit as exit_:
                    code = exit_.code
        finally:
            torch.set_num_threads(threads)
        return subprocess.CompletedProcess(arguments, code, _text(stdout), _text(stderr))


@contextmanager
def _written_to(number: int, name: str, file: BinaryIO) -> Iterator[None]:
    """Let what Python and what C write to an output go to `file`."""
    kept, before = os.dup(number), getattr(sys, name)
    before.flush()
    os.dup2(file.fileno(), number)
    stream = open(number, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    setattr(sys, name, stream)
    try:
        yield
    finally:
        setattr(sys, name, before)
        stream.close()
        os.dup2(kept, number)
        os.close(kept)


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")
