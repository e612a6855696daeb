"""`mobilenets serve`: a model as an HTTP service with a page."""

from __future__ import annotations

import argparse
import ipaddress
import sys

from mobilenets.cli import precision
from mobilenets.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="run folder, .onnx, .safetensors or published name")
    parser.add_argument("--host", default="127.0.0.1", help="listen here (default 127.0.0.1: only this machine)")
    parser.add_argument("--port", type=int, default=8000, metavar="P", help="default 8000; 0: any that is free")
    parser.add_argument("--engine", default="auto", metavar="E", help="as for predict (default auto: the fastest)")
    parser.add_argument("--precision", **precision.OPTIONS)
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the engine (default: one per core)")
    parser.add_argument("--max-mb", type=float, default=20, metavar="MB", help="bytes of a request (default 20)")
    parser.add_argument("--max-megapixels", type=float, default=50, metavar="MP", help="of a picture (default 50)")
    parser.add_argument("--max-waiting", type=int, default=256, metavar="N", help="pictures in work (default 256)")
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="web pages from there may ask it (CORS), as http://localhost:3000; '*': all; may be repeated",
    )
    parser.add_argument("--timeout", type=float, default=30, metavar="S", help="seconds to arrive, and to be answered")


def run(args: argparse.Namespace) -> int:
    """Serve until stopped."""
    for name in ("threads", "max_mb", "max_megapixels", "max_waiting", "timeout"):
        value = getattr(args, name)
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"--{name.replace('_', '-')}: {value} must be above 0")
    try:
        from mobilenets.serving.app import make_app
        from mobilenets.serving.limits import Limits
        from mobilenets.serving.origins import ANY, check_origins
        from mobilenets.serving.server import bind, serve, url_of
    except ModuleNotFoundError as missing:
        raise UserError(f"serving needs {missing.name}; run: pip install 'mobilenets[serve]'") from None
    from mobilenets.cli.model_argument import has_network, open_model, open_network
    from mobilenets.serving.overlay import can_explain, explainer

    origins = check_origins(args.allow_origin)
    limits = Limits(
        body_bytes=round(args.max_mb * 1e6),
        pixels=round(args.max_megapixels * 1e6),
        waiting=args.max_waiting,
        read_seconds=args.timeout,
        answer_seconds=args.timeout,
    )
    with bind(args.host, args.port) as listener:
        classifier = open_model(args.model, args.engine, args.threads, args.precision)
        explains = has_network(args.model) and can_explain()
        explain = explainer(lambda: open_network(args.model), limits.pixels) if explains else None
        app = make_app(classifier, limits, explain, origins)
        print(f"serving {classifier.card.name} at {url_of(listener)} (Ctrl-C stops)", flush=True)
        if not ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback:
            print("anyone who reaches this machine over the network can use it", file=sys.stderr)
        if ANY in origins:
            print("every web page that somebody here opens can use it", file=sys.stderr)
        serve(app, listener, limits)
    return 0
