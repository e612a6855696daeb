"""Which part of its photographs a run sees: the settings `size`, `crop` and `fit` become its preprocess."""

from __future__ import annotations

import logging
from dataclasses import replace

from mobilenets.data.samples import Samples
from mobilenets.data.shapes import shapes, stored_sizes
from mobilenets.preprocess import Preprocess
from mobilenets.training.settings import Settings

log = logging.getLogger(__name__)


def fitted(settings: Settings, preprocess: Preprocess, train: Samples, is_whole: bool = False) -> Preprocess:
    """The run's preprocess, from that of the weights it starts from; what is decided or lost is said in one line.

    `train`: the training photographs, by whose shapes "auto" decides. With "pad" and "squash" the whole photograph is
    seen (crop 1.0) unless `settings.crop` says otherwise: whoever asks for them wants nothing hidden. `is_whole`: all
    of a photograph must be seen, and is stretched.
    """
    if is_whole:
        return replace(preprocess, size=settings.size or preprocess.size, crop=1.0, fit="squash")
    fit = settings.fit or preprocess.fit
    preprocess = replace(
        preprocess,
        size=settings.size or preprocess.size,
        crop=preprocess.crop if settings.crop is None else settings.crop,
    )
    if fit == "auto" or (settings.fit is None and fit == "crop"):
        found = shapes(stored_sizes(train), preprocess)
        elongated = found is not None and found.elongated
        message = f"fit: {found.describe()}" if found else "fit: no photo could be measured"
        if fit == "auto":
            fit = "pad" if elongated else "crop"
            message += f"; auto takes {fit}"
        elif elongated:
            message += "; --fit pad shows all of it"
        if settings.fit == "auto" or elongated:
            log.info("%s", message)
    if fit != preprocess.fit and fit != "crop" and settings.crop is None:
        preprocess = replace(preprocess, crop=1.0)
    return replace(preprocess, fit=fit)
