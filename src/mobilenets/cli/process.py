"""What a command does to its process, which is its own. A program that uses this package keeps its own settings."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mobilenets.system.progress import shown_on_stderr
from mobilenets.system.quiet import own_outputs


@contextmanager
def own_process() -> Iterator[None]:
    """Show a person what the package reports, inside: its log as bare lines on standard error, its progress as bars.

    From here on engines in C++ are not heard, nor Pillow's warnings.
    """
    own_outputs()
    _ignore_pillow()
    with log_on_stderr(), shown_on_stderr():
        yield


@contextmanager
def log_on_stderr() -> Iterator[None]:
    """Print what the package logs, inside; where that is done already, nothing changes."""
    log = logging.getLogger("mobilenets")
    if any(isinstance(handler, _Lines) for handler in log.handlers):
        yield
        return
    handler, level, propagate = _Lines(), log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False  # a library that sets up logging would print each line a second time
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate


class _Lines(logging.Handler):
    """Each message as a line on what is standard error now."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def _ignore_pillow() -> None:
    """Pillow warns of every file with damaged metadata or many pixels; here the first is harmless and the second is
    bounded by `max_pixels`. Once for the process, because `warnings.catch_warnings` is not safe with threads.
    """
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    warnings.filterwarnings("ignore", "Image size .* decompression bomb", RuntimeWarning)
