"""`mobilenets export`: a trained network as a file for another runtime, and the proof that it is the same."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mobilenets import choices
from mobilenets.cli.options import MAX_PIXELS, call, one_of

NOT_ACCEPTED = 1
LESS = {"int8": "--float-ends or --half may lose less", "float16": "without --half nothing is lost"}
WORST = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="run folder, .safetensors or published name")
    parser.add_argument("--to", required=True, **one_of(choices.Target), help="the target")
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder (default MODEL/exports/TARGET)")
    parser.add_argument(
        "--data", type=Path, metavar="DATA", help="photos to compare on and calibrate with (default: the run's)"
    )
    parser.add_argument(
        "--input",
        **one_of(choices.Input),
        help="full (onnx, openvino): the file takes a photo of any size and resizes and crops it itself",
    )
    parser.add_argument("--max-pixels", **MAX_PIXELS)
    smaller = parser.add_argument_group("smaller files")
    rounded = smaller.add_mutually_exclusive_group()
    rounded.add_argument("--int8", action="store_true", help="8-bit integers: smaller and faster, nearly as right")
    rounded.add_argument("--half", action="store_true", help="weights in float16: half the size, nearly the same")
    smaller.add_argument("--float-ends", action="store_true", help="with --int8: first and last layer stay float")
    smaller.add_argument(
        "--allow-loss", action="store_true", help="exit with 0, not 1, where more than a point of accuracy is lost"
    )


def run(args: argparse.Namespace) -> int:
    """Export, verify; 1 when the file is not accepted: other answers in float32, or more than a point lost."""
    from mobilenets.verbs.export import export

    result = call(export, args)
    from mobilenets.exporting.verify import table
    from mobilenets.preprocess.notes import NOTES

    if result.layer_noise:
        print("layers that 8 bits hurt most, signal to noise:")
        for name, decibels in list(result.layer_noise.items())[:WORST]:
            print(f"  {name:<32} {decibels:5.1f} dB")
    print("\n".join(table(result.verification)))
    heading = f"mobilenets export: {result.path}:"
    if not result.agrees:
        print(f"{heading} not the network's answers; kept for inspection, not for use", file=sys.stderr)
        return NOT_ACCEPTED
    print(f"written {result.path}")
    if result.hint:
        print(result.hint)
    sys.stdout.flush()  # what was lost comes last, also where both streams go into one file
    NOTES.warn_counts()
    remedy = "" if result.accepted else f"; {LESS[result.verification.precision]}, --allow-loss accepts it"
    for line in result.losses:
        print(f"{heading} {line}{remedy}", file=sys.stderr)
    return 0 if result.accepted else NOT_ACCEPTED
