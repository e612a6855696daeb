"""`mobilenets train`: a folder of photos becomes a run folder."""

from __future__ import annotations

import argparse
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets import choices
from mobilenets.arch import DEFAULT_NAME
from mobilenets.cli.options import MAX_PIXELS, SEED, TILE, call, fraction_or_folder, one_of
from mobilenets.system import torchrun_env
from mobilenets.system.malloc import keep_freed_memory

# Made between two looks for cycles: training makes hardly any, and some looks go through all that was imported.
MANY_OBJECTS = 20_000

if TYPE_CHECKING:
    from mobilenets.model_card import ModelCard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "data", nargs="?", metavar="DATA", help="class folders, train/ and val/, .csv, .tar, .parquet, boxes"
    )
    _run(parser.add_argument_group("the run"))
    _network(parser.add_argument_group("the network"))
    _photos(parser.add_argument_group("the photos"))
    _training(parser.add_argument_group("the training"))
    _machine(parser.add_argument_group("the machine"))


def _run(group: Any) -> None:
    group.add_argument("--out", type=Path, metavar="DIR", help="run folder (default runs/NAME-OF-DATA)")
    group.add_argument("--resume", action="store_true", help="go on with the interrupted run in --out")
    group.add_argument(
        "--data", dest="moved_to", type=Path, metavar="NEW", help="with --resume or --config: where the data is now"
    )
    group.add_argument(
        "--from",
        dest="from_run",
        metavar="RUN",
        help="train the network of this finished run on, in a new folder",
    )
    group.add_argument("--config", type=Path, metavar="FILE", help="repeat the run of this config.yaml")


def _network(group: Any) -> None:
    group.add_argument(
        "--model", metavar="M", help=f"network (default {DEFAULT_NAME}, or that of --weights; see 'mobilenets models')"
    )
    group.add_argument(
        "--weights", metavar="TAG|PATH|none", help="start from these weights (default: the most accurate)"
    )
    group.add_argument("--width", type=float, metavar="A", help="width multiplier (default 1.0, or that of --weights)")
    group.add_argument(
        "--dropout", type=float, metavar="P", help="dropout before the classifier (default: the network's)"
    )


def _photos(group: Any) -> None:
    group.add_argument("--size", type=int, metavar="PX", help="side of the input (default: that of the weights)")
    group.add_argument("--crop", type=float, metavar="F", help="fraction of the resized side that is seen, 1.0 for all")
    group.add_argument(
        "--fit",
        **one_of(choices.Fit),
        help="what is not square: crop its centre (default), pad or squash it, or auto by their shapes",
    )
    group.add_argument(
        "--range", metavar="LOW,HIGH", help="black and white of 16-bit, integer and float photos (default auto)"
    )
    group.add_argument(
        "--any-orientation",
        action=argparse.BooleanOptionalAction,
        help="photos without an up: also flip and turn them (auto finds out)",
    )
    group.add_argument(
        "--val",
        type=fraction_or_folder,
        metavar="FRACTION|DIR",
        help="validate on this fraction (default 0.2) or on this folder",
    )
    group.add_argument(
        "--defects",
        type=Path,
        metavar="DIR",
        help="where DATA shows good ones only: photos of defects, to choose the threshold by",
    )
    group.add_argument(
        "--rare",
        **one_of(choices.Rare),
        help="classes too small to validate: keep (default, warns), drop or refuse",
    )
    group.add_argument("--max-pixels", **MAX_PIXELS)
    group.add_argument("--tile", **TILE, help="cut photos with boxes into tiles of so many pixels (default: whole)")


def _training(group: Any) -> None:
    group.add_argument(
        "--recipe",
        **one_of(choices.RecipeName),
        help="what is trained, and how (default auto: as much as fits into --minutes)",
    )
    group.add_argument("--minutes", type=float, metavar="T", help="plan the training into this time (auto: 5)")
    group.add_argument("--epochs", type=int, metavar="N", help="train this many epochs instead")
    group.add_argument("--seed", **SEED, help="seed of every random number (default 0)")
    group.add_argument("--freeze", metavar="PART", help="keep still: backbone, the first K blocks (a number), or none")
    group.add_argument(
        "--balance", **one_of(choices.Balance), help="for unequal classes: sampler or loss (default none)"
    )
    group.add_argument("--batch-size", metavar="N", help="photos per step (default: the recipe's)")
    group.add_argument("--lr", metavar="LR", help="peak learning rate (default: the recipe's)")
    group.add_argument(
        "--set",
        dest="changes",
        type=_pair,
        action="append",
        metavar="NAME=VALUE",
        help="change any value of the recipe, as lr=0.001; may be repeated",
    )


def _machine(group: Any) -> None:
    group.add_argument("--device", metavar="D", help="auto (default), cpu, cuda or mps")
    group.add_argument("--precision", **one_of(choices.TrainPrecision), help="auto (default, measured), fp32 or bf16")
    group.add_argument("--workers", type=int, metavar="N", help="decoding threads (default: by the machine)")
    group.add_argument(
        "--threads", type=int, metavar="N", help="threads of a training step on a CPU (default: measured)"
    )
    group.add_argument("--cache", **one_of(choices.Cache), help="keep decoded photos: auto (default), ram, disk or off")
    group.add_argument("--sync-bn", action="store_true", help="under torchrun: BatchNorm statistics of the whole batch")


def run(args: argparse.Namespace) -> int:
    """Train, resume or repeat, alone or as one of the processes that torchrun started; 130 when interrupted."""
    keep_freed_memory()
    gc.set_threshold(MANY_OBJECTS)
    if torchrun_env.world() == 1:
        return _train(args)
    from mobilenets.training.distributed.group import processes

    with processes():
        return _train(args)


def _train(args: argparse.Namespace) -> int:
    from mobilenets.verbs.train import train

    result = call(train, args, changes=dict(args.changes or ()))
    _print_result(result.path, result.card, result.interrupted)
    return 130 if result.interrupted else 0


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text}: write NAME=VALUE, for example --set lr=0.0003")
    return name.strip().replace("-", "_"), value.strip()


def _print_result(folder: Path, card: ModelCard, interrupted: bool) -> None:
    from mobilenets.runtime.tiled import tile_side
    from mobilenets.tasks import task_of
    from mobilenets.weights.kept import closing_lines

    metrics = card.metrics

    if interrupted:
        print(f"interrupted; go on with: mobilenets train --resume --out {folder}")
    print("\n".join(closing_lines(folder, metrics, task_of(card).quality, tile_side(card))))
    if "balanced_accuracy" in metrics:
        print(f"balanced accuracy {metrics['balanced_accuracy']:.3f}, macro F1 {metrics['macro_f1']:.3f}")
    print(f"model    {folder / 'model.onnx'}")
    print(f"report   {folder / 'report.html'}")
    print(f"predict  mobilenets predict {folder} PHOTO")
