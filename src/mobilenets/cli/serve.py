"""`mobilenets serve`: a model as an HTTP service with a page."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mobilenets.cli.options import ACCEPT, ENGINE, PRECISION, call

if TYPE_CHECKING:
    from mobilenets.verbs.serve import Service


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="run folder, exported file, .safetensors or published name")
    parser.add_argument("--host", help="listen here (default %(default)s: only this machine)")
    parser.add_argument("--port", type=int, metavar="P", help="port (default %(default)s; 0: any that is free)")
    parser.add_argument(
        "--allow-origin",
        action="append",
        metavar="ORIGIN",
        help="web pages from there may ask it (CORS), as http://localhost:3000; '*': all; may be repeated",
    )
    parser.add_argument("--accept", **ACCEPT)
    parser.add_argument(
        "--among",
        action="append",
        metavar="SOURCE",
        help="what /similar looks among: file, folder, glob (may be repeated), or a file of 'embed' (default: the "
        "run's training photos)",
    )
    labels = parser.add_argument_group("labels")
    labels.add_argument("--label", metavar="CSV", help="the page /label asks for labels of this list of 'label-next'")
    labels.add_argument(
        "--label-to", metavar="CSV", help="where they are written (default: labels.csv beside the list)"
    )
    how = parser.add_argument_group("how it is computed")
    how.add_argument("--engine", **ENGINE)
    how.add_argument("--precision", **PRECISION)
    how.add_argument("--threads", type=int, metavar="N", help="threads of the engine (default: one per core)")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-mb", type=float, metavar="MB", help="megabytes of a request (default %(default)s)")
    limits.add_argument(
        "--max-megapixels", type=float, metavar="MP", help="million pixels of a photo (default %(default)s)"
    )
    limits.add_argument("--max-waiting", type=int, metavar="N", help="photos in work at a time (default %(default)s)")
    limits.add_argument(
        "--timeout",
        type=float,
        metavar="S",
        help="seconds for a request to arrive, and for its answer (default %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until stopped."""
    from mobilenets.verbs.serve import serve

    among = args.among[0] if args.among and len(args.among) == 1 else args.among
    call(serve, args, among=among, ready=_print_url)
    return 0


def _print_url(service: Service) -> None:
    print(f"serving {service.name} at {service.url} (Ctrl-C stops)", flush=True)
    if service.asks_labels:
        print(f"label photos at {service.url}/label", flush=True)
