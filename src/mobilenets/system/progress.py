"""Progress with an estimate of the time left: a bar on a terminal, plain lines elsewhere, or a program's own function.

Where nobody asked for either, as in a program that uses this package, there is nothing to see.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

LINE_EVERY_S = 10.0  # a log file wants a line now and then, not carriage returns

Report = Callable[[int, int | None, str], object]
"""Called with what is done, what there is in all (None: not known) and what it is."""

# Of a context, not of the process: two threads of a program may each follow their own.
_SHOWN: ContextVar[bool] = ContextVar("shown", default=False)
_REPORT: ContextVar[Report | None] = ContextVar("report", default=None)


@contextmanager
def shown_on_stderr(shown: bool = True) -> Iterator[None]:
    """Show progress to a person, inside (or do not): what the command line does."""
    token = _SHOWN.set(shown)
    try:
        yield
    finally:
        _SHOWN.reset(token)


@contextmanager
def reported_to(report: Report | None) -> Iterator[None]:
    """Call `report(done, total, what)` for all progress inside, instead of showing it; None changes nothing."""
    token = _REPORT.set(report or _REPORT.get())
    try:
        yield
    finally:
        _REPORT.reset(token)


class Progress:
    """Counts finished work, for the function of `reported_to` or, inside `shown_on_stderr`, on standard error.

    On a terminal that is tqdm's bar; where standard error is a file or a pipe, a plain line is
    written at most every `LINE_EVERY_S` seconds and once at the end.
    """

    def __init__(self, title: str, total: int | None, unit: str = "it", initial: int = 0) -> None:
        self._report = _REPORT.get()
        self._lines = self._report is None and _SHOWN.get()
        self._bar: tqdm[Any] | None = None
        if self._lines and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=title, unit=unit, initial=initial, dynamic_ncols=True, leave=True)
        self._title, self._total, self._unit = title, total, unit
        self._initial = self._done = initial
        self._note = ""
        self._start = self._last = time.monotonic()

    def advance(self, n: int = 1, **figures: float | str) -> None:
        """Record `n` more finished units; `figures` (loss=…, accuracy=…) are shown beside the count."""
        self._done += n
        if figures:
            self._note = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in figures.items())
        if self._report is not None:
            self._report(self._done, self._total, f"{self._title}: {self._note}" if self._note else self._title)
        elif self._bar is not None:
            if figures:
                self._bar.set_postfix_str(self._note, refresh=False)
            self._bar.update(n)
        elif self._lines and time.monotonic() - self._last >= LINE_EVERY_S:
            self._line()

    def _line(self) -> None:
        from tqdm import tqdm

        self._last = time.monotonic()
        text = tqdm.format_meter(
            self._done,
            self._total or 0,
            self._last - self._start,
            prefix=self._title,
            unit=self._unit,
            initial=self._initial,
            postfix=self._note or None,
            bar_format="{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
            if self._total
            else "{desc}: {n_fmt} [{elapsed}, {rate_fmt}{postfix}]",
        )
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Finish the bar, or write the last line."""
        if self._bar is not None:
            self._bar.close()
        elif self._lines and self._done > self._initial:
            self._line()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
