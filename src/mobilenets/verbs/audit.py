"""`mobilenets.audit`: what is wrong with a data set, before it is trained on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.errors import MissingExtraError, UserError
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.auditing.audit import Audit
    from mobilenets.runtime.features import FeatureExtractor
    from mobilenets.system.progress import Report
    from mobilenets.tasks.classify.label_errors import Doubter

log = logging.getLogger(__name__)

_WEIGHTS = "default"  # as for train


@verb
def audit(
    data: str | Path,
    *,
    html: str | Path | None = None,
    write_clean: str | Path | None = None,
    model: str | None = None,
    weights: str | Path | None = None,
    size: int | None = None,
    val: float | str | Path | None = None,
    seed: int = 0,
    max_pixels: int | None = None,
    progress: Report | None = None,
) -> Audit:
    """Find unreadable, duplicate, leaking, blurred and mislabelled photos; no file is changed.

    Parameters
    ----------
    data
        Class folders, train/ and val/, a CSV, shards, parquet, or photos with boxes.
    html
        New `.html` page with thumbnails.
    write_clean
        New `.csv`: the data set without what should not be learned.
    model
        Network that looks at the photos, a name of `list_models`; None: mobilenet_v3_large, or that of a file.
    weights
        Its weights, a tag or file as for `train`; None: the most accurate, where they are at hand; "none": no network,
        so that labels and near duplicates are judged by the files alone.
    size
        Side of its input in pixels; None: that of the weights.
    val
        As for `train`: the fraction, between 0 and 1, or folder that would validate; None: a fifth.
    seed
        As for `train`: of the split, 0 or more.
    max_pixels
        Decode at most so many pixels of a photo; None: 120 million.
    progress
        Called with what is done, what there is in all and what it is.

    Returns
    -------
    Audit
        `findings` by kind, the worst first; `to_dict()` is the content of `mobilenets audit --json`.

    Raises
    ------
    DataError
        Nothing usable there, or fewer than two classes.
    UsageError
        A file to be written that exists already or has another ending.
    MissingExtraError
        `html`, or a network that was asked for, needs a package that is not installed.

    Examples
    --------
    >>> import mobilenets as mn
    >>> found = mn.audit("photos", weights="none")
    >>> found.files, len(found.findings["leak"])
    (18, 0)
    """
    from mobilenets.auditing import audit as auditing
    from mobilenets.auditing import clean
    from mobilenets.data.overview import splits_overview
    from mobilenets.data.sources.read import read_named_splits
    from mobilenets.data.sources.survey import Survey
    from mobilenets.system.files import check_new_file, write_atomic

    data = Path(data)
    if write_clean:
        check_new_file("--write-clean", Path(write_clean), ".csv")
    if html:
        check_new_file("--html", Path(html), ".html")
        try:  # before the work
            from mobilenets.report.audit_report import audit_page
        except ModuleNotFoundError as missing:
            raise MissingExtraError(f"--html needs {missing.name}; run: pip install 'mobilenets[audit]'") from None
    survey = Survey()
    # What is wrong with the data is told before weights are fetched.
    classes, parts = read_named_splits(data, survey)
    if write_clean:
        clean.check_files(data, parts)
    extractor, doubter = _extractor_and_doubter(model, None if weights is None else str(weights), size, seed)
    for line in splits_overview(classes, parts, survey):
        log.info("%s", line)
    result = auditing.audit(data, val=val, seed=seed, extractor=extractor, doubter=doubter, size=size)
    for note in result.notes:
        log.warning("%s", note)
    if html:
        write_atomic(Path(html), audit_page(result))
    if write_clean:
        cleaned = clean.write_clean(result, Path(write_clean))
        gone = ", ".join(f"{n} {reason}" for reason, n in cleaned.left_out.items()) or "nothing"
        log.info("%s: %d photos; left out: %s", write_clean, cleaned.rows, gone)
    return result


def _extractor_and_doubter(
    model: str | None, weights: str | None, size: int | None, seed: int
) -> tuple[FeatureExtractor | None, Doubter | None]:
    """What sees features and judges labels; nothing, and one line that says so, where the default is not at hand."""
    skipped = "labels and duplicates by features are not looked for"
    if weights == "none":
        return None, None
    try:
        from functools import partial

        from mobilenets.training.probe.features import feature_extractor
        from mobilenets.training.probe.label_errors import find_label_errors

        extractor = feature_extractor(model, weights or _WEIGHTS, size)
    except ModuleNotFoundError as missing:
        remedy = f"{missing.name} is not installed; run: pip install 'mobilenets[audit]'"
        if model or weights:
            raise MissingExtraError(remedy) from None
        log.warning("%s: %s", skipped, remedy)
        return None, None
    except UserError as error:
        if model or weights or size:
            raise
        log.warning("%s: %s", skipped, " ".join(str(error).split()))
        return None, None
    return extractor, partial(find_label_errors, seed=seed)
