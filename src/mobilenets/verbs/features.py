"""What a network sees in the photos of a SOURCE, for the verbs that compare photos."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mobilenets.data.sources.survey import Survey
    from mobilenets.features.files import Row
    from mobilenets.features.neighbours import Features
    from mobilenets.runtime.predictor import Failure, Predictor

log = logging.getLogger(__name__)


def each_feature(
    predictor: Predictor[Any],
    paths: Iterable[str],
    survey: Survey,
    failures: list[Failure],
    threads: int | None = None,
) -> Iterator[Row]:
    """Path and features (D,) of each photo that can be read; the others are logged and go into `failures`.

    At the end what `survey` counted is logged. `threads`: None for one per core.
    """
    from mobilenets.runtime.predictor import Failure
    from mobilenets.system.progress import Progress

    with Progress("embedding", None, "photo") as bar:
        for path, found in predictor.features(paths, workers=threads):
            bar.advance()
            if isinstance(found, Failure):
                log.warning("%s", found.error)
                failures.append(found)
            else:
                yield str(path), found
    for line in survey.lines():
        log.warning("%s", line)


def all_features(predictor: Predictor[Any], paths: Iterable[str], survey: Survey) -> tuple[list[str], Features]:
    """The paths of the photos that can be read, and their features float32 (N, D); the others are logged."""
    import numpy as np

    found = list(each_feature(predictor, paths, survey, []))
    rows = [row for _, row in found]
    return [path for path, _ in found], np.stack(rows) if rows else np.zeros(
        (0, predictor.card.net.head_width), np.float32
    )
