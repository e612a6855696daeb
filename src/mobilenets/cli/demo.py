"""`mobilenets demo`: real weights learn a real task."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mobilenets.cli.options import SEED, call
from mobilenets.system.malloc import keep_freed_memory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to put everything (default runs/demo)")
    parser.add_argument("--minutes", type=float, metavar="T", help="time to train (default %(default)s)")
    parser.add_argument("--seed", **SEED, help="seed of the split and the training (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Train, evaluate, predict four photographs and say what to do next."""
    keep_freed_memory()
    from mobilenets.verbs.demo import demo
    from mobilenets.weights.kept import closing_lines

    result = call(demo, args)
    run = result.run
    print("\n".join(closing_lines(run.path, run.metrics)))
    print(f"always answering the larger class would be right for {_majority(run.metrics):.3f} of them")
    for prediction in result.predictions:
        name, figure = prediction.title
        print(f"{Path(str(prediction.path)).name}: {name} ({figure})")
    print(f"drawn    {result.sheet}, {run.path / 'confusion.png'}")
    print(f"report     {run.path / 'report.html'}")
    print(f"model      {run.path / 'model.onnx'} (self-contained; runs without torch)")
    print("now with your own photos, one folder per class:  mobilenets train PHOTOS")
    return 130 if run.interrupted else 0


def _majority(metrics: dict[str, Any]) -> float:
    return max(int(row["n"]) for row in metrics["per_class"].values()) / int(metrics["n"])
