"""`mobilenets train`: a folder of photos becomes a run folder."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from mobilenets.arch import DEFAULT_NAME
from mobilenets.cli import pixels
from mobilenets.errors import UserError
from mobilenets.system import torchrun_env

# Options that become fields of training.settings.Settings under the same name; None: not given.
_SETTINGS: dict[str, dict[str, Any]] = {
    "model": {
        "metavar": "M",
        "help": f"network (default {DEFAULT_NAME}, or that of --weights; see 'mobilenets models')",
    },
    "weights": {"metavar": "TAG|PATH|none", "help": "start from these weights (default: the most accurate)"},
    "width": {"type": float, "metavar": "A", "help": "width multiplier (default 1.0, or that of --weights)"},
    "recipe": {"metavar": "R", "help": "auto (default), probe, finetune or scratch"},
    "minutes": {"type": float, "metavar": "T", "help": "plan the training into this time (auto: 5)"},
    "epochs": {"type": int, "metavar": "N", "help": "train this many epochs instead"},
    "size": {"type": int, "metavar": "PX", "help": "side of the input (default: that of the weights)"},
    "crop": {"type": float, "metavar": "F", "help": "share of the resized side that is seen, 1.0 for all"},
    "fit": {
        "metavar": "FIT",
        "help": "what is not square: crop its centre (default), pad or squash it, or auto by their shapes",
    },
    "val": {"metavar": "FRACTION|DIR", "help": "validate on this share (default 0.2) or on this folder"},
    "seed": {"type": int, "metavar": "S", "help": "seed of every random number (default 0)"},
    "device": {"metavar": "D", "help": "auto (default), cpu, cuda or mps"},
    "precision": {"metavar": "P", "help": "auto (default, measured), fp32 or bf16"},
    "workers": {"type": int, "metavar": "N", "help": "decoding threads"},
    "threads": {"type": int, "metavar": "N", "help": "threads of a training step on a CPU (default: measured)"},
    "cache": {"metavar": "C", "help": "keep decoded photographs: auto (default), ram, disk or off"},
    "max_pixels": pixels.OPTIONS,
    "range": {
        "metavar": "LOW,HIGH",
        "help": "black and white of 16-bit, integer and float photos (default auto)",
    },
    "rare": {"metavar": "R", "help": "classes too small to validate: keep (default, warns), drop or refuse"},
    "dropout": {
        "type": float,
        "metavar": "P",
        "help": "dropout before the classifier (default: the network's)",
    },
}
# Options that are short for --set NAME=VALUE.
_RECIPE: dict[str, dict[str, Any]] = {
    "freeze": {"metavar": "PART", "help": "keep still: backbone, the first K blocks (a number), or none"},
    "balance": {"metavar": "B", "help": "for unequal classes: sampler or loss (default none)"},
    "batch_size": {"metavar": "N", "help": "images per step"},
    "lr": {"metavar": "LR", "help": "peak learning rate"},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data", nargs="?", metavar="DATA", help="class folders, train/ and val/, .csv, .tar, .parquet")
    parser.add_argument("--out", type=Path, metavar="DIR", help="run folder (default runs/NAME-OF-DATA)")
    parser.add_argument("--resume", action="store_true", help="go on with the interrupted run in --out")
    parser.add_argument(
        "--data", dest="place", type=Path, metavar="NEW", help="with --resume or --config: where the data is now"
    )
    parser.add_argument(
        "--from",
        dest="from_run",
        metavar="RUN",
        help="train the network of this finished run on, in a new folder",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="repeat the run of this config.yaml")
    for name, options in {**_SETTINGS, **_RECIPE}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **options)
    parser.add_argument(
        "--any-orientation",
        action=argparse.BooleanOptionalAction,
        help="pictures without an up: also flip and turn them (auto finds out)",
    )
    parser.add_argument(
        "--sync-bn", action="store_true", help="under torchrun: BatchNorm statistics of the whole batch"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change any value of the recipe"
    )


def run(args: argparse.Namespace) -> int:
    """Train, resume or repeat, alone or as one of the processes that torchrun started; 130 when interrupted."""
    if torchrun_env.world() == 1:
        return _train(args)
    from mobilenets.training.distributed.group import processes

    with processes():
        return _train(args)


def _train(args: argparse.Namespace) -> int:
    started = time.monotonic()
    asked = {name: getattr(args, name) for name in _SETTINGS if getattr(args, name) is not None}
    changes = {name: getattr(args, name) for name in _RECIPE if getattr(args, name) is not None}
    changes |= dict(_pair(text) for text in args.set)
    if args.sync_bn:
        changes["sync_norm"] = True
    if args.any_orientation is not None:
        asked["any_orientation"] = args.any_orientation
    if args.from_run:
        asked["from_run"] = args.from_run
    if "val" in asked:
        asked["val"] = fraction_or_folder(asked["val"])
    if args.resume and args.config:
        raise UserError("--config: a resumed run has its own config.yaml; leave --config or --resume out")
    if args.config and (asked or changes):
        name = next(iter({**asked, **changes})).replace("_", "-")
        raise UserError(f"--{name}: a repeated run has its settings in config.yaml; leave it out")
    if args.place and not (args.resume or args.config):
        raise UserError("--data: is for --resume and --config; name the photographs of a new run without it")
    if args.place and args.config and args.data:
        raise UserError("--data: DATA says the same; leave one of them out")

    try:
        from mobilenets.training.settings import Settings

        settings = Settings(data=args.data or "", **asked)  # what is wrong here is told before torch is loaded
        recipe = settings.make_recipe(changes)
        from mobilenets.training import run as training
    except ModuleNotFoundError as missing:
        raise UserError(f"{missing.name} is not installed; run: pip install 'mobilenets[train]'") from None

    if args.resume:
        if args.out is None and args.data is None:
            raise UserError("--resume: say which run with --out DIR")
        folder = args.out or training.interrupted_run(Path(args.data))
        given = asked | ({"data": args.data} if args.data else {})
        result = training.resume(folder, given, changes, args.place)
    elif args.config:
        place = args.place or (Path(args.data) if args.data else None)
        result = training.train_again(args.config, args.out, place)
    elif args.data is None:
        raise UserError("DATA: say which folder or CSV to train on")
    else:
        result = training.start(settings, recipe, args.out, started)
    _tell(result.path, result.metrics, result.interrupted)
    return 130 if result.interrupted else 0


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise UserError(f"--set {text}: write NAME=VALUE, for example --set lr=0.0003")
    return name.strip().replace("-", "_"), value.strip()


def fraction_or_folder(text: str) -> float | str:
    """What --val says: a share, or the name of a folder."""
    try:
        return float(text)
    except ValueError:
        return text


def _tell(folder: Path, metrics: dict[str, Any], interrupted: bool) -> None:
    from mobilenets.weights.kept import closing_lines

    if interrupted:
        print(f"interrupted; go on with: mobilenets train --resume --out {folder}")
    print("\n".join(closing_lines(folder, metrics)))
    print(f"balanced accuracy {metrics['balanced_accuracy']:.3f}, macro F1 {metrics['macro_f1']:.3f}")
    print(f"model    {folder / 'model.onnx'}")
    print(f"report   {folder / 'report.html'}")
    print(f"predict  mobilenets predict {folder} PHOTO")
