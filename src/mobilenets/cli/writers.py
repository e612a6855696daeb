"""How `mobilenets predict` prints: a table for people, jsonl and csv for machines."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from typing import Protocol

from mobilenets.runtime.classifier import Failure, Prediction
from mobilenets.system.terminal import columns, padded


class Writer(Protocol):
    """Prints one result after another."""

    def write(self, result: Prediction | Failure) -> None:
        """Print `result`."""
        ...


def make_writer(format: str, classes: Sequence[str], top: int | None) -> Writer:
    """The writer of "table", "jsonl" or "csv"; `top` bounds the classes it prints (None: all, csv: one)."""
    accept_any_text()
    if format == "table":
        return Table(classes, top)
    return Jsonl(top) if format == "jsonl" else Csv(top)


class Table:
    """As the tutorial printed it: every class with its probability, best first."""

    def __init__(self, classes: Sequence[str], top: int | None) -> None:
        self._top, self._width = top, max(map(columns, classes))

    def write(self, result: Prediction | Failure) -> None:
        """Print the picture's lines, or what is wrong with it to standard error."""
        if isinstance(result, Failure):
            print(result.error, file=sys.stderr)
            return
        print(result.path)
        for label, probability in result.top[: self._top]:
            print(f"class: {padded(label, self._width)}   prob: {probability:.3f}")


class Jsonl:
    """One object a line, also for a picture that could not be read."""

    def __init__(self, top: int | None) -> None:
        self._top = top

    def write(self, result: Prediction | Failure) -> None:
        """Print the picture's line."""
        from mobilenets.bulk.shards import json_line

        print(json_line(result, self._top))


class Csv:
    """path, label, probability, error; then label2, probability2 … for the further classes of `top`."""

    def __init__(self, top: int | None) -> None:
        self._top = top or 1
        self._rows = csv.writer(sys.stdout, lineterminator="\n")
        more = [f"{column}{k}" for k in range(2, self._top + 1) for column in ("label", "probability")]
        self._rows.writerow(["path", "label", "probability", "error", *more])

    def write(self, result: Prediction | Failure) -> None:
        """Print the picture's line; what is wrong with it also to standard error."""
        if isinstance(result, Failure):
            self._rows.writerow([result.path, "", "", result.error, *[""] * 2 * (self._top - 1)])
            print(result.error, file=sys.stderr)
            return
        more = [value for label, p in result.top[1 : self._top] for value in (label, f"{p:.6f}")]
        self._rows.writerow([result.path, result.label, f"{result.probability:.6f}", "", *more])


def accept_any_text() -> None:
    """Print class and file names whatever the locale, as UTF-8; bytes that are no text as \\udcXX."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
