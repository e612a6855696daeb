"""What is left to do and to say when a stream of results has been gone through: the sheet, what could not be read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from mobilenets.runtime.row import Failure

if TYPE_CHECKING:
    from mobilenets.data.sources.survey import Survey

log = logging.getLogger(__name__)

T = TypeVar("T")


class Closing(Generic[T]):
    """Counts the results of a stream and keeps the first ones for a sheet; `close` draws it and says what is missing.

    Parameters
    ----------
    survey
        What finding the photos left out.
    save
        Where the sheet goes; None: nothing is drawn.
    """

    def __init__(self, survey: Survey, save: Path | None) -> None:
        self._survey, self._save = survey, save
        self._shown: list[T] = []
        self._room = self._read = self._failed = 0
        if save is not None:  # what draws is not loaded for nothing
            from mobilenets.report.sheets import MAX_IMAGES

            self._room = MAX_IMAGES

    def add(self, result: T | Failure) -> None:
        """The next result."""
        if isinstance(result, Failure):
            self._failed += 1
            return
        self._read += 1
        if len(self._shown) < self._room:
            self._shown.append(result)

    def close(self, draw: Callable[[list[T], Path], None]) -> None:
        """Write the sheet with `draw`, where there is something to show; log what is missing from the stream."""
        if self._save is not None and self._shown:
            draw(self._shown, self._save)
            some = f" (the first {len(self._shown)} of {self._read})" if len(self._shown) < self._read else ""
            log.info("saved %s%s", self._save, some)
        log_left_out(self._survey)
        log_unreadable(self._failed, self._read + self._failed)


def log_left_out(survey: Survey) -> None:
    """Say how the data was understood, and what was left out of it for which reason."""
    for line in survey.lines():
        log.warning("%s", line)


def log_unreadable(failed: int, total: int) -> None:
    """Say how many of all photos could not be read, if any."""
    if failed:
        log.warning("%d of %d could not be read", failed, total)
