"""One export from beginning to end: write, run in its own runtime, compare, keep."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mobilenets.artifact import ModelCard
from mobilenets.data.sample import Sample
from mobilenets.errors import UserError
from mobilenets.export.pictures import random_pictures, read_pictures
from mobilenets.export.targets import TARGETS, Export, reopen
from mobilenets.export.verify import FLOAT, Verification, size_of, verify
from mobilenets.runtime.torch import TorchEngine

MOST_PICTURES = 1000
UNVERIFIED = ".unverified"


def export(
    network: TorchEngine, target: str, write: Export, out: Path, samples: Sequence[Sample], precision: str = FLOAT
) -> tuple[Path, Verification]:
    """Write `network` with `write` into the new folder `out` and compare on `samples`, or random pixels if none.

    A float file that disagrees is kept under another suffix. Nothing is left of an export that fails.

    Raises:
        UserError: `out` exists or cannot be written, the network cannot be written so, or no photograph be read.
    """
    check_free(out)
    file = TARGETS[target].file
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    made = [folder for folder in part.parents if not folder.exists()]
    part.mkdir(parents=True)
    try:
        write(network.model, network.card, part / file)
        if samples:
            pictures = read_pictures(network.card.preprocess, samples, MOST_PICTURES, "comparing")
        else:
            pictures = random_pictures(network.card.preprocess)
        engine = reopen(target, part / file, network.card)
        result = verify(engine, network, pictures, target, precision, size_of(part), TARGETS[target].engine)
        del engine  # an open file cannot be renamed everywhere
        if not result.agrees:
            file = (part / file).rename(part / f"{file}{UNVERIFIED}").name
        text = json.dumps(asdict(result), indent=2) + "\n"
        (part / "verify.json").write_text(text, encoding="utf-8")
        part.rename(out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        with contextlib.suppress(OSError):  # another export is in one of them
            for folder in made:
                folder.rmdir()
        raise
    return out / file, result


def check_free(out: Path) -> None:
    """Refuse before the work a folder that could not be made after it.

    Raises:
        UserError: `out` exists, or where it would lie nothing can be written.
    """
    if out.exists():
        raise UserError(f"{out}: exists already; choose another --out")
    place = next(parent for parent in out.absolute().parents if parent.exists())
    if not place.is_dir():
        raise UserError(f"{out}: {place} is a file; choose another --out")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"{out}: the folder {place} cannot be written; choose another --out")


def folder_of(model: str, card: ModelCard) -> Path:
    """Where exports of MODEL go: inside a run, beside a file, or under the name of a published network."""
    path = Path(model)
    if path.exists():
        return (path if path.is_dir() else path.parent) / "exports"
    return Path("exports") / card.name
