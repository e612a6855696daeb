"""`mobilenets embed`: what a network sees in photos, as numbers."""

from __future__ import annotations

import argparse
from pathlib import Path

from mobilenets.cli.options import ENGINE, MAX_PIXELS, PRECISION, call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="run folder, .onnx, .xml, .safetensors or published name")
    parser.add_argument(
        "source", nargs="+", metavar="SOURCE", help="file, folder, glob, or - for paths on standard input"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="new .npy, with the paths in a .json beside it, or .parquet",
    )
    how = parser.add_argument_group("how it is computed")
    how.add_argument("--engine", **ENGINE)
    how.add_argument("--precision", **PRECISION)
    how.add_argument("--threads", type=int, metavar="N", help="threads in all (default: one per core)")
    how.add_argument("--max-pixels", **MAX_PIXELS)


def run(args: argparse.Namespace) -> int:
    """Embed; 1 when some photos could not be read."""
    from mobilenets.verbs.embed import embed

    result = call(embed, args)
    print(f"wrote the features of {result.images} photos to {result.path}")
    return 1 if result.failures else 0
