"""Large photos answered in tiles that overlap, as a detector was trained on them; what is found is merged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mobilenets.errors import UsageError, UserError
from mobilenets.model_card import DETECT, TILE, ModelCard
from mobilenets.preprocess.decode import Decoded
from mobilenets.runtime.predictor import BATCH, Failure, Predictor, Row
from mobilenets.tasks.detect.tiles import check_side, grid, merged

WHOLE_IMAGE = 0  # a side that stands for no tiles


def tile_side(card: ModelCard, asked: int | None) -> int | None:
    """The side of the tiles that a model is to see photos in: as `asked`, else as it was trained; None: whole photos.

    Raises
    ------
    UsageError
        `asked` is no side (`WHOLE_IMAGE`: whole photos), or the model finds no objects.
    """
    if asked is None:
        written = card.provenance.get(TILE, "")
        return int(written) if written.isdecimal() and card.task == DETECT else None
    if card.task != DETECT:
        raise UsageError(f"--tile: is for models that find objects; {card.name} answers {card.task!r}; leave it out")
    if asked == WHOLE_IMAGE:
        return None
    check_side(asked)
    return asked


def predict_tiled(
    predictor: Predictor[Any],
    sources: Iterable[str | Path],
    side: int | None,
    batch: int = BATCH,
    workers: int | None = None,
) -> Iterator[Any | Failure]:
    """As `Predictor.predict_many`, photos with a longer side than `side` in tiles of so many pixels (None: whole).

    A photo is decoded whole, and its tiles are run in threads.
    """
    if side is None:
        yield from predictor.predict_many(sources, batch, workers)
        return
    for source in sources:
        try:
            image = predictor.card.preprocess.read(source, min_side=0).image
        except UserError as error:
            yield Failure(str(source), str(error))
            continue
        tiles = grid(image.width, image.height, side)
        crops = (Decoded(image.crop((t.left, t.top, t.left + t.width, t.top + t.height))) for t in tiles)
        rows = [row.outputs for _, row in predictor.rows(crops, batch, workers) if isinstance(row, Row)]
        yield predictor.answer(source, Row(merged(tiles, rows, image.width, image.height)))
