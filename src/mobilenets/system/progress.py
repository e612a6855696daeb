"""Progress with an estimate of the time left: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

LINE_EVERY_S = 10.0  # a log file wants a line now and then, not carriage returns


class Progress:
    """Counts finished work on standard error.

    On a terminal this is tqdm's bar; where standard error is a file or a pipe, a plain line is
    written at most every `LINE_EVERY_S` seconds and once at the end.
    """

    def __init__(self, title: str, total: int | None, unit: str = "it", initial: int = 0) -> None:
        self._terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            desc=title,
            unit=unit,
            initial=initial,
            dynamic_ncols=True,
            disable=not self._terminal,
            leave=True,
        )
        self._title, self._total, self._unit = title, total, unit
        self._initial = self._done = initial
        self._note = ""
        self._start = self._last = time.monotonic()

    def advance(self, n: int = 1, **figures: float | str) -> None:
        """Record `n` more finished units; `figures` (loss=…, accuracy=…) are shown beside the count."""
        self._done += n
        if figures:
            self._note = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in figures.items())
        if self._terminal:
            if figures:
                self._bar.set_postfix_str(self._note, refresh=False)
            self._bar.update(n)
        elif time.monotonic() - self._last >= LINE_EVERY_S:
            self._line()

    def _line(self) -> None:
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
        if self._terminal:
            self._bar.close()
        elif self._done > self._initial:
            self._line()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
