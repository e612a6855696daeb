"""`mobilenets.similar`: the photos that are most like one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.errors import DataError
from mobilenets.verbs.verb import check_counts, verb

if TYPE_CHECKING:
    from mobilenets.choices import Engine, Precision
    from mobilenets.runtime.predictor import Failure, Predictor
    from mobilenets.system.progress import Report
    from mobilenets.verbs.among import Sources

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Match:
    """A photo that was found.

    Attributes
    ----------
    path
        Its file; of a training photo that is no longer there, its name in the run's data.csv.
    similarity
        Up to 1, for the same photo.

    Examples
    --------
    >>> Match("photos/rose/000.jpg", 0.97312).title
    ('000.jpg', '0.973')
    """

    path: str
    similarity: float

    @property
    def title(self) -> tuple[str, str]:
        """Its name and how similar it is."""
        return Path(self.path).name, f"{self.similarity:.3f}"


@dataclass(frozen=True)
class Similar:
    """The photos most like `photo`, the most similar first.

    Attributes
    ----------
    photo
        What was asked about.
    matches
        What was found.
    failures
        What could not be read of the photos it was looked for among, and why.

    Examples
    --------
    >>> import mobilenets as mn
    >>> found = mn.similar("runs/photos", "rose.jpg", among="photos/rose")
    >>> len(found.matches)
    6
    """

    photo: str
    matches: tuple[Match, ...]
    failures: tuple[Failure, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The content of `mobilenets similar --json`."""
        found = [{"path": match.path, "similarity": match.similarity} for match in self.matches]
        return {"path": self.photo, "similar": found}


@verb
def similar(
    model: str | Path,
    photo: str | Path,
    *,
    among: Sources | None = None,
    top: int = 12,
    save: str | Path | None = None,
    engine: Engine = "auto",
    precision: Precision = "float32",
    max_pixels: int | None = None,
    progress: Report | None = None,
) -> Similar:
    """Find the photos that a network sees as most like one.

    Parameters
    ----------
    model
        Run folder, `.onnx`, OpenVINO's `.xml`, `.safetensors` or published name.
    photo
        What to look for.
    among
        Where to look: a file, a folder, a glob, several of these, or a file that `embed` wrote with the same model;
        None: among the training photos of the run.
    top
        How many to find.
    save
        New `.png` with the photo and the first 15 that were found.
    engine
        What runs the file; "auto": the fastest that is installed.
    precision
        "float32", "half", or "auto": half where that is faster here.
    max_pixels
        Decode at most so many pixels of a photo; None: 120 million.
    progress
        Called with what is done, what there is in all (None) and what it is.

    Returns
    -------
    Similar
        What was found, the most similar first.

    Raises
    ------
    DataError
        No such photo, or none to look among.
    ModelFileError
        No such model, one that gives no features, or features of another model.
    UsageError
        A number below 1, a file `save` that exists.

    Examples
    --------
    >>> import mobilenets as mn
    >>> found = mn.similar("runs/photos", "rose.jpg", among="photos", top=3)
    >>> Path(found.matches[0].path).name, round(found.matches[0].similarity, 3)
    ('000.jpg', 1.0)
    """
    from mobilenets.features.neighbours import nearest, roots
    from mobilenets.runtime.predictor import Failure
    from mobilenets.system.files import check_new_file
    from mobilenets.verbs.among import look_among
    from mobilenets.verbs.model_argument import open_model

    check_counts(top=top)
    if save is not None:
        check_new_file("--save", Path(save), ".png")
    predictor = open_model(str(model), engine, precision=precision)
    ((_, asked),) = predictor.features([str(photo)])  # first: a folder to look among may take minutes
    if isinstance(asked, Failure):
        raise DataError(asked.error)
    failures = list[Failure]()
    rows, paths = look_among(predictor, Path(model), among, failures)
    near = nearest(roots(asked[None]), rows, top)
    matches = (Match(paths[i], 1 - float(d)) for d, i in zip(near.distances[0], near.rows[0], strict=True))
    result = Similar(str(photo), tuple(matches), tuple(failures))
    if save is not None:
        _save(result, Path(save), predictor)
    return result


def _save(result: Similar, path: Path, predictor: Predictor[Any]) -> None:
    from mobilenets.report.sheets import TitledImage, save_predictions

    asked = TitledImage(result.photo, (Path(result.photo).name, "asked"))
    there = [match for match in result.matches if Path(match.path).is_file()]
    if len(there) < len(result.matches):
        log.warning("%d of the photos are no longer there and not drawn", len(result.matches) - len(there))
    save_predictions(
        [asked, *(TitledImage(match.path, match.title) for match in there)], path, (), predictor.card.preprocess
    )
    log.info("saved %s", path)
