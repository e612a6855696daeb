"""One export from beginning to end: write, run in its own runtime, compare, keep."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mobilenets.data.sample import Sample
from mobilenets.errors import UserError
from mobilenets.exporting.images import random_images, read_images
from mobilenets.exporting.targets.table import TARGETS, Export, reopen
from mobilenets.exporting.verify import FLOAT16, Verification, size_of, verify
from mobilenets.model_card import ModelCard
from mobilenets.nn.io import Network
from mobilenets.runtime.base import FLOAT, HALF, Engine
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.registry import KINDS, find_half, open_engine
from mobilenets.system.files import check_new_folder

MAX_IMAGES = 1000
UNVERIFIED = ".unverified"
_FULL = 1 << 20  # bytes that are free on a full disk, at most


def export(
    network: Network,
    target: str,
    write: Export,
    out: Path,
    samples: Sequence[Sample],
    precision: str = FLOAT,
    texts: Sequence[str] = (),
) -> tuple[Path, Verification]:
    """Write `network` with `write` into the new folder `out` and compare on `samples`, or random pixels if none.

    `texts`: what the samples' labels number.

    A file with weights in float16 is also computed in half precision, where its runtime and this processor do that.
    A float32 file that disagrees is kept under another suffix. Nothing is left of an export that fails.

    Raises
    ------
    UserError
        `out` exists or cannot be written, the network cannot be written so, or no photograph be read.
    """
    check_new_folder(out)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    made = [folder for folder in part.parents if not folder.exists()]
    try:
        result = _attempt(network, target, write, part, samples, precision, texts)
        file = TARGETS[target].file
        if not result.agrees:
            file = (part / file).rename(part / f"{file}{UNVERIFIED}").name
        text = json.dumps(result.to_dict(), indent=2) + "\n"
        (part / "verify.json").write_text(text, encoding="utf-8")
        part.rename(out)
    except BaseException as error:
        # Converters in C++ say of a full disk no more than that a stream failed.
        is_full = not isinstance(error, (UserError, OSError)) and isinstance(error, Exception) and _is_full(part)
        shutil.rmtree(part, ignore_errors=True)
        with contextlib.suppress(OSError):  # another export is in one of them
            for folder in made:
                folder.rmdir()
        if is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out)) from error
        raise
    return out / file, result


def _is_full(folder: Path) -> bool:
    return folder.exists() and shutil.disk_usage(folder).free < _FULL


def _attempt(
    network: Network,
    target: str,
    write: Export,
    folder: Path,
    samples: Sequence[Sample],
    precision: str,
    texts: Sequence[str],
) -> Verification:
    """Write `network` into the new `folder` and compare that file with `network`."""
    folder.mkdir(parents=True)
    file = folder / TARGETS[target].file
    write(network.model, network.card, file)

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


def folder_of(model: str, card: ModelCard) -> Path:
    """Where exports of MODEL go: inside a run, beside a file, or under the name of a published network."""
    path = Path(model)
    if path.exists():
        return (path if path.is_dir() else path.parent) / "exports"
    return Path("exports") / card.name
