"""`mobilenets.embed`: what a network sees in photos, as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.errors import DataError
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.choices import Engine, Precision
    from mobilenets.features.files import Row
    from mobilenets.runtime.predictor import Failure
    from mobilenets.system.progress import Report


@dataclass(frozen=True)
class Embedding:
    """The file of features, how many photos are in it, and those that could not be read.

    Attributes
    ----------
    path
        The file.
    images
        Its rows.
    failures
        What could not be read, and why.

    Examples
    --------
    >>> import mobilenets as mn
    >>> done = mn.embed("runs/photos", "photos/rose", out="roses.npy")
    >>> done.path.name, done.images, done.failures
    ('roses.npy', 6, ())
    """

    path: Path
    images: int
    failures: tuple[Failure, ...]


@verb
def embed(
    model: str | Path,
    source: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    engine: Engine = "auto",
    precision: Precision = "float32",
    threads: int | None = None,
    max_pixels: int | None = None,
    progress: Report | None = None,
) -> Embedding:
    """Write what a network sees in photos: the vector before its classifier, of length 1, for each of them.

    Photos that look alike to the network have vectors with a cosine near 1. The same photos give the same file.

    Parameters
    ----------
    model
        Run folder, `.onnx`, OpenVINO's `.xml`, `.safetensors` or published name.
    source
        A file, a folder, a glob, or several of these; "-" for paths on standard input.
    out
        New file: `.npy`, float32 (N, D), with the paths of the rows in a `.json` beside it; or `.parquet`, with the
        columns `path` and `features`.
    engine
        What runs the file; "auto": the fastest that is installed.
    precision
        "float32", "half", or "auto": half where that is faster here.
    threads
        In all; None: one per core.
    max_pixels
        Decode at most so many pixels of a photo; None: 120 million.
    progress
        Called with what is done, what there is in all (None) and what it is.

    Returns
    -------
    Embedding
        The file, and what could not be read.

    Raises
    ------
    DataError
        No such photo, or none that can be read.
    ModelFileError
        No such model, or one that gives no features.
    UsageError
        A file that exists, or with another suffix.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.embed("runs/photos", "photos", out="features.npy").images
    18
    """
    from mobilenets.data.sources.survey import Survey
    from mobilenets.features.files import SUFFIXES, write_features
    from mobilenets.features.index import model_id
    from mobilenets.system.files import check_new_file
    from mobilenets.verbs.features import each_feature
    from mobilenets.verbs.model_argument import open_model
    from mobilenets.verbs.sources import expand, listed

    path = Path(out)
    check_new_file("--out", path, *SUFFIXES)
    if path.suffix == ".npy":
        check_new_file("--out", path.with_suffix(".json"), ".json")
    survey, failures = Survey(), list["Failure"]()
    paths = expand(listed(source), survey)
    predictor = open_model(str(model), engine, threads, precision)
    predictor.index = None  # nothing is asked of it

    def rows() -> Iterator[Row]:
        done = 0
        for done, row in enumerate(each_feature(predictor, paths, survey, failures, threads), 1):  # noqa: B007
            yield row
        if not done:
            raise DataError(f"none of the {len(failures)} photos can be read; the lines above say why")

    count = write_features(path, rows(), predictor.card.net.head_width, model_id(predictor.card))
    return Embedding(path, count, tuple(failures))
