"""`mobilenets explain`: which part of a picture speaks for its class."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mobilenets.cli.options import MAX_PIXELS, call
from mobilenets.cli.predict import MANY_CLASSES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="run folder, .safetensors or published name")
    parser.add_argument(
        "image", nargs="+", metavar="IMAGE", help="file, folder, glob, or - for paths on standard input"
    )
    parser.add_argument(
        "--save", type=Path, metavar="PNG", help="draw the first 16: photo, heat over it, heat map alone"
    )
    parser.add_argument(
        "--top", type=int, metavar="K", help="the K most probable classes (default: all, at most 5 of many)"
    )
    parser.add_argument(
        "--class", dest="label", metavar="NAME", help="what speaks for this class (default: the predicted one)"
    )
    parser.add_argument("--max-pixels", **MAX_PIXELS)


def run(args: argparse.Namespace) -> int:
    """Explain; 1 when some pictures could not be read."""
    from mobilenets.cli.writers import Table, accept_any_text
    from mobilenets.system.progress import shown_on_stderr
    from mobilenets.verbs.explain import explain

    failed = False
    # On a terminal the results themselves are the progress; a bar would be torn apart by them.
    with shown_on_stderr(not sys.stdout.isatty()):
        explanations = call(explain, args)
        from mobilenets.explaining.overlay import describe
        from mobilenets.runtime.predictor import Failure

        few = 5 if len(explanations.classes) >= MANY_CLASSES else None
        accept_any_text()
        writer = Table(explanations.classes, args.top or few)
        for result in explanations:
            if isinstance(result, Failure):
                failed = True
                writer.write(result)
                continue
            writer.write(result.prediction)
            print(f"{result.label}: {describe(result.heat)}")
    return 1 if failed else 0
