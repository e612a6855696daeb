"""`mobilenets demo`: real weights learn a real task."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mobilenets import choices
from mobilenets.cli.options import SEED, call, one_of
from mobilenets.system.malloc import keep_freed_memory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--task",
        **one_of(choices.Demo),
        help="classify (default): solar cells; detect: trees from the air, fetched from PyPI (22 MB)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to put everything (default runs/demo)")
    parser.add_argument("--minutes", type=float, metavar="T", help="time to train (default 2.25, of trees 3.5)")
    parser.add_argument("--seed", **SEED, help="seed of the split and the training (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Train, evaluate, predict and say what to do next."""
    keep_freed_memory()
    from mobilenets.runtime.tiled import tile_side
    from mobilenets.tasks import task_of
    from mobilenets.verbs.demo import demo
    from mobilenets.weights.kept import closing_lines

    result = call(demo, args)
    run, has_boxes = result.run, args.task == "detect"
    print("\n".join(closing_lines(run.path, run.metrics, task_of(run.card).quality, tile_side(run.card))))
    if has_boxes:
        print(f"AP at IoU 0.5 {run.metrics['mAP50']:.3f}")
    else:
        print(f"always answering the larger class would be right for {_majority(run.metrics):.3f} of them")
    for prediction in result.predictions:
        name, figure = prediction.title
        print(f"{Path(str(prediction.path)).name}: {name}{f' ({figure})' if figure else ''}")
    drawn = [result.sheet] if has_boxes else [result.sheet, run.path / "confusion.png"]
    print(f"drawn      {', '.join(map(str, drawn))}")
    print(f"report     {run.path / 'report.html'}")
    print(f"model      {run.path / 'model.onnx'} (self-contained; runs without torch)")
    own = "with their boxes (COCO, YOLO, VOC, labelme or CSV)" if has_boxes else "one folder per class"
    print(f"now with your own photos, {own}:  mobilenets train PHOTOS")
    return 130 if run.interrupted else 0


def _majority(metrics: dict[str, Any]) -> float:
    return max(int(row["n"]) for row in metrics["per_class"].values()) / int(metrics["n"])
