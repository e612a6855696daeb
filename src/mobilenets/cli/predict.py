"""`mobilenets predict`: what the pictures show."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.cli import precision
from mobilenets.errors import UserError

if TYPE_CHECKING:
    from mobilenets.data.sources.survey import Survey
    from mobilenets.preprocess.depth import Range
    from mobilenets.runtime.classifier import Classifier, Failure, Prediction


MANY_CLASSES = 20  # from here on the table shows the best five only


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="run folder, .onnx, .safetensors or published name")
    parser.add_argument(
        "source", nargs="+", metavar="SOURCE", help="file, folder, glob, or - for paths on standard input"
    )
    parser.add_argument(
        "--top", type=int, metavar="K", help="the K most probable classes (default: all, at most 5 of many)"
    )
    parser.add_argument(
        "--format",
        choices=("table", "jsonl", "csv", "parquet"),
        help="table (default), jsonl or csv; with --ray parquet (default) or jsonl",
    )
    parser.add_argument("--save", type=Path, metavar="PNG", help="draw the first 16 pictures with their titles")
    parser.add_argument(
        "--engine",
        default="auto",
        metavar="E",
        help="onnxruntime, openvino, torch, executorch, litert or ncnn (default auto: the fastest)",
    )
    parser.add_argument("--precision", **precision.OPTIONS)
    parser.add_argument("--threads", type=int, metavar="N", help="threads in all (default: one per core)")
    parser.add_argument("--batch", type=int, metavar="N", help="pictures per step (default 4)")
    parser.add_argument("--ray", action="store_true", help="on every core of a Ray cluster or this machine, into --out")
    parser.add_argument("--out", type=Path, metavar="DIR", help="with --ray: folder of results; one begun is completed")


def run(args: argparse.Namespace) -> int:
    """Predict; 1 when some pictures could not be read."""
    for name in ("top", "threads", "batch"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise UserError(f"--{name}: {getattr(args, name)} is too few; use 1 or more")
    if args.save is not None:
        from mobilenets.system.files import check_new_file

        check_new_file("--save", args.save, ".png")
    if args.ray:
        return _bulk(args)
    if args.out is not None or args.format == "parquet":
        raise UserError(f"{'--out' if args.out else '--format parquet'}: is for --ray; without it results are printed")
    # numpy's linear algebra is not used here, and starting its threads takes a sixth of predicting a picture.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from mobilenets.cli.model_argument import open_model
    from mobilenets.cli.sources import expand
    from mobilenets.cli.writers import make_writer
    from mobilenets.data.sources.survey import Survey
    from mobilenets.runtime.classifier import Prediction

    survey = Survey()
    paths = expand(args.source, survey)
    first = list(islice(paths, 2))
    paths = chain(first, paths)
    classifier = open_model(args.model, args.engine, args.threads, args.precision, one=len(first) == 1)
    many = len(classifier.classes) >= MANY_CLASSES
    form = args.format or "table"
    writer = make_writer(form, classifier.classes, args.top or (5 if many and form == "table" else None))
    shown: list[Prediction] = []
    done = failed = 0
    for result in _results(classifier, paths, len(first) == 1, args.batch, args.threads):
        writer.write(result)
        done += 1
        if not isinstance(result, Prediction):
            failed += 1
        elif args.save is not None and len(shown) < 16:
            shown.append(result)
    if shown:
        _save(shown, args.save, done - failed, classifier.card.preprocess.range)
    _tell(survey)
    if failed:
        print(f"{failed} of {done} could not be read", file=sys.stderr)
    return 1 if failed else 0


def _tell(survey: Survey) -> None:
    for line in survey.lines():
        print(line, file=sys.stderr)


def _bulk(args: argparse.Namespace) -> int:
    """Predict on Ray into a folder of parts; a folder begun is completed."""
    for name in ("save", "threads", "batch"):
        if getattr(args, name) is not None:
            raise UserError(f"--{name}: has no meaning with --ray, where each core has a worker of one thread")
    if args.engine not in ("auto", "onnxruntime"):
        raise UserError(f"--engine: {args.engine!r} with --ray; its workers run onnxruntime, leave it out")
    if args.precision == "half":
        raise UserError("--precision: 'half' with --ray; its workers run onnxruntime in float32, leave it out")
    if args.out is None:
        raise UserError("--out: say which folder the results of --ray go to")
    if args.format not in (None, "parquet", "jsonl"):
        raise UserError(f"--format: {args.format!r} with --ray; use parquet or jsonl")
    try:
        from mobilenets.bulk.ray import predict_parts
    except ModuleNotFoundError as missing:
        raise UserError(f"{missing.name} is not installed; run: pip install 'mobilenets[ray]'") from None
    from mobilenets.bulk.shards import claim, make_manifest
    from mobilenets.cli.sources import expand
    from mobilenets.data.sources.survey import Survey
    from mobilenets.runtime.classifier import onnx_file

    model = onnx_file(args.model).read_bytes()
    survey = Survey()
    paths = list(expand(args.source, survey))
    _tell(survey)
    manifest = make_manifest(model, paths, args.format or "parquet", args.top)
    claim(args.out, manifest)
    found = manifest.parts - len(manifest.missing(args.out))
    if found:
        print(f"{args.out}: {found} of {manifest.parts} parts are there already", file=sys.stderr)
    done, failed = predict_parts(model, paths, manifest, args.out)
    if failed:
        print(f"{failed} of {done} could not be read", file=sys.stderr)
    print(f"predicted {args.out} ({manifest.pictures} pictures in {manifest.parts} parts)")
    return 1 if failed else 0


def _save(shown: list[Prediction], path: Path, read: int, value_range: Range | None) -> None:
    from mobilenets.report.sheets import save_predictions

    save_predictions(shown, path, value_range)
    some = f" (the first {len(shown)} of {read})" if len(shown) < read else ""
    print(f"saved {path}{some}", file=sys.stderr)


def _results(
    classifier: Classifier, paths: Iterator[str], one: bool, batch: int | None, threads: int | None
) -> Iterator[Prediction | Failure]:
    """One picture is predicted without threads and progress, which would take longer than it does."""
    from mobilenets.runtime.classifier import BATCH, Failure

    if one:
        path = next(paths)
        try:
            yield classifier.predict(path)
        except UserError as error:
            yield Failure(path, str(error))
        return
    from mobilenets.system.progress import Progress

    # On a terminal the results themselves are the progress; a bar would be torn apart by them.
    with nullcontext() if sys.stdout.isatty() else Progress("predicting", None, "picture") as progress:
        for result in classifier.predict_many(paths, batch or BATCH, threads):
            yield result
            if progress:
                progress.advance()
