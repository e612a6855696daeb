"""`mobilenets.explain`: which part of a picture speaks for its class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.errors import MissingExtraError, UserError
from mobilenets.verbs.verb import check_counts, verb

if TYPE_CHECKING:
    from mobilenets.explaining.gradcam import Explainer, Explanation
    from mobilenets.runtime.predictor import Failure
    from mobilenets.system.progress import Report


@dataclass(frozen=True)
class Explanations:
    """A stream of results, one for each photo in its order; it can be gone through once.

    A photo that could not be read is a `Failure` in its place. What was left out of folders, and how many could not
    be read, is logged when the stream ends; the sheet of `save` is written then.

    Attributes
    ----------
    classes
        Names, in the order of the outputs.
    results
        An `Explanation` or a `Failure` for each photo.

    Examples
    --------
    >>> import mobilenets as mn
    >>> len(list(mn.explain("runs/photos", "photos/rose")))
    6
    """

    classes: tuple[str, ...]
    results: Iterator[Explanation | Failure]

    def __iter__(self) -> Iterator[Explanation | Failure]:
        return self.results


@verb
def explain(
    model: str | Path,
    image: str | Path | Sequence[str | Path],
    *,
    save: str | Path | None = None,
    top: int | None = None,
    label: str | None = None,
    max_pixels: int | None = None,
    progress: Report | None = None,
) -> Explanations:
    """Show by Grad-CAM which part of a photo speaks for its class.

    Parameters
    ----------
    model
        Run folder, `.safetensors` or published name: an exported graph has no gradients.
    image
        A file, a folder, a glob, or several of these; "-" for paths on standard input.
    save
        New `.png` with the first 16: photo, heat over it, heat map alone.
    top
        Only the K most probable classes, 1 or more; None: all.
    label
        What speaks for this class (`--class`); None: the predicted one.
    max_pixels
        Decode at most so many pixels of a photo; None: 120 million.
    progress
        Called with what is done, what there is in all (None) and what it is.

    Returns
    -------
    Explanations
        A stream with, for each photo, what the network saw of it and how strongly each place speaks for the class.

    Raises
    ------
    DataError
        No such photo.
    ModelFileError
        No such model, or a file that holds a graph and no network.
    UsageError
        A class that the model does not know, a model whose answers are no classes, a file `save` that exists already.
    MissingExtraError
        torch or captum is not installed.

    Examples
    --------
    >>> import mobilenets as mn
    >>> (seen,) = mn.explain("runs/photos", "rose.jpg", label="rose")
    >>> seen.label, seen.heat.shape == seen.crop.shape[:2]
    ('rose', True)
    """
    check_counts(top=top)
    from mobilenets.data.sources.survey import Survey
    from mobilenets.report.sheets import save_explanations
    from mobilenets.runtime.predictor import Failure
    from mobilenets.system.files import check_new_file
    from mobilenets.system.progress import Progress, reported_to
    from mobilenets.verbs.sources import expand, listed
    from mobilenets.verbs.stream import Closing

    if save is not None:
        check_new_file("--save", Path(save), ".png")
    survey = Survey()
    paths = expand(listed(image), survey)
    explainer = _open(str(model))
    explainer.check(label)
    closing = Closing["Explanation"](survey, None if save is None else Path(save))

    def results() -> Iterator[Explanation | Failure]:
        from mobilenets.preprocess.opening import max_pixels as limited

        with reported_to(progress):
            bar = Progress("explaining", None, "photo")
        with bar, limited(max_pixels):
            for path in paths:
                try:
                    explanation = explainer.explain(path, label)
                except UserError as error:
                    failure = Failure(path, str(error))
                    closing.add(failure)
                    yield failure
                    continue
                closing.add(explanation)
                yield replace(explanation, prediction=explanation.prediction.cut(top))
                bar.advance()
        closing.close(save_explanations)

    return Explanations(tuple(explainer.classes), results())


def _open(model: str) -> Explainer:
    from mobilenets.verbs.model_argument import open_network

    network = open_network(model)
    try:
        from mobilenets.explaining.gradcam import Explainer
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"explaining needs {missing.name}; run: pip install 'mobilenets[explain]'") from None
    return Explainer(network)
