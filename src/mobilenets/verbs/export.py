"""`mobilenets.export`: a trained network as a file for another runtime, and the proof that it is the same."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.errors import UsageError, UserError
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.choices import Input, Target
    from mobilenets.data.sample import Sample
    from mobilenets.data.samples import Samples, Splits
    from mobilenets.exporting.int8.calibration import Calibration
    from mobilenets.exporting.targets.table import Quantize
    from mobilenets.exporting.verify import Verification
    from mobilenets.model_card import ModelCard
    from mobilenets.nn.io import Network
    from mobilenets.nn.model import MobileNet
    from mobilenets.system.progress import Report

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportResult:
    """An exported file and how far it is from its network.

    Attributes
    ----------
    path
        The file; one that does not give the network's answers has another name, which no program takes for a model.
    verification
        What the comparison came to; the content of `verify.json`.
    layer_noise
        With 8 bits: from each layer to its signal to noise in decibels, the worst first.
    losses
        What rounded weights cost, in words, where that is more than a point of accuracy.
    hint
        What to do with the file next; None: nothing is special about it.
    loss_allowed
        Whether a loss of more than a point was asked for.

    Examples
    --------
    >>> import mobilenets as mn
    >>> result = mn.export("runs/photos", "onnx", int8=True)  # doctest: +SKIP
    >>> result.accepted, result.verification.top1_agreement  # doctest: +SKIP
    (True, 0.99)
    """

    path: Path
    verification: Verification
    layer_noise: dict[str, float]
    losses: tuple[str, ...]
    hint: str | None
    loss_allowed: bool = False

    @property
    def agrees(self) -> bool:
        """Whether a float32 file gives the network's answers."""
        return self.verification.agrees

    @property
    def accepted(self) -> bool:
        """Whether the file can take the network's place: not "wrong", nor "loss" unless that was allowed."""
        verdict = self.verification.verdict
        return verdict != "wrong" and (verdict != "loss" or self.loss_allowed)

    def to_dict(self) -> dict[str, Any]:
        """The content of `verify.json`."""
        return self.verification.to_dict()


@verb
def export(
    model: str | Path,
    to: Target,
    *,
    out: str | Path | None = None,
    data: str | Path | None = None,
    input: Input = "cropped",
    int8: bool = False,
    half: bool = False,
    float_ends: bool = False,
    allow_loss: bool = False,
    max_pixels: int | None = None,
    progress: Report | None = None,
) -> ExportResult:
    """Write a model for another runtime, run it there and compare.

    Parameters
    ----------
    model
        Run folder, `.safetensors` or published name.
    to
        The target: "onnx", "openvino", "executorch", "litert", "coreml", "ncnn", "torch" or "web".
    out
        New folder; None: MODEL/exports/TARGET.
    data
        Photos to compare on and calibrate with; None: the run's.
    input
        "full" (onnx, openvino): the file takes a photo of any size and resizes and crops it itself; "cropped": it takes
        uint8 (N, size, size, C).
    int8
        8-bit integers: smaller and faster, nearly as right.
    half
        Weights in float16: half the size, nearly the same.
    float_ends
        With `int8`: first and last layer stay float.
    allow_loss
        Accept a file that loses more than a point of accuracy; the command then ends with 0 instead of 1.
    max_pixels
        Decode at most so many pixels of a photo; None: 120 million.
    progress
        Called with what is done, what there is in all and what it is.

    Returns
    -------
    ExportResult
        The file, and how far it is from the network.

    Raises
    ------
    ModelFileError
        No such model, or a file that holds a graph and no network.
    UsageError
        A folder `out` that exists, options out of range or that do not go together, a target that cannot do it.
    DataError
        No photo to calibrate with.
    MissingExtraError
        The target's converter is not installed.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.export("runs/photos", "litert", int8=True).path  # doctest: +SKIP
    PosixPath('runs/photos/exports/litert-int8/model.tflite')
    >>> mn.export("runs/photos", "onnx", int8=True, half=True)
    Traceback (most recent call last):
    mobilenets.errors.UsageError: --half: not with --int8, which has a precision of its own; leave one of them out
    """
    from mobilenets.exporting.job import export as write_and_verify
    from mobilenets.exporting.job import folder_of
    from mobilenets.exporting.targets.table import (
        TARGETS,
        exporter,
        half_exporter,
        quantizer,
        with_full_input,
    )
    from mobilenets.exporting.verify import FLOAT16, INT8, losses
    from mobilenets.model_card import ANOMALY, CLASSIFY, DETECT
    from mobilenets.runtime.base import FLOAT
    from mobilenets.system.files import check_new_folder
    from mobilenets.verbs.model_argument import open_network

    if int8 and half:
        raise UsageError("--half: not with --int8, which has a precision of its own; leave one of them out")
    quantize = quantizer(to) if int8 else None
    write = half_exporter(to) if half else exporter(to)
    network = open_network(str(model))
    if int8 and network.card.task == ANOMALY:
        raise UsageError(f"--int8: {model} compares distances, which 8 bits do not hold; use --half, or neither")
    if to == "web" and network.card.task not in (CLASSIFY, DETECT):
        shown = f"its page shows classes and boxes, and {model} answers {network.card.task!r}"
        raise UsageError(f"--to web: {shown}; use --to onnx")
    training, validation, texts = _samples(model, data, network.card)
    precision, ending = (INT8, "-int8") if int8 else (FLOAT16, "-half") if half else (FLOAT, "")
    name = f"{to}{'-full' if input == 'full' else ''}{ending}"
    folder = Path(out) if out else folder_of(str(model), network.card) / name
    check_new_folder(folder)
    noise: dict[str, float] = {}
    if quantize is not None:
        calibration, noise = _calibration(network, training, float_ends)
        write = partial(_write_int8, quantize, calibration)
    if input == "full":
        write = with_full_input(to, write)
    log.info("exporting %s to %s, which takes up to a minute", network.card.name, to)
    path, result = write_and_verify(network, to, write, folder, validation, precision, texts)
    _copy_index(Path(model), folder, to)
    hint = TARGETS[to].hint
    next_step = hint.format(folder=shlex.quote(str(folder))) if hint else None
    return ExportResult(path, result, noise, tuple(losses(result)), next_step, allow_loss)


