"""`mobilenets.predict`: what the pictures show."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from mobilenets.errors import UsageError, UserError
from mobilenets.verbs.predict_on_ray import PredictionFolder as PredictionFolder
from mobilenets.verbs.predict_on_ray import predict_on_ray
from mobilenets.verbs.verb import check_counts, verb

if TYPE_CHECKING:
    from mobilenets.choices import Engine, PartFormat, Precision
    from mobilenets.model_card import ModelCard
    from mobilenets.runtime.predictor import Failure, Predictor
    from mobilenets.system.progress import Report
    from mobilenets.tasks.task import Answer
    from mobilenets.verbs.sort_into import Sorter

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Predictions:
    """A stream of results, one for each photo in its order, in constant memory; it can be gone through once.

    A photo that could not be read is a `Failure` in its place. What was left out of folders, and how many could not
    be read, is logged when the stream ends; the sheet of `save` is written then.

    Attributes
    ----------
    card
        Of the model.
    results
        An answer of the model's task, as a `Prediction`, or a `Failure` for each photo.
    knows_unknown
        Whether answers say how known a photo is.

    Examples
    --------
    >>> import mobilenets as mn
    >>> sum(answer.probability > 0 for answer in mn.predict("runs/photos", "photos/rose"))
    6
    """

    card: ModelCard
    results: Iterator[Answer | Failure]
    knows_unknown: bool = False

    def __iter__(self) -> Iterator[Answer | Failure]:
        return self.results


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
    tile: int | None = None,
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
    format: PartFormat | None = None,
    max_pixels: int | None = None,
    tile: int | None = None,
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
    format: PartFormat | None = None,
    max_pixels: int | None = None,
    tile: int | None = None,
    progress: Report | None = None,
) -> Predictions | PredictionFolder:
    """Say what photos show.

    Parameters
    ----------
    model
        Run folder, exported file, `.safetensors` or published name.
    source
        A file, a folder, a glob, or several of these; "-" for paths on standard input.
    top
        Only the K most probable classes, 1 or more; None: all.
    accept
        Of known photos the fraction that is taken for known, above 0 and up to 1; what is less like the training photos
        is unknown, its label None. None: 0.95, where the model has an index of them.
    save
        New `.png` with the first 16 photos and their titles.
    sort_into
        New folder: the photos are copied into a folder for each class in it, and `unknown`.
    link
        With `sort_into`: symbolic links instead of copies.
    engine
        What runs the file; "auto": the fastest that is installed.
    precision
        "float32", "half", or "auto": half where that is faster here.
    threads
        In all, 1 or more; None: one per core.
    batch
        Photos per step, 1 or more; None: 4.
    ray
        On every core of a Ray cluster or this machine, into `out`, which is completed where it was begun.
    out
        With `ray`: the folder of results.
    format
        With `ray`: "parquet" (None) or "jsonl".
    max_pixels
        Decode at most so many pixels of a photo; None: 120 million.
    tile
        Find objects in overlapping tiles of so many pixels, 64 or more, of larger photos; 0: in whole photos; None: as
        the model was trained.
    progress
        Called with what is done, what there is in all (None) and what it is.

    Returns
    -------
    Predictions or PredictionFolder
        A stream of answers; with `ray` what was written.

    Raises
    ------
    DataError
        No such source, or none with a photo in it.
    ModelFileError
        No such model, a damaged one, or one without an index for `accept`.
    UsageError
        Options out of range or that do not go together, a file or folder to be written that exists already.
    MissingExtraError
        The engine, or Ray, is not installed.

    Examples
    --------
    >>> import mobilenets as mn
    >>> (answer,) = mn.predict("runs/photos", "rose.jpg", top=1)
    >>> answer.path, len(answer.top), 0 < answer.probability <= 1
    ('rose.jpg', 1, True)
    """
    check_counts(top=top, threads=threads, batch=batch)
    if save is not None:
        from mobilenets.system.files import check_new_file

        check_new_file("--save", Path(save), ".png")
    if link and sort_into is None:
        raise UsageError("--link: is for --sort-into; say which folder")
    from mobilenets.verbs.sources import expand, listed

    sources = listed(source)
    if ray:
        given = {"save": save, "threads": threads, "batch": batch, "sort-into": sort_into}
        return predict_on_ray(model, sources, top, engine, precision, out, format, accept, tile, given)
    if out is not None or format is not None:
        raise UsageError(f"{'--out' if out else f'--format {format}'}: is for --ray; without it results are printed")
    from mobilenets.data.sources.survey import Survey
    from mobilenets.runtime.tiled import tile_side
    from mobilenets.system.progress import reported_to
    from mobilenets.verbs.model_argument import open_model
    from mobilenets.verbs.stream import Closing

    survey = Survey()
    paths = expand(sources, survey)
    first = list(islice(paths, 2))
    one = len(first) == 1
    predictor = open_model(str(model), engine, threads, precision, one=one, accept=accept)
    predictor.tile = tile_side(predictor.card, tile)
    sorter = _sorter(Path(sort_into), predictor, link) if sort_into is not None else None
    closing = Closing[Any](survey, None if save is None else Path(save))

    def results() -> Iterator[Answer | Failure]:
        from mobilenets.preprocess.opening import max_pixels as limited
        from mobilenets.runtime.predictor import Failure

        with reported_to(progress):
            alone = one and predictor.tile is None  # tiles are many
            found = _one(predictor, first[0]) if alone else _many(predictor, chain(first, paths), batch, threads)
        with limited(max_pixels):
            for result in found:
                closing.add(result)
                if sorter is not None and not isinstance(result, Failure):
                    sorter.add(Path(str(result.path)), getattr(result, "label", None))
                yield result if isinstance(result, Failure) else result.cut(top)
        closing.close(partial(_draw, predictor))

    return Predictions(predictor.card, results(), knows_unknown=predictor.index is not None)


def _sorter(folder: Path, predictor: Predictor[Any], link: bool) -> Sorter:
    """What puts pictures into class folders.

    Raises
    ------
    UserError
        Answers that are no classes, or a folder that holds something.
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

    progress = Progress("predicting", None, "photo")  # now, where its function is known

    def results() -> Iterator[Answer | Failure]:
        with progress:
            for result in predictor.predict_many(paths, batch or BATCH, threads):
                yield result
                progress.advance()

    return results()


def _draw(predictor: Predictor[Any], shown: list[Answer], path: Path) -> None:
    from mobilenets.report.sheets import save_predictions

    save_predictions(shown, path, predictor.card.classes, predictor.card.preprocess)
