"""`mobilenets search`: the network that fits a latency, found from a trained run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets import choices
from mobilenets.cli.options import MAX_PIXELS, SEED, call, one_of
from mobilenets.system.malloc import keep_freed_memory

if TYPE_CHECKING:
    from mobilenets.searching.result import SearchResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data", nargs="?", metavar="DATA", help="the data that the run was trained on")
    parser.add_argument("--from", dest="run", metavar="RUN", help="run folder of the network to start from")
    parser.add_argument(
        "--latency",
        dest="latency_ms",
        metavar="MS",
        help="what one photo may take on this machine: 2.0ms, 1500us, 0.002s",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="new run folder (default runs/RUN-LATENCY)")
    parser.add_argument("--resume", action="store_true", help="go on with the interrupted search in --out")
    parser.add_argument(
        "--data", dest="moved_to", type=Path, metavar="NEW", help="with --resume: where the photos are now"
    )
    measured = parser.add_argument_group("what is measured")
    measured.add_argument(
        "--engine", **one_of(choices.SearchEngine), help="measure in onnxruntime (default) or openvino"
    )
    measured.add_argument("--threads", type=int, metavar="N", help="threads of the engine (default 1)")
    how = parser.add_argument_group("how it searches")
    how.add_argument(
        "--method",
        **one_of(choices.Method),
        help="netadapt (default): narrow the run's network step by step; evolve: search other blocks too",
    )
    how.add_argument(
        "--minutes", type=float, metavar="T", help="time for the search and the training after it (default 20)"
    )
    how.add_argument("--seed", **SEED, help="seed of every random number (default 0)")
    how.add_argument(
        "--tune",
        type=int,
        metavar="N",
        help="batches that each proposal (evolve: the supernet) is trained for, instead of planning it",
    )
    how.add_argument(
        "--epochs", type=int, metavar="N", help="epochs of the training at the end, instead of planning them"
    )
    how.add_argument(
        "--evaluations", type=int, metavar="N", help="evolve: networks that are evaluated, instead of planning it"
    )
    how.add_argument(
        "--exponent",
        type=float,
        metavar="W",
        help="evolve: a soft budget: the best accuracy * (ms / budget)^W; W from -10 to 0",
    )
    how.add_argument("--max-pixels", **MAX_PIXELS)


def run(args: argparse.Namespace) -> int:
    """Search or resume; 130 when interrupted."""
    keep_freed_memory()
    from mobilenets.verbs.search import search

    result = call(search, args)
    if result.interrupted:
        print(f"interrupted; go on with: mobilenets search --resume --out {result.path}")
        return 130
    _print_result(result)
    return 0


def _print_result(result: SearchResult) -> None:
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
        print(f"test      {found['test']['accuracy']:.3f}, on {found['test']['n']} photos that chose nothing")
    print(f"model     {folder / 'model.onnx'}")
    print(f"search    {folder / 'search.html'}")
