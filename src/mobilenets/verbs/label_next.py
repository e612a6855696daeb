"""`mobilenets.label_next`: which photos are worth a label."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mobilenets.errors import DataError, MissingExtraError, UsageError
from mobilenets.verbs.verb import check_counts, verb

if TYPE_CHECKING:
    from mobilenets.data.sources.survey import Survey
    from mobilenets.features.neighbours import Features
    from mobilenets.preprocess.decode import Decoded
    from mobilenets.runtime.predictor import Failure, Predictor, Source
    from mobilenets.system.progress import Report
    from mobilenets.tasks.task import Outputs

log = logging.getLogger(__name__)

NETWORK = "mobilenet_v3_large"  # whose features tell what is typical, where there is no run


@dataclass(frozen=True)
class Wanted:
    """A photo that is worth a label, and why: "typical" or "unsure"."""

    path: str
    rank: int
    why: str

    @property
    def title(self) -> tuple[str, str]:
        """For a sheet."""
        return self.why, str(self.rank)


@dataclass(frozen=True)
class LabelNext:
    """What is to be labelled next.

    Attributes
    ----------
    photos
        The most valuable first.
    path
        The list that was written.
    copies
        How many were left out as they show the same as another.
    failures
        What could not be read, and why.

    Examples
    --------
    >>> import mobilenets as mn
    >>> done = mn.label_next("photos", from_run="runs/photos", n=2, out="next.csv")
    >>> done.path.name, len(done.photos)
    ('next.csv', 2)
    """

    photos: tuple[Wanted, ...]
    path: Path
    copies: int
    failures: tuple[Failure, ...] = ()


@verb
def label_next(
    source: str | Path | Sequence[str | Path],
    *,
    from_run: str | Path | None = None,
    n: int = 50,
    out: str | Path = "label-next.csv",
    save: str | Path | None = None,
    progress: Report | None = None,
) -> LabelNext:
    """List the photos that are worth a label, the most valuable first, in a CSV with an empty column `label`.

    Without a run, and while its labels are fewer than 20 a class, these are typical photos: the densest of each kind
    that has no label yet. Later they are those that the run is least sure of, unlike one another. Of near-identical
    photos one is listed.

    Parameters
    ----------
    source
        Photos without labels: a file, a folder, a glob, or several of these; "-" for paths on standard input.
    from_run
        Folder of a run on the labels so far (`--from`); None: there are none yet.
    n
        How many.
    out
        New CSV with the columns `path`, `label` (empty) and `why`.
    save
        New PNG with the first 16.
    progress
        Called with what is done, what there is in all (None) and what it is.

    Returns
    -------
    LabelNext
        The photos in their order.

    Raises
    ------
    DataError
        No photo that can be read.
    ModelFileError
        No such run, or one without index.
    UsageError
        A file that exists, or a number below 1.

    Examples
    --------
    >>> import mobilenets as mn
    >>> wanted = mn.label_next("photos", from_run="runs/photos", n=2, out="label.csv").photos
    >>> [(photo.rank, photo.why) for photo in wanted]
    [(1, 'typical'), (2, 'typical')]
    """
    from mobilenets.system.files import check_new_file, write_atomic

    check_counts(n=n)
    check_new_file("--out", Path(out), ".csv")
    if save is not None:
        check_new_file("--save", Path(save), ".png")
    try:
        import numpy as np
        from threadpoolctl import threadpool_limits

        from mobilenets.training.label_next import TYPICAL_LABELS, typical, unsure
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"{missing.name} is not installed; run: pip install 'mobilenets[train]'") from None
    from mobilenets.data.sources.survey import Survey
    from mobilenets.model_card import CLASSIFY
    from mobilenets.runtime.index_file import need_index
    from mobilenets.verbs.model_argument import open_model
    from mobilenets.verbs.sources import expand, listed

    sources, survey = listed(source), Survey()
    found = expand(sources, survey)  # before weights are fetched: a source that is not there is told at once
    predictor = open_model(NETWORK if from_run is None else str(from_run))
    if from_run is not None and predictor.card.task != CLASSIFY:
        raise UsageError(
            f"--from: {from_run} answers {predictor.card.task!r}, and only a run for classes says which photos it is "
            "unsure of; leave it out for the most typical ones"
        )
    index = None if from_run is None else need_index(Path(from_run), predictor.card)
    listable = _listable(found)
    if from_run is not None:
        _count_labelled(Path(from_run), listable)
    failures: list[Failure] = []
    images = _measure(predictor, listable, survey, failures)
    if not images.paths:
        raise DataError(f"{sources[0]}: no photo there that can be read; give photos without labels")
    with threadpool_limits(1, user_api="blas"):  # more threads of BLAS wait for each other beside other work
        if index is None or len(index) + len(index.held_out) < TYPICAL_LABELS * len(predictor.classes):
            no_labels = np.zeros((0, images.features.shape[1]), np.float32)
            labelled = no_labels if index is None else index.features.astype(np.float32)
            why, chosen = "typical", typical(images.features, labelled, min(n, len(images.paths)))
        else:
            why, chosen = "unsure", unsure(images.features, images.outputs, min(n, len(images.paths)))
    photos = tuple(Wanted(images.paths[i], rank, why) for rank, i in enumerate(chosen.tolist(), 1))
    write_atomic(Path(out), _csv(photos))
    if save is not None:
        from mobilenets.report.sheets import TitledImage, save_predictions

        shown = [TitledImage(photo.path, photo.title) for photo in photos]
        save_predictions(shown, Path(save), (), predictor.card.preprocess)
    return LabelNext(photos, Path(out), images.copies, tuple(failures))


def _count_labelled(run: Path, paths: list[str]) -> None:
    """Say how many of the photos have a label already, in the data of the run."""
    from mobilenets.data.manifest import manifest_of
    from mobilenets.data.sample import Sample
    from mobilenets.data.samples import Samples

    manifest = manifest_of(run)
    if manifest is None or not manifest.hashed.any():
        return
    known = manifest.recognise(Samples.of([Sample(Path(path), 0) for path in paths]))
    if count := sum(split is not None for split in known):
        log.warning("%d of %d photos are among those of %s and have a label; give the others", count, len(paths), run)


def _listable(found: Iterable[str]) -> list[str]:
    """The paths that the list can name; a line says how many it cannot."""
    paths = list(found)
    listable = [path for path in paths if _is_listable(path)]
    if len(listable) < len(paths):
        log.warning(
            "left out: %d with a line break or what is not UTF-8 in the name, as %s; rename",
            len(paths) - len(listable),
            ascii(next(path for path in paths if not _is_listable(path))),
        )
    return listable


def _csv(photos: Sequence[Wanted]) -> str:
    """The list: `path`, `label` (empty) and `why`."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["path", "label", "why"])
    lines.writerows([str(Path(photo.path).absolute()), "", photo.why] for photo in photos)
    return text.getvalue()


