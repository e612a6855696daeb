"""Engines in C++ tell their own developers what they found out about the processor; nobody who predicts asked.

What they write goes past Python, to the file descriptors of the process. Those belong to the program: the command line
(and a process of our own) says that it may be dropped; in any other program it passes.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator

_OUTPUTS = (1, 2)  # standard output and error, as C knows them
_ours = False


def own_outputs() -> None:
    """This process is a command of ours: `no_output` may redirect its standard output and error."""
    global _ours
    _ours = True


@contextlib.contextmanager
def no_output() -> Iterator[None]:
    """Drop warnings and what anything in this process writes to standard output and error; exceptions pass.

    In a process that is not ours (`own_outputs`) nothing is dropped: another thread's output would be too.
    """
    if not _ours:
        yield
        return
    kept = {number: os.dup(number) for number in _OUTPUTS if _is_open(number)}
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # none, or one that is closed
            stream.flush()  # what was written before is not part of it
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in kept:
            os.dup2(nowhere, number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)


def _is_open(number: int) -> bool:
    """A service or a program with windows may have been started without."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
