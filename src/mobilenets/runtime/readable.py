"""The answers to photos that are counted together: of those that can be read; of the others it is said why not."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

from mobilenets.runtime.predictor import Failure, Predictor, Row, Source
from mobilenets.system.progress import Progress

log = logging.getLogger(__name__)


class Readable(NamedTuple):
    """Which of some photos could be read, by their places, a row for each of these, and the others."""

    shown: list[int]
    rows: list[Row]
    failures: list[Failure]


def read_rows(predictor: Predictor[Any], sources: Iterable[Source], total: int | None, title: str) -> Readable:
    """The rows of `sources`; each that cannot be read is logged.

    `total`: how many there are, None where that is not known; `title`: of the progress.
    """
    result = Readable([], [], [])
    with Progress(title, total, "photo") as progress:
        for i, (_, row) in enumerate(predictor.rows(sources)):
            progress.advance()
            if isinstance(row, Failure):
                log.warning("%s", row.error)
                result.failures.append(row)
            else:
                result.shown.append(i)
                result.rows.append(row)
    return result