def _is_listable(path: str) -> bool:
    """Whether the list can name a photo so that `train` reads it."""
    try:
        return not {"\n", "\r"}.intersection(str(Path(path).absolute()).encode().decode())
    except UnicodeEncodeError:
        return False


class _UniqueImages(NamedTuple):
    """Photos that show different things: paths, features float32 (N, D), outputs (N, K); how many `copies` are not."""

    paths: list[str]
    features: Features
    outputs: Outputs
    copies: int


def _measure(predictor: Predictor[Any], paths: list[str], survey: Survey, failures: list[Failure]) -> _UniqueImages:
    """What the network makes of photos. Of those that show the same, by the audit's hashes, the first stays."""
    import numpy as np

    from mobilenets.auditing.duplicates import find_pairs
    from mobilenets.auditing.measure import Appearance, grey_levels
    from mobilenets.verbs.features import each_readable

    seen: dict[Source, Appearance] = {}

    def measure(path: Source, photo: Decoded) -> None:
        seen[path] = Appearance.of(photo.image, grey_levels(photo.image), *photo.size)

    predictor.index, predictor.keeps_features = None, True
    found = list(each_readable(predictor.rows(paths, on_decoded=measure), survey, failures))
    rows = {Path(path): (path, row) for path, row in found}  # a path twice counts once
    copies = {pair.second for pair in find_pairs([seen[path] for path, _ in rows.values()])}
    unique = [(str(file), row) for i, (file, (_, row)) in enumerate(rows.items()) if i not in copies]
    return _UniqueImages(
        paths=[path for path, _ in unique],
        features=np.array([row.features for _, row in unique], np.float32),
        outputs=np.array([row.outputs for _, row in unique], np.float32),
        copies=len(found) - len(unique),
    )
