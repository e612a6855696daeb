"""What a command does to its process, which is its own. A program that uses this package keeps its own settings."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mobilenets.system.progress import shown_on_stderr
from mobilenets.system.quiet import own_outputs


@contextmanager
def own_process() -> Iterator[None]:
    """Show a person what the package reports, inside: its log as bare lines on standard error, its progress as bars.

    From here on engines in C++ are not heard, nor Pillow's warnings, and onnxruntime tells nobody what it does.
    """
    own_outputs()
    _ignore_pillow()
    # onnxruntime sends what models run, where, to its maker, unless this is set before it is imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    with log_on_stderr(), shown_on_stderr(), _ended_as_by_ctrl_c():
        yield


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Have SIGTERM, as `kill` and batch systems send it, end a command as Ctrl-C does: half-written files go.

    Where it is ignored it stays so. Commands that save what they have done, and the service, take it over.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


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
