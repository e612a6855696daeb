"""`predict --ray`: very many photos, on every core of a Ray cluster or of this machine, into a folder of parts."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenets.choices import PartFormat, values
from mobilenets.errors import MissingExtraError, UsageError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictionFolder:
    """What Ray wrote.

    Attributes
    ----------
    folder
        Where the results are.
    images
        How many photos there are in all.
    parts
        In how many files their results are.
    done
        How many were predicted this time, not in parts that were there before.
    failed
        How many of these could not be read.

    Examples
    --------
    >>> import mobilenets as mn
    >>> written = mn.predict("runs/photos", "album", ray=True, out="answers")  # doctest: +SKIP
    >>> written.images, written.failed  # doctest: +SKIP
    (100000, 2)
    """

    folder: Path
    images: int
    parts: int
    done: int
    failed: int


def predict_on_ray(
    model: str | Path,
    sources: list[str],
    top: int | None,
    engine: str,
    precision: str,
    out: str | Path | None,
    format: str | None,
    accept: float | None,
    tile: int | None,
    given: dict[str, Any],
) -> PredictionFolder:
    """Predict on Ray into a folder of parts; a folder begun is completed.

    Parameters
    ----------
    model, sources, top, engine, precision, out, format, accept, tile
        As `predict` has them.
    given
        Options of `predict` that mean nothing here, by name; refused where they are not None.

    Returns
    -------
    PredictionFolder
        What was written.

    Raises
    ------
    UserError
        As `predict`.
    """
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"--{name}: has no meaning with --ray: its workers have one thread and write answers")
    if engine not in ("auto", "onnxruntime"):
        raise UsageError(f"--engine: {engine!r} with --ray; its workers run onnxruntime, leave it out")
    if precision == "half":
        raise UsageError("--precision: 'half' with --ray; its workers run onnxruntime in float32, leave it out")
    if out is None:
        raise UsageError("--out: say which folder the results of --ray go to")
    if format not in (None, *values(PartFormat)):
        raise UsageError(f"--format: {format!r} with --ray; use {' or '.join(values(PartFormat))}")
    try:
        from mobilenets.bulk.ray import predict_parts
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"{missing.name} is not installed; run: pip install 'mobilenets[ray]'") from None
    from mobilenets.bulk.shards import ModelFiles, claim, make_manifest
    from mobilenets.data.sources.survey import Survey
    from mobilenets.runtime.opening import load, onnx_file
    from mobilenets.runtime.tiled import tile_side
    from mobilenets.verbs.sources import expand
    from mobilenets.verbs.stream import log_left_out, log_unreadable

    file = onnx_file(model)
    predictor = load(file, "onnxruntime", threads=1, accept=accept)  # what is wrong with it is told here, by no worker
    files = ModelFiles.read(file, accept)
    survey = Survey()
    paths = list(expand(sources, survey))
    log_left_out(survey)
    manifest = make_manifest(files, paths, format or "parquet", top, tile_side(predictor.card, tile))
    folder = Path(out)
    claim(folder, manifest)
    if found := manifest.parts - len(manifest.missing(folder)):
        log.info("%s: %d of %d parts are there already", out, found, manifest.parts)
    done, failed = predict_parts(files, paths, manifest, folder)
    log_unreadable(failed, done)
    return PredictionFolder(folder, manifest.pictures, manifest.parts, done, failed)
