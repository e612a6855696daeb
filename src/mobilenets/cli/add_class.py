"""`mobilenets add-class`: a finished run learns one class more."""

from __future__ import annotations

import argparse
from pathlib import Path

from mobilenets.cli.options import call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run with its index.safetensors")
    parser.add_argument("photos", type=Path, metavar="DIR", help="folder with the photos of the new class")
    parser.add_argument("--name", required=True, metavar="N", help="what the new class is called")
    parser.add_argument("--out", type=Path, metavar="DIR", help="new run folder (default RUN-2, or the next free one)")


def run(args: argparse.Namespace) -> int:
    """Add the class and say what came of it."""
    from mobilenets.verbs.add_class import add_class

    result = call(add_class, args)
    from mobilenets.weights.kept import closing_lines

    print("\n".join(closing_lines(result.path, result.metrics)))
    own = result.metrics["per_class"][args.name]
    if own["n"]:
        print(f"of {own['n']} held-out photos of {args.name} {own['recall']:.3f} are recognised")
    print(f"model    {result.path / 'model.onnx'}")
    print(f"report   {result.path / 'report.html'}")
    return 0
