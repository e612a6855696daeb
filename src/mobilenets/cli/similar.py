"""`mobilenets similar`: the photos that are most like one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mobilenets.cli.options import ENGINE, MAX_PIXELS, PRECISION, call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="run folder, .onnx, .xml, .safetensors or published name")
    parser.add_argument("photo", metavar="PHOTO", help="what to look for")
    parser.add_argument(
        "--among",
        action="append",
        metavar="SOURCE",
        help="file, folder, glob (may be repeated), or a file of 'embed' (default: the run's training photos)",
    )
    parser.add_argument("--top", type=int, metavar="K", help="how many (default %(default)s)")
    parser.add_argument("--save", type=Path, metavar="PNG", help="draw the photo and the first 15 that were found")
    parser.add_argument("--engine", **ENGINE)
    parser.add_argument("--precision", **PRECISION)
    parser.add_argument("--max-pixels", **MAX_PIXELS)
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def run(args: argparse.Namespace) -> int:
    """Find and print; 1 when some photos could not be read."""
    from mobilenets.cli.writers import accept_any_text
    from mobilenets.verbs.similar import similar

    among = args.among[0] if args.among and len(args.among) == 1 else args.among
    result = call(similar, args, among=among)
    accept_any_text()
    if args.json:
        print(json.dumps(result.to_dict(), ensure_ascii=False, indent=2).encode(errors="backslashreplace").decode())
    else:
        print("\n".join(f"{match.similarity:.3f}  {match.path}" for match in result.matches))
    return 1 if result.failures else 0
