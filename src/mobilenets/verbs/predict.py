"""`mobilenets.predict`: what the pictures show."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from mobilenets.errors import MissingExtraError, UsageError, UserError
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.choices import Engine, Precision
    from mobilenets.data.sources.survey import Survey
    from mobilenets.model_card import ModelCard
    from mobilenets.runtime.predictor import Failure, Predictor
    from mobilenets.system.progress import Report
    from mobilenets.tasks.task import Answer
    from mobilenets.verbs.sort_into import Sorter

log = logging.getLogger(__name__)

DRAWN = 16  # pictures on a sheet


@dataclass(frozen=True)
class Predictions:
    """A stream of results, one for each picture in its order, in constant memory; it can be gone through once.

    A picture that could not be read is a `Failure` in its place. What was left out of folders, and how many could not
    be read, is logged when the stream ends; the sheet of `save` is written then. `knows_unknown`: whether answers say
    how known a picture is.
    """

    card: ModelCard
    results: Iterator[Answer | Failure]
    knows_unknown: bool = False

    def __iter__(self) -> Iterator[Answer | Failure]:
        return self.results


@dataclass(frozen=True)
class PredictionFolder:
    """What Ray wrote: the `folder` of results, of how many pictures in how many parts, and what could not be read.

    `done` and `failed` are of this time, not of parts that were there before.
    """

    folder: Path
    images: int
    parts: int
    done: int
    failed: int


@overload
def predict(
    model: str | Path,
    source: str | Path | Sequence[str | Path],
    *,
    top: int | None = None,
    accept: float | None = None,
    save: str | Path | None = None,
    sort_into: str | Path | None = None,
    link: bool = False,
    engine: Engine = "auto",
    precision: Precision = "float32",
    threads: int | None = None,
    batch: int | None = None,
    ray: Literal[False] = False,
    out: None = None,
    format: None = None,
    max_pixels: int | None = None,
    progress: Report | None = None,
) -> Predictions: ...
@overload
def predict(
    model: str | Path,
    source: str | Path | Sequence[str | Path],
    *,
    top: int | None = None,
    engine: Engine = "auto",
    precision: Precision = "float32",
    ray: Literal[True],
    out: str | Path,
    format: Literal["parquet", "jsonl"] | None = None,
    max_pixels: int | None = None,
    progress: Report | None = None,
) -> PredictionFolder: ...
@verb
def predict(
    model: str | Path,
    source: str | Path | Sequence[str | Path],
    *,
    top: int | None = None,
    accept: float | None = None,
    save: str | Path | None = None,
    sort_into: str | Path | None = None,
    link: bool = False,
    engine: Engine = "auto",
    precision: Precision = "float32",
    threads: int | None = None,
    batch: int | None = None,
    ray: bool = False,
    out: str | Path | None = None,
    format: Literal["parquet", "jsonl"] | None = None,
    max_pixels: int | None = None,
    progress: Report | None = None,
) -> Predictions | PredictionFolder:
    """Say what pictures show.

    Parameters
    ----------
    model
        Run folder, exported file, `.safetensors` or published name.
    source
        A file, a folder, a glob, or several of these; "-" for paths on standard input.
    top
        Only the K most probable classes; None: all.
    accept
        Of known pictures the share that is taken for known; what is less like the training photographs is unknown,
        its label None. None: 0.95, where the model has an index of them.
    save
        New PNG with the first 16 pictures and their titles.
    sort_into
        New folder: the pictures are copied into a folder for each class in it, and `unknown`.
    link
        With `sort_into`: symbolic links instead of copies.
    engine
        What runs the file; "auto": the fastest that is installed.
    precision
        "float32", "half", or "auto": half where that is faster here.
    threads
        In all; None: one per core.
    batch
        Pictures per step; None: 4.
    ray
        On every core of a Ray cluster or this machine, into `out`, which is completed where it was begun.
    out
        With `ray`: the folder of results.
    format
        With `ray`: "parquet" (None) or "jsonl".
    max_pixels
        Decode at most so many pixels of a picture; None: 120 million.
    progress
        Called with what is done, what there is in all (None) and what it is.

    Raises
    ------
    UserError
        No such model or source, options that do not go together, an engine that is not installed.
    """
    for name, value in (("top", top), ("threads", threads), ("batch", batch)):
        if value is not None and value < 1:
            raise UsageError(f"--{name}: {value} is too few; use 1 or more")
    if save is not None:
        from mobilenets.system.files import check_new_file

        check_new_file("--save", Path(save), ".png")
    if link and sort_into is None:
        raise UsageError("--link: is for --sort-into; say which folder")
    sources = [str(source)] if isinstance(source, (str, Path)) else [str(one) for one in source]
    if ray:
        given = {"save": save, "threads": threads, "batch": batch, "accept": accept, "sort-into": sort_into}
        return _bulk(model, sources, top, engine, precision, out, format, given)
    if out is not None or format is not None:
        raise UsageError(f"{'--out' if out else f'--format {format}'}: is for --ray; without it results are printed")
    from mobilenets.data.sources.survey import Survey
    from mobilenets.system.progress import reported_to
    from mobilenets.verbs.model_argument import open_model
    from mobilenets.verbs.sources import expand

    survey = Survey()
    paths = expand(sources, survey)
    first = list(islice(paths, 2))
    one = len(first) == 1
    predictor = open_model(str(model), engine, threads, precision, one=one, accept=accept)
    sorter = _sorter(Path(sort_into), predictor, link) if sort_into is not None else None

    def results() -> Iterator[Answer | Failure]:
        from mobilenets.preprocess.opening import max_pixels as limited
        from mobilenets.runtime.predictor import Failure

        with reported_to(progress):
            found = _one(predictor, first[0]) if one else _many(predictor, chain(first, paths), batch, threads)
        shown: list[Answer] = []
        done = failed = 0
        with limited(max_pixels):
            for result in found:
                done += 1
                if isinstance(result, Failure):
                    failed += 1
                else:
                    if sorter is not None:
                        sorter.add(Path(str(result.path)), getattr(result, "label", None))
                    if save is not None and len(shown) < DRAWN:
                        shown.append(result)
                yield result if isinstance(result, Failure) else result.cut(top)
        if shown and save is not None:
            _save(shown, Path(save), done - failed, predictor)
        _log_left_out(survey)
        if failed:
            log.warning("%d of %d could not be read", failed, done)

    return Predictions(predictor.card, results(), knows_unknown=predictor.index is not None)


def _sorter(folder: Path, predictor: Predictor[Any], link: bool) -> Sorter:
    """What puts pictures into class folders.

    Raises:
        UserError: answers that are no classes, or a folder that holds something.
    """
    from mobilenets.model_card import CLASSIFY
    from mobilenets.verbs.sort_into import Sorter

    if predictor.card.task != CLASSIFY:
        raise UsageError(f"--sort-into: the answers of {predictor.card.task!r} are no classes; leave it out")
    return Sorter(folder, predictor.classes, link)


def _one(predictor: Predictor[Any], path: str) -> Iterator[Answer | Failure]:
    """One picture is predicted without threads and progress, which would take longer than it does."""
    from mobilenets.runtime.predictor import Failure

    try:
        yield predictor.predict(path)
    except UserError as error:
        yield Failure(path, str(error))


def _many(
    predictor: Predictor[Any], paths: Iterator[str], batch: int | None, threads: int | None
) -> Iterator[Answer | Failure]:
    from mobilenets.runtime.predictor import BATCH
    from mobilenets.system.progress import Progress

    progress = Progress("predicting", None, "picture")  # now, where its function is known

    def results() -> Iterator[Answer | Failure]:
        with progress:
            for result in predictor.predict_many(paths, batch or BATCH, threads):
                yield result
                progress.advance()

    return results()


def _save(shown: list[Answer], path: Path, read: int, predictor: Predictor[Any]) -> None:
    from mobilenets.report.sheets import save_predictions

    save_predictions(shown, path, predictor.card.classes, predictor.card.preprocess.range)
    log.info("saved %s%s", path, f" (the first {len(shown)} of {read})" if len(shown) < read else "")


def _log_left_out(survey: Survey) -> None:
    for line in survey.lines():
        log.warning("%s", line)


def _bulk(
    model: str | Path,
    sources: list[str],
    top: int | None,
    engine: str,
    precision: str,
    out: str | Path | None,
    format: str | None,
    given: dict[str, Any],
) -> PredictionFolder:
    """Predict on Ray into a folder of parts; a folder begun is completed."""
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"--{name}: has no meaning with --ray: its workers have one thread and write answers")
    if engine not in ("auto", "onnxruntime"):
        raise UsageError(f"--engine: {engine!r} with --ray; its workers run onnxruntime, leave it out")
    if precision == "half":
        raise UsageError("--precision: 'half' with --ray; its workers run onnxruntime in float32, leave it out")
    if out is None:
        raise UsageError("--out: say which folder the results of --ray go to")
    if format not in (None, "parquet", "jsonl"):
        raise UsageError(f"--format: {format!r} with --ray; use parquet or jsonl")
    try:
        from mobilenets.bulk.ray import predict_parts
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"{missing.name} is not installed; run: pip install 'mobilenets[ray]'") from None
    from mobilenets.bulk.shards import claim, make_manifest
    from mobilenets.data.sources.survey import Survey
    from mobilenets.features.index import FILE as INDEX
    from mobilenets.runtime.opening import onnx_file
    from mobilenets.verbs.sources import expand

    file = onnx_file(model)
    content = file.read_bytes()
    if (file.parent / INDEX).exists():
        log.warning("--ray: nothing is told to be unknown, which predict without it does")
    survey = Survey()
    paths = list(expand(sources, survey))
    _log_left_out(survey)
    manifest = make_manifest(content, paths, format or "parquet", top)
    folder = Path(out)
    claim(folder, manifest)
    if found := manifest.parts - len(manifest.missing(folder)):
        log.info("%s: %d of %d parts are there already", out, found, manifest.parts)
    done, failed = predict_parts(content, paths, manifest, folder)
    if failed:
        log.warning("%d of %d could not be read", failed, done)
    return PredictionFolder(folder, manifest.pictures, manifest.parts, done, failed)
