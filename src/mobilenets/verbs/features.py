"""What a network sees in the photos of a SOURCE, for the verbs that compare photos."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from mobilenets.data.sources.survey import Survey
    from mobilenets.features.files import Row
    from mobilenets.features.neighbours import Features
    from mobilenets.runtime.predictor import Failure, Predictor, Source

log = logging.getLogger(__name__)

T = TypeVar("T")


def each_feature(
    predictor: Predictor[Any],
    paths: Iterable[str],
    survey: Survey,
    failures: list[Failure],
    threads: int | None = None,
) -> Iterator[Row]:
    """Path and features (D,) of each photo that can be read; else as `each_readable`.

    `threads`: None for one per core.
    """
    return each_readable(predictor.features(paths, workers=threads), survey, failures)


def each_readable(
    found: Iterable[tuple[Source, T | Failure]], survey: Survey, failures: list[Failure]
) -> Iterator[tuple[str, T]]:
    """The path and what was `found` of each photo that can be read; the others are logged and go into `failures`.

    At the end what `survey` counted is logged, and how many could not be read.
    """
    from mobilenets.runtime.predictor import Failure
    from mobilenets.system.progress import Progress
    from mobilenets.verbs.stream import log_left_out, log_unreadable

    total = 0
    with Progress("embedding", None, "photo") as bar:
        for path, one in found:
            bar.advance()
            total += 1
            if isinstance(one, Failure):
                log.warning("%s", one.error)
                failures.append(one)
            else:
                yield str(path), one
    log_left_out(survey)
    log_unreadable(len(failures), total)


def all_features(
    predictor: Predictor[Any], paths: Iterable[str], survey: Survey, failures: list[Failure]
) -> tuple[list[str], Features]:
    """The paths of the photos that can be read, and their features float32 (N, D); else as `each_readable`."""
    import numpy as np

    found = list(each_feature(predictor, paths, survey, failures))
    rows = [row for _, row in found]
    return [path for path, _ in found], np.stack(rows) if rows else np.zeros(
        (0, predictor.card.net.head_width), np.float32
    )
