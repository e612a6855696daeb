"""How `mobilenets predict` prints: a table for people, jsonl and csv for machines."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from mobilenets.model_card import ModelCard
from mobilenets.runtime.predictor import Failure
from mobilenets.tasks import task_of
from mobilenets.tasks.known import KNOWN_COLUMNS
from mobilenets.tasks.task import Answer, Task


class Writer(Protocol):
    """Prints one result after another."""

    def write(self, result: Answer | Failure) -> None:
        """Print `result`."""
        ...


def make_writer(format: str, card: ModelCard, top: int | None, knows_unknown: bool = False) -> Writer:
    """The writer of "table", "jsonl" or "csv"; `top` bounds the possibilities it prints (None: all, csv: one).

    `knows_unknown`: whether answers say how known a picture is.
    """
    accept_any_text()
    if format == "table":
        return Table(card.classes, top)
    return Jsonl(top) if format == "jsonl" else Csv(task_of(card), top or 1, knows_unknown)


class Table:
    """The path, and below it the lines that the answer has for people."""

    def __init__(self, classes: Sequence[str], top: int | None) -> None:
        self._classes, self._top = classes, top

    def write(self, result: Answer | Failure) -> None:
        """Print the picture's lines, or what is wrong with it to standard error."""
        if isinstance(result, Failure):
            print(result.error, file=sys.stderr)
            return
        print(result.path, *result.cut(self._top).lines(self._classes), sep="\n")


class Jsonl:
    """One object a line, also for a picture that could not be read."""

    def __init__(self, top: int | None) -> None:
        self._top = top

    def write(self, result: Answer | Failure) -> None:
        """Print the picture's line."""
        from mobilenets.bulk.shards import json_line

        print(json_line(result, self._top))


class Csv:
    """path, what the answer is, error; then the further columns of `top` possibilities, and how known a picture is."""

    def __init__(self, task: Task[Any], top: int, knows_unknown: bool) -> None:
        self._top = top
        first, all_ = task.columns(1), [*task.columns(top), *(KNOWN_COLUMNS if knows_unknown else ())]
        self._rows = csv.DictWriter(
            sys.stdout, ["path", *first, "error", *all_[len(first) :]], restval="", lineterminator="\n"
        )
        self._rows.writeheader()

    def write(self, result: Answer | Failure) -> None:
        """Print the picture's line; what is wrong with it also to standard error."""
        if isinstance(result, Failure):
            self._rows.writerow({"path": result.path, "error": result.error})
            print(result.error, file=sys.stderr)
            return
        self._rows.writerow({"path": result.path, **result.cells(self._top)})


def accept_any_text() -> None:
    """Print class and file names whatever the locale, as UTF-8; bytes that are no text as \\udcXX."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
