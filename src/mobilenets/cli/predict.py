"""`mobilenets predict`: what the pictures show."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mobilenets.cli.options import ACCEPT, ENGINE, MAX_PIXELS, PRECISION, TILE, call

MANY_CLASSES = 20  # from here on the table shows the best five only
FORMATS = ("table", "jsonl", "csv", "parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="run folder, exported file, .safetensors or published name")
    parser.add_argument(
        "source", nargs="+", metavar="SOURCE", help="file, folder, glob, or - for paths on standard input"
    )
    shown = parser.add_argument_group("what is shown")
    shown.add_argument(
        "--top", type=int, metavar="K", help="the K most probable classes (default: all, at most 5 of many)"
    )
    shown.add_argument(
        "--format", choices=FORMATS, help="table (default), jsonl or csv; with --ray parquet (default) or jsonl"
    )
    shown.add_argument("--accept", **ACCEPT)
    shown.add_argument("--save", type=Path, metavar="PNG", help="draw the first 16 photos with their titles")
    shown.add_argument(
        "--sort-into", type=Path, metavar="DIR", help="copy the photos into a new folder's class folders and unknown/"
    )
    shown.add_argument("--link", action="store_true", help="with --sort-into: links instead of copies")
    how = parser.add_argument_group("how it is computed")
    how.add_argument("--engine", **ENGINE)
    how.add_argument("--precision", **PRECISION)
    how.add_argument("--threads", type=int, metavar="N", help="threads in all (default: one per core)")
    how.add_argument("--batch", type=int, metavar="N", help="photos per step (default 4)")
    how.add_argument("--max-pixels", **MAX_PIXELS)
    how.add_argument(
        "--tile", **TILE, help="find objects in tiles of so many pixels; 0: in whole photos (default: as trained)"
    )
    many = parser.add_argument_group("very many photos")
    many.add_argument("--ray", action="store_true", help="on every core of a Ray cluster or this machine, into --out")
    many.add_argument("--out", type=Path, metavar="DIR", help="with --ray: folder of results; one begun is completed")


def run(args: argparse.Namespace) -> int:
    """Predict; 1 when some pictures could not be read."""
    # Pictures are compared one by one in every worker: threads of numpy's own would be in the way, and starting them
    # takes a sixth of predicting a picture.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from mobilenets.verbs.predict import PredictionFolder, predict

    if args.ray or args.out is not None or args.format == "parquet":
        folder = call(predict, args)
        assert isinstance(folder, PredictionFolder)  # without --ray the others are refused
        print(f"predicted {folder.folder} ({folder.images} photos in {folder.parts} parts)")
        return 1 if folder.failed else 0
    from mobilenets.cli.writers import make_writer
    from mobilenets.runtime.predictor import Failure
    from mobilenets.system.progress import shown_on_stderr
    from mobilenets.tasks import task_of

    predictions = call(predict, args, format=None)
    form, card = args.format or "table", predictions.card
    # Possibilities, of which a photo has one for each class; of objects it has those that are there.
    is_long = len(card.classes) >= MANY_CLASSES and not task_of(card).has_boxes
    few = 5 if is_long and form == "table" else None
    writer = make_writer(form, card, args.top or few, predictions.knows_unknown)
    failed = False
    # On a terminal the results themselves are the progress; a bar would be torn apart by them.
    with shown_on_stderr(not sys.stdout.isatty()):
        for result in predictions:
            writer.write(result)
            failed |= isinstance(result, Failure)
    return 1 if failed else 0
