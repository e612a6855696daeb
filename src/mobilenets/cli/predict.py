"""`mobilenets predict`: what the pictures show."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.errors import UserError

if TYPE_CHECKING:
    from mobilenets.runtime.classifier import Classifier, Failure, Prediction

HELP = "say what pictures show"

MANY_CLASSES = 20  # from here on the table shows the best five only
FORMATS = ("table", "jsonl", "csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="run folder, .onnx, .safetensors or published name")
    parser.add_argument(
        "source", nargs="+", metavar="SOURCE", help="file, folder, glob, or - for paths on standard input"
    )
    parser.add_argument("--top", type=int, metavar="K", help="the K most probable classes")
    parser.add_argument("--format", choices=FORMATS, default="table", help="table (default), jsonl or csv")
    parser.add_argument("--save", type=Path, metavar="PNG", help="draw the pictures (up to 16) with their titles")
    parser.add_argument("--engine", default="auto", metavar="E", help="auto (default), onnxruntime or torch")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the engine")
    parser.add_argument("--batch", type=int, metavar="N", help="pictures per step")


def run(args: argparse.Namespace) -> int:
    """Predict; 1 when some pictures could not be read."""
    for name in ("top", "threads", "batch"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise UserError(f"--{name}: {getattr(args, name)} is too few; use 1 or more")
    if args.save is not None:
        _check_free(args.save)
    from mobilenets.cli.model_argument import open_model
    from mobilenets.cli.sources import expand

    classifier = open_model(args.model, args.engine, args.threads)
    top = args.top or (5 if args.format == "table" and len(classifier.classes) >= MANY_CLASSES else None)
    writer = _WRITERS[args.format](classifier, top)
    kept: list[Prediction] = []
    failures = 0
    for result in _results(classifier, expand(args.source), args.batch):
        writer.write(result)
        if hasattr(result, "error"):
            failures += 1
        elif args.save is not None and len(kept) < 16:
            kept.append(result)
    if kept:
        from mobilenets.evaluate.picture import save_pictures

        save_pictures(kept, args.save)
        print(f"saved {args.save}", file=sys.stderr)
    if failures:
        print(f"{failures} could not be read", file=sys.stderr)
    return 1 if failures else 0


def _check_free(path: Path) -> None:
    if path.exists():
        raise UserError(f"{path}: exists already; choose another name for --save")
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder for --save")
    if path.suffix.lower() != ".png":
        raise UserError(f"{path}: --save draws PNG; use a name that ends in .png")


def _results(classifier: Classifier, paths: Iterator[str], batch: int | None) -> Iterable[Prediction | Failure]:
    """One picture is predicted without threads and progress, which would take longer than it does."""
    from mobilenets.runtime.classifier import BATCH, Failure

    first = [path for _, path in zip(range(2), paths, strict=False)]
    if len(first) < 2:
        try:
            yield from (classifier.predict(path) for path in first)
        except UserError as error:
            yield Failure(first[0], str(error))
        return
    from itertools import chain

    from mobilenets.progress import Progress

    with Progress("predicting", None, "picture") as progress:
        for result in classifier.predict_many(chain(first, paths), batch or BATCH):
            yield result
            progress.advance()


class _Table:
    """As the tutorial printed it: every class with its probability, best first."""

    def __init__(self, classifier: Classifier, top: int | None) -> None:
        self._top = top
        self._width = max(map(len, classifier.classes))

    def write(self, result: Prediction | Failure) -> None:
        if hasattr(result, "error"):
            print(result.error, file=sys.stderr)
            return
        print(result.path)
        for label, probability in result.top[: self._top]:
            print(f"class: {label:<{self._width}}   prob: {probability:.3f}")


class _Jsonl:
    """One object a line."""

    def __init__(self, classifier: Classifier, top: int | None) -> None:
        self._top = top

    def write(self, result: Prediction | Failure) -> None:
        if hasattr(result, "error"):
            print(json.dumps({"path": result.path, "error": result.error}, ensure_ascii=False))
            return
        best = [{"label": label, "probability": p} for label, p in result.top[: self._top]]
        line = {"path": result.path, "label": result.label, "probability": result.probability, "top": best}
        print(json.dumps(line, ensure_ascii=False))


class _Csv:
    """path, label, probability, error; with --top also the K best as label and probability columns."""

    def __init__(self, classifier: Classifier, top: int | None) -> None:
        self._top = top or 1
        self._rows = csv.writer(sys.stdout, lineterminator="\n")
        more = [f"{column}{k}" for k in range(2, self._top + 1) for column in ("label", "probability")]
        self._rows.writerow(["path", "label", "probability", "error", *more])

    def write(self, result: Prediction | Failure) -> None:
        if hasattr(result, "error"):
            self._rows.writerow([result.path, "", "", result.error])
            print(result.error, file=sys.stderr)
            return
        more = [value for label, p in result.top[1 : self._top] for value in (label, f"{p:.6f}")]
        self._rows.writerow([result.path, result.label, f"{result.probability:.6f}", "", *more])


_WRITERS: dict[str, type[_Table] | type[_Jsonl] | type[_Csv]] = {"table": _Table, "jsonl": _Jsonl, "csv": _Csv}
