"""`mobilenets search`: the network that fits a latency, found from a trained run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.errors import UserError

if TYPE_CHECKING:
    from mobilenets.searching.job import Result


# Options that become fields of search.state.SearchConfig under the same name; None: not given.
_ASKED: dict[str, dict[str, Any]] = {
    "engine": {"metavar": "E", "help": "measure in onnxruntime (default) or openvino"},
    "threads": {"type": int, "metavar": "N", "help": "threads of the engine (default 1)"},
    "method": {
        "metavar": "M",
        "help": "netadapt (default): narrow the run's network step by step; evolve: search other blocks too",
    },
    "minutes": {"type": float, "metavar": "T", "help": "time for the search and the training after it (default 20)"},
    "seed": {"type": int, "metavar": "S", "help": "seed of every random number (default 0)"},
    "tune": {
        "type": int,
        "metavar": "N",
        "help": "batches that each proposal (evolve: the supernet) is trained for, instead of planning it",
    },
    "epochs": {"type": int, "metavar": "N", "help": "epochs of the training at the end, instead of planning them"},
    "evaluations": {"type": int, "metavar": "N", "help": "evolve: networks that are judged, instead of planning it"},
    "exponent": {
        "type": float,
        "metavar": "W",
        "help": "evolve: a soft budget: the best accuracy * (ms / budget)^W; W from -10 to 0",
    },
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data", nargs="?", metavar="DATA", help="the data that the run was trained on")
    parser.add_argument("--from", dest="run_folder", metavar="RUN", help="run folder of the network to start from")
    parser.add_argument(
        "--latency", metavar="MS", help="what one picture may take on this machine: 2.0ms, 1500us, 0.002s"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="new run folder (default runs/RUN-LATENCY)")
    parser.add_argument("--resume", action="store_true", help="go on with the interrupted search in --out")
    parser.add_argument(
        "--data", dest="place", type=Path, metavar="NEW", help="with --resume: where the photographs are now"
    )
    for name, options in _ASKED.items():
        parser.add_argument(f"--{name}", **options)


def run(args: argparse.Namespace) -> int:
    """Search or resume; 130 when interrupted."""
    asked = {name: getattr(args, name) for name in _ASKED if getattr(args, name) is not None}
    try:
        result = _resume(args, asked) if args.resume else _search(args, asked)
    except ModuleNotFoundError as missing:
        raise UserError(f"{missing.name} is not installed; run: pip install 'mobilenets[train]'") from None
    if result.interrupted:
        print(f"interrupted; go on with: mobilenets search --resume --out {result.path}")
        return 130
    _tell(result)
    return 0


def _search(args: argparse.Namespace, asked: dict[str, Any]) -> Result:
    for value, name in ((args.data, "DATA"), (args.run_folder, "--from RUN"), (args.latency, "--latency MS")):
        if value is None:
            raise UserError(
                f"{name}: is missing; for example: mobilenets search photos --from runs/photos --latency 2ms"
            )
    if args.place is not None:
        raise UserError("--data: is for --resume; name the photographs of a new search without it")
    from mobilenets.searching.config import SearchConfig, parse_latency

    config = SearchConfig(data=args.data, run=args.run_folder, latency_ms=parse_latency(args.latency), **asked)
    from mobilenets.searching.job import search

    return search(config, args.out)


def _resume(args: argparse.Namespace, asked: dict[str, Any]) -> Result:
    if args.out is None:
        raise UserError("--resume: say which folder with --out")
    from mobilenets.searching.config import parse_latency
    from mobilenets.searching.job import resume
    from mobilenets.searching.state import SearchState

    was = SearchState.read(args.out).config
    given = dict(asked)
    if args.latency is not None:
        given["latency_ms"] = parse_latency(args.latency)
    for name, value in (("data", args.data), ("run", args.run_folder)):
        if value is not None and Path(value).resolve() != Path(getattr(was, name)).resolve():
            given[name] = value
    for name, value in given.items():
        kept = getattr(was, name)
        if value != kept:
            option = {"data": "DATA", "run": "--from", "latency_ms": "--latency"}.get(name, f"--{name}")
            moved = "say where the same photographs are now with --data, " if name == "data" else "leave it out, "
            raise UserError(
                f"{option}: {value} now, but {kept} when the search in {args.out} began: {moved}"
                "or search into a new --out"
            )
    return resume(args.out, args.place)


def _tell(result: Result) -> None:
    found, folder = result.summary, result.path
    if folder is None:
        print(
            f"nothing to do: the run takes {found['seed_latency_ms']:.2f} ms, "
            f"which is within {found['budget_ms']:g} ms already"
        )
        return
    print(
        f"latency   {found['seed_latency_ms']:.2f} -> {found['latency_ms']:.2f} ms "
        f"({found['engine']}, threads {found['threads']}; asked for {found['budget_ms']:g}, "
        f"predicted {found['predicted_ms']:.2f})"
    )
    print(
        f"accuracy  {found['seed_accuracy']:.3f} -> {found['accuracy']:.3f} "
        f"(validation, which also chose the epoch that is kept: {found['kept']['epoch']} of {found['epochs']})"
    )
    if "test" in found:
        print(f"test      {found['test']['accuracy']:.3f}, on {found['test']['n']} photographs that chose nothing")
    print(f"model     {folder / 'model.onnx'}")
    print(f"search    {folder / 'search.html'}")
