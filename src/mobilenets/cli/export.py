"""`mobilenets export`: a trained network as a file for another runtime, and the proof that it is the same."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.errors import UserError

if TYPE_CHECKING:
    from mobilenets.data.sample import Sample, Samples, Splits
    from mobilenets.exporting.int8.calibration import Calibration
    from mobilenets.exporting.targets.table import Quantize
    from mobilenets.model_card import ModelCard
    from mobilenets.nn.model import MobileNet
    from mobilenets.runtime.engines.torch import TorchEngine


DISAGREES = 1
WORST = 5
QAT_MINUTES = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="run folder, .safetensors or published name")
    parser.add_argument(
        "--to", required=True, metavar="TARGET", help="onnx, openvino, executorch, litert, coreml, ncnn, torch or web"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder (default MODEL/exports/TARGET)")
    parser.add_argument(
        "--data", type=Path, metavar="DATA", help="photographs to compare on and calibrate with (default: the run's)"
    )
    parser.add_argument(
        "--input",
        choices=("cropped", "full"),
        default="cropped",
        help="full (onnx, openvino): the file takes a picture of any size and resizes and crops it itself",
    )
    rounded = parser.add_mutually_exclusive_group()
    rounded.add_argument("--int8", action="store_true", help="8-bit integers: smaller and faster, nearly as right")
    rounded.add_argument("--half", action="store_true", help="weights in float16: half the size, nearly the same")
    parser.add_argument("--float-ends", action="store_true", help="with --int8: first and last layer stay float")
    parser.add_argument(
        "--qat-minutes",
        type=float,
        default=QAT_MINUTES,
        metavar="T",
        help="with --int8, where that costs more than a point of accuracy: train for 8 bits, at most so long, and keep "
        f"the better file; 0: never (default {QAT_MINUTES:g})",
    )


def run(args: argparse.Namespace) -> int:
    """Export, verify; 1 when a float32 file does not give the network's answers."""
    from mobilenets.cli.model_argument import open_network
    from mobilenets.exporting.job import check_free, export, folder_of
    from mobilenets.exporting.targets.table import TARGETS, exporter, half_exporter, quantizer, with_full_input
    from mobilenets.exporting.verify import FLOAT16, INT8, losses, table
    from mobilenets.runtime.base import FLOAT

    if not 0 <= args.qat_minutes < inf:
        raise UserError(f"--qat-minutes {args.qat_minutes}: not a time; give minutes, or 0 for never")
    quantize = quantizer(args.to) if args.int8 else None
    write = half_exporter(args.to) if args.half else exporter(args.to)
    network = open_network(args.model)
    training, validation = _samples(args.model, args.data, network.card.classes)
    precision, ending = (INT8, "-int8") if args.int8 else (FLOAT16, "-half") if args.half else (FLOAT, "")
    name = f"{args.to}{'-full' if args.input == 'full' else ''}{ending}"
    out = args.out or folder_of(args.model, network.card) / name
    check_free(out)
    retrain = None
    if quantize is not None:
        calibration = _calibration(network, training, args.float_ends)
        write = partial(_write_int8, quantize, calibration)
        retrain = partial(_retrain, network, training, calibration, args.qat_minutes) if args.qat_minutes else None
    if args.input == "full":
        write = with_full_input(args.to, write)
    print(f"exporting {network.card.name} to {args.to}, which takes up to a minute", file=sys.stderr)
    path, result = export(network, args.to, write, out, validation, precision, retrain)
    print("\n".join(table(result)))
    if not result.agrees:
        print(
            f"mobilenets export: {path}: not the network's answers; kept for inspection, not for use", file=sys.stderr
        )
        return DISAGREES
    for line in losses(result):
        print(f"mobilenets export: {path}: {line}", file=sys.stderr)
    print(f"written {path}")
    if hint := TARGETS[args.to].hint:
        print(hint.format(folder=shlex.quote(str(out))))
    return 0


def _calibration(network: TorchEngine, samples: Sequence[Sample], float_ends: bool) -> Calibration:
    """The photographs to calibrate with; says which layers suffer most."""
    from mobilenets.exporting.int8.calibration import read_calibration
    from mobilenets.exporting.int8.quantize import layer_noise

    calibration = read_calibration(network.card.preprocess, samples, float_ends, measured_on=network.model)
    worst = list(layer_noise(network.model, network.card, calibration).items())[:WORST]
    print("layers that 8 bits hurt most, signal to noise:")
    for name, decibels in worst:
        print(f"  {name:<32} {decibels:5.1f} dB")
    return calibration


def _write_int8(quantize: Quantize, calibration: Calibration, model: MobileNet, card: ModelCard, path: Path) -> None:
    quantize(model, card, path, calibration)


def _retrain(network: TorchEngine, samples: Sequence[Sample], calibration: Calibration, minutes: float) -> MobileNet:
    from mobilenets.exporting.int8.qat import train_for_int8

    print(
        f"more than a point lost: training for 8 bits, at most {minutes:g} min; Ctrl-C keeps what there is",
        file=sys.stderr,
    )
    return train_for_int8(network.model, network.card, samples, calibration, minutes)


def _samples(model: str, data: Path | None, classes: tuple[str, ...]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """Photographs to calibrate with and to compare on: of --data, else of the run's own data, else none.

    In either the run's own keep their split: what it was trained on calibrates, what validated it is compared on.
    """
    from mobilenets.data.sources.read import read_splits
    from mobilenets.training.run_data import find_splits, open_splits
    from mobilenets.training.settings import read_config

    run = Path(model) if Path(model).is_dir() else Path(model).parent
    config = run / "config.yaml"
    if data is not None:
        splits = find_splits(run, data) or read_splits(data)
        return _renumbered(splits.train, splits, classes), _renumbered(splits.val, splits, classes)
    if not config.exists():
        return (), ()
    settings, _ = read_config(config)
    try:
        splits = open_splits(run, settings)
    except (UserError, OSError) as error:
        print(f"the run's photographs cannot be read, so random pixels are compared: {error}", file=sys.stderr)
        return (), ()
    return _renumbered(splits.train, splits, classes), _renumbered(splits.val, splits, classes)


def _renumbered(samples: Samples, splits: Splits, classes: tuple[str, ...]) -> Samples:
    """`samples` with labels in the model's order; of classes it does not know, none."""
    from mobilenets.exporting.images import UNKNOWN

    return samples.relabelled([classes.index(name) if name in classes else UNKNOWN for name in splits.classes])
