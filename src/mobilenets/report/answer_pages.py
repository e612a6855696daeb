"""Which part of a run's page speaks of its answers: templates and their values for each task that has some of its own.

The page of a task without them has its figures.
"""

from __future__ import annotations

from collections.abc import Callable

from mobilenets.model_card import ANOMALY, CLASSIFY, DETECT, MULTILABEL
from mobilenets.report.answers import Answered, AnswerPages
from mobilenets.report.box_answers import box_answers
from mobilenets.report.class_answers import class_answers
from mobilenets.report.good_answers import good_answers
from mobilenets.report.label_answers import label_answers


def answer_pages(answered: Answered) -> AnswerPages:
    """What there is for the run's task."""
    return _PAGES.get(answered.card.task, _figures)(answered)


def _classes(answered: Answered) -> AnswerPages:
    return AnswerPages("run/classify", class_answers(answered))


def _labels(answered: Answered) -> AnswerPages:
    return AnswerPages("run/multilabel", label_answers(answered))


def _boxes(answered: Answered) -> AnswerPages:
    return AnswerPages("run/detect", box_answers(answered))


def _good(answered: Answered) -> AnswerPages:
    return AnswerPages("run/anomaly", good_answers(answered))


def _figures(answered: Answered) -> AnswerPages:
    """Every figure by its name."""
    figures = [(name, value) for name, value in answered.card.metrics.items() if isinstance(value, (int, float))]
    return AnswerPages("run/figures", {"figures": figures})


_PAGES: dict[str, Callable[[Answered], AnswerPages]] = {
    CLASSIFY: _classes,
    MULTILABEL: _labels,
    DETECT: _boxes,
    ANOMALY: _good,
}
