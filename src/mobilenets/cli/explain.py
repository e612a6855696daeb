"""`mobilenets explain`: which part of a picture speaks for its class."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.cli.predict import MANY_CLASSES
from mobilenets.errors import UserError

if TYPE_CHECKING:
    from mobilenets.explaining.gradcam import Explainer, Explanation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="run folder, .safetensors or published name")
    parser.add_argument(
        "image", nargs="+", metavar="IMAGE", help="file, folder, glob, or - for paths on standard input"
    )
    parser.add_argument(
        "--save", type=Path, metavar="PNG", help="draw the first 16: picture, heat over it, heat map alone"
    )
    parser.add_argument(
        "--top", type=int, metavar="K", help="the K most probable classes (default: all, at most 5 of many)"
    )
    parser.add_argument(
        "--class", dest="label", metavar="NAME", help="what speaks for this class (default: the predicted one)"
    )


def run(args: argparse.Namespace) -> int:
    """Explain; 1 when some pictures could not be read."""
    if args.top is not None and args.top < 1:
        raise UserError(f"--top: {args.top} is too few; use 1 or more")
    from mobilenets.cli.sources import expand
    from mobilenets.cli.writers import make_writer
    from mobilenets.data.sources.survey import Survey
    from mobilenets.explaining.overlay import describe
    from mobilenets.report.sheets import MAX_IMAGES, save_explanations
    from mobilenets.runtime.classifier import Failure
    from mobilenets.system.files import check_new_file
    from mobilenets.system.progress import Progress

    if args.save is not None:
        check_new_file("--save", args.save, ".png")
    survey = Survey()
    paths = expand(args.image, survey)
    explainer = _open(args.model)
    explainer.check(args.label)
    many = len(explainer.classes) >= MANY_CLASSES
    writer = make_writer("table", explainer.classes, args.top or (5 if many else None))
    shown: list[Explanation] = []
    done = failed = 0
    # On a terminal the results themselves are the progress; a bar would be torn apart by them.
    with nullcontext() if sys.stdout.isatty() else Progress("explaining", None, "picture") as progress:
        for path in paths:
            done += 1
            try:
                explanation = explainer.explain(path, args.label)
            except UserError as error:
                failed += 1
                writer.write(Failure(path, str(error)))
                continue
            writer.write(explanation.prediction)
            print(f"{explanation.label}: {describe(explanation.heat)}")
            if args.save is not None and len(shown) < MAX_IMAGES:
                shown.append(explanation)
            if progress:
                progress.advance()
    if shown:
        save_explanations(shown, args.save)
        some = f" (the first {len(shown)} of {done - failed})" if len(shown) < done - failed else ""
        print(f"saved {args.save}{some}", file=sys.stderr)
    for line in survey.lines():
        print(line, file=sys.stderr)
    if failed:
        print(f"{failed} of {done} could not be read", file=sys.stderr)
    return 1 if failed else 0


def _open(model: str) -> Explainer:
    from mobilenets.cli.model_argument import open_network

    network = open_network(model)
    try:
        from mobilenets.explaining.gradcam import Explainer
    except ModuleNotFoundError as missing:
        raise UserError(f"explaining needs {missing.name}; run: pip install 'mobilenets[explain]'") from None
    return Explainer(network)
