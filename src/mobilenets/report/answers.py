"""What a run's page says of its answers: a template and its values for each task that has pages of its own.

The page of a task without one has its figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.auditing.audit import Audit
from mobilenets.data.sample import Sample
from mobilenets.model_card import CLASSIFY, ModelCard
from mobilenets.weights.kept import Kept

if TYPE_CHECKING:
    from mobilenets.explaining.gradcam import Explainer


@dataclass(frozen=True)
class Answered:
    """A run and what it answered about its validation photographs.

    `predictions`: the text of predictions.csv. `images`: those of its rows; None: the files of its paths. `explainer`:
    draws where the network looked; None: it does not. `audit`: of the run's data.
    """

    folder: Path
    card: ModelCard
    kept: Kept
    predictions: str
    images: Sequence[Sample] | None
    explainer: Explainer | None
    audit: Audit | None


@dataclass(frozen=True)
class AnswerPages:
    """The folder of templates for a task (`headline.html.j2`, `body.html.j2`), and the values that they name."""

    templates: str
    values: dict[str, Any]


def answer_pages(answered: Answered) -> AnswerPages:
    """What there is for the run's task."""
    return _PAGES.get(answered.card.task, _figures)(answered)


def _classes(answered: Answered) -> AnswerPages:
    from mobilenets.report.class_answers import class_answers

    return AnswerPages("run/classify", class_answers(answered))


def _figures(answered: Answered) -> AnswerPages:
    """Every figure by its name."""
    figures = [(name, value) for name, value in answered.card.metrics.items() if isinstance(value, (int, float))]
    return AnswerPages("run/figures", {"figures": figures})


_PAGES: dict[str, Callable[[Answered], AnswerPages]] = {CLASSIFY: _classes}
