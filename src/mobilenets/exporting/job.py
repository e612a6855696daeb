"""One export from beginning to end: write, run in its own runtime, compare, keep."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from mobilenets.data.sample import Sample
from mobilenets.errors import UsageError
from mobilenets.exporting.images import random_images, read_images
from mobilenets.exporting.targets.table import TARGETS, Export, reopen
from mobilenets.exporting.verify import FLOAT16, MAX_LOST, Verification, size_of, verify
from mobilenets.model_card import ModelCard
from mobilenets.nn.io import Network
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.base import FLOAT, HALF, Engine
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.registry import KINDS, find_half, open_engine

log = logging.getLogger(__name__)

Retrain = Callable[[], MobileNet]

MAX_IMAGES = 1000
UNVERIFIED = ".unverified"


def export(
    network: Network,
    target: str,
    write: Export,
    out: Path,
    samples: Sequence[Sample],
    precision: str = FLOAT,
    retrain: Retrain | None = None,
    texts: Sequence[str] = (),
) -> tuple[Path, Verification]:
    """Write `network` with `write` into the new folder `out` and compare on `samples`, or random pixels if none.

    `texts`: what the samples' labels number.

    A file with weights in float16 is also computed in half precision, where its runtime and this processor do that.
    A float32 file that disagrees is kept under another suffix. Nothing is left of an export that fails.
    Where a file is more than a point less accurate, the network that `retrain` gives is written too, and the more
    accurate file of the two kept. Interrupted in that, the first file is kept before the interrupt goes on.

    Raises:
        UserError: `out` exists or cannot be written, the network cannot be written so, or no photograph be read.
    """
    check_free(out)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    made = [folder for folder in part.parents if not folder.exists()]
    interrupted: KeyboardInterrupt | None = None

    def attempt(model: MobileNet, folder: Path) -> tuple[Path, Verification]:
        return folder, _attempt(model, network, target, write, folder, samples, precision, texts)

    try:
        kept, result = attempt(network.model, part / "first")
        if retrain is not None and result.lost > MAX_LOST:
            try:
                other, trained = attempt(retrain(), part / "second")
                trained = replace(trained, trained=True)
                if trained.lost < result.lost:
                    kept, result, trained = other, trained, result
                result = replace(result, other=trained)
            except KeyboardInterrupt as stop:
                interrupted = stop
        file = TARGETS[target].file
        if not result.agrees:
            file = (kept / file).rename(kept / f"{file}{UNVERIFIED}").name
        text = json.dumps(asdict(result), indent=2) + "\n"
        (kept / "verify.json").write_text(text, encoding="utf-8")
        kept.rename(out)
        shutil.rmtree(part, ignore_errors=True)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        with contextlib.suppress(OSError):  # another export is in one of them
            for folder in made:
                folder.rmdir()
        raise
    if interrupted is not None:
        log.warning("kept the file without training, in %s", out)
        raise interrupted
    return out / file, result


def _attempt(
    model: MobileNet,
    network: Network,
    target: str,
    write: Export,
    folder: Path,
    samples: Sequence[Sample],
    precision: str,
    texts: Sequence[str],
) -> Verification:
    """Write `model` into the new `folder` and compare that file with `network`."""
    folder.mkdir(parents=True)
    file = folder / TARGETS[target].file
    write(model, network.card, file)

    def compare(engine: Engine | None, precision: str) -> Verification:
        preprocess = network.card.preprocess
        images = read_images(preprocess, samples, MAX_IMAGES, "comparing") if samples else random_images(preprocess)
        expected = TorchEngine(network.model, network.card)
        return verify(engine, expected, images, target, precision, size_of(folder), runtime, texts)

    runtime = TARGETS[target].engine
    # Each engine ends here with its last use: an open file cannot be renamed everywhere.
    result = compare(reopen(target, file, network.card), precision)
    if precision == FLOAT16 and runtime in KINDS and (half := find_half(runtime)):
        result = replace(result, half=compare(open_engine(file, runtime, 1, HALF), half))
    return result


def check_free(out: Path) -> None:
    """Refuse before the work a folder that could not be made after it.

    Raises:
        UserError: `out` exists, or where it would lie nothing can be written.
    """
    if out.exists():
        raise UsageError(f"{out}: exists already; choose another --out")
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise UsageError(f"{out}: {parent} is a file; choose another --out")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"{out}: the folder {parent} cannot be written; choose another --out")


def folder_of(model: str, card: ModelCard) -> Path:
    """Where exports of MODEL go: inside a run, beside a file, or under the name of a published network."""
    path = Path(model)
    if path.exists():
        return (path if path.is_dir() else path.parent) / "exports"
    return Path("exports") / card.name