def _copy_index(model: Path, folder: Path, target: str) -> None:
    """Put the run's index beside an exported file, whose features it is for, so that it tells what is unknown, too."""
    from mobilenets.features.index import FILE
    from mobilenets.system.files import write_atomic

    index = (model if model.is_dir() else model.parent) / FILE
    if index.is_file():
        write_atomic(folder / FILE, index.read_bytes())
        if target == "web":
            from mobilenets.exporting.web.folder import with_index

            with_index(folder, FILE)


def _calibration(
    network: Network, samples: Sequence[Sample], skip_first_last: bool
) -> tuple[Calibration, dict[str, float]]:
    """The photographs to calibrate with, and how much each layer suffers."""
    from mobilenets.exporting.int8.calibration import read_calibration
    from mobilenets.exporting.int8.quantize import layer_noise

    calibration = read_calibration(network.card.preprocess, samples, skip_first_last)
    return calibration, layer_noise(network.model, network.card, calibration)


def _write_int8(quantize: Quantize, calibration: Calibration, model: MobileNet, card: ModelCard, path: Path) -> None:
    quantize(model, card, path, calibration)


def _samples(
    model: str | Path, data: str | Path | None, card: ModelCard
) -> tuple[Sequence[Sample], Sequence[Sample], Sequence[str]]:
    """Photographs to calibrate with and to compare on: of `data`, else of the run's own data, else none; their labels.

    In either the run's own keep their split: what it was trained on calibrates, what validated it is compared on.
    """
    from mobilenets.tasks import task_of
    from mobilenets.training.run_data import find_splits, open_splits, read_like
    from mobilenets.training.settings import read_config

    run = Path(model) if Path(model).is_dir() else Path(model).parent
    config = run / "config.yaml"
    if data is not None:
        task = task_of(card)
        return _numbered(find_splits(run, Path(data), task) or read_like(run, Path(data), task), card)
    if not config.exists():
        return (), (), ()
    settings, _ = read_config(config)
    try:
        splits = open_splits(run, settings)
    except (UserError, OSError) as error:
        log.warning("the run's photos cannot be read, so random pixels are compared: %s", error)
        return (), (), ()
    return _numbered(splits, card)


def _numbered(splits: Splits, card: ModelCard) -> tuple[Samples, Samples, Sequence[str]]:
    """Training and validation photographs with labels as the model numbers them, and what these number."""
    from mobilenets.tasks import task_of

    numbers, texts = task_of(card).numbered(splits.classes, card.classes)
    train, val = (samples.relabelled(numbers, texts) for samples in (splits.train, splits.val))
    return train, val, texts
