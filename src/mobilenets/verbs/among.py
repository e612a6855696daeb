"""SOURCE of `--among`: the photos that one is compared with, by what a network sees in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.errors import DataError, ModelFileError, UsageError

if TYPE_CHECKING:
    from mobilenets.features.neighbours import Features
    from mobilenets.runtime.predictor import Failure, Predictor

Sources = str | Path | Sequence[str | Path]


def look_among(
    predictor: Predictor[Any], model: Path, among: Sources | None, failures: list[Failure]
) -> tuple[Features, Sequence[str]]:
    """Roots of features (N, D) and the paths of their photos; those that cannot be read go into `failures`.

    `among`: photos, or a file that `embed` wrote; None: the training photos, where they still are, else their names.

    Raises
    ------
    UserError
        Nothing to look among, or features of another model than `model`.
    """
    from mobilenets.data.sources.survey import Survey
    from mobilenets.features.files import SUFFIXES, read_features
    from mobilenets.features.index import FILE, model_id
    from mobilenets.features.neighbours import roots
    from mobilenets.runtime.index_file import find_index
    from mobilenets.verbs.features import all_features
    from mobilenets.verbs.sources import expand, listed

    if among is None:
        index = predictor.index or find_index(model, predictor.card)
        if index is None:
            raise UsageError(
                f"{model}: has no {FILE} beside it, its training photos; say where to look, as --among DIR"
            )
        return index.reference.rows, _files(model, index.paths)
    if isinstance(among, (str, Path)) and Path(among).suffix in SUFFIXES:
        stored = read_features(Path(among))
        width = predictor.card.net.head_width
        if stored.model != model_id(predictor.card) or stored.features.shape[1] != width:
            raise ModelFileError(f"{among}: features of another model than {model}; embed the photos with it again")
        return roots(stored.features), stored.paths
    survey = Survey()
    paths, rows = all_features(predictor, expand(listed(among), survey), survey, failures)
    if not paths:
        raise DataError("--among: none of the photos can be read; the lines above say why")
    return roots(rows), paths


def _files(model: Path, names: Sequence[str]) -> list[str]:
    """The files of training photos, where they still are; else their names."""
    from mobilenets.data.manifest import listed_files, run_of

    run = run_of(model)
    files = listed_files(run, names) if run is not None else [None] * len(names)
    return [name if file is None else str(file) for name, file in zip(names, files, strict=True)]
