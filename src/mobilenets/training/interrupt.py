"""Ctrl-C, or a request to end: between two steps of a training instead of in the middle of one, else at once."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

log = logging.getLogger(__name__)


class Interrupt:
    """While active, the first Ctrl-C or SIGTERM only sets `requested`; a second one interrupts at once.

    SIGTERM is what torchrun, batch systems and containers send some time before they kill. An optimiser step that
    stops half-way leaves weights that no run would have produced; the loop asks `requested` between steps, saves and
    returns. Outside the main thread Python delivers no signals and nothing is changed.

    `only_in_steps`: outside `steps` the first one interrupts at once, where there is nothing to save. Not for one of
    several processes, which the others would wait for.
    """

    def __init__(self, only_in_steps: bool = False) -> None:
        self.requested = False
        self._waits = not only_in_steps
        self._previous: dict[int, signal._HANDLER] = {}

    @contextmanager
    def steps(self) -> Iterator[None]:
        """Where steps are made, between which `requested` is asked."""
        before, self._waits = self._waits, True
        try:
            yield
        finally:
            self._waits = before

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested or not self._waits:
            raise KeyboardInterrupt
        self.requested = True
        again = "; press Ctrl-C again to stop at once" if number == signal.SIGINT else ""
        log.warning("\nstopping after this step and saving%s", again)

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._previous = {n: signal.signal(n, self._handle) for n in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
