"""Large photos answered in tiles that overlap, as a detector was trained on them; what is found is merged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from mobilenets.errors import UsageError
from mobilenets.model_card import DETECT, TILE, ModelCard
from mobilenets.preprocess.decode import Decoded
from mobilenets.runtime.base import Pixels
from mobilenets.runtime.row import Failure, Row
from mobilenets.tasks.detect.boxes import padded
from mobilenets.tasks.detect.tiles import Tile, check_side, grid, merged
from mobilenets.tasks.ends import Suppression
from mobilenets.tasks.task import Outputs

S = TypeVar("S")  # what a photo is read from

WHOLE_IMAGE = 0  # a side that stands for no tiles


def tile_side(card: ModelCard, asked: int | None = None) -> int | None:
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


class Cut(NamedTuple):
    """A photo as it is run.

    Attributes
    ----------
    parts
        The `tiles`, or the photo itself, which is then the only one; to be gone through once.
    tiles
        Where they lie.
    size
        Width and height of the upright photo in pixels.
    """

    parts: Iterator[Decoded]
    tiles: list[Tile]
    size: tuple[int, int]

    @classmethod
    def of(cls, decoded: Decoded, side: int | None) -> Cut:
        """In tiles, where the photo has a longer side than `side` (None: never)."""
        width, height = size = decoded.size
        if side is None or max(size) <= side:
            return cls(iter([decoded]), [Tile(0, 0, width, height)], size)
        tiles = grid(width, height, side)
        boxes = ((t.left, t.top, t.left + t.width, t.top + t.height) for t in tiles)
        return cls((Decoded(decoded.image.crop(box)) for box in boxes), tiles, size)


class Input(NamedTuple):
    """What an engine takes of one photo: the pixels of its `parts`, made when they are asked for, as in `Cut`."""

    parts: Iterator[Pixels]
    tiles: list[Tile]
    size: tuple[int, int]


def joined(rows: list[Row], tiles: list[Tile], size: tuple[int, int], suppression: Suppression | None) -> Row:
    """The row of a photo of this `size` from those of its `tiles`; `suppression`: the task's, of overlapping boxes."""
    if suppression is None or len(tiles) == 1:
        return rows[0]._replace(size=size)
    return Row(merged(tiles, [row.outputs for row in rows], *size, suppression.max_overlap), size=size)


def outputs_of(rows: Sequence[Row]) -> Outputs:
    """The outputs of all `rows` as one array; of photos in tiles filled up to the one in which most was found."""
    outputs = [row.outputs for row in rows]
    count = max(map(len, outputs))
    return np.stack([one if len(one) == count else padded(one, count) for one in outputs])


def rows_in_tiles(
    sources: Iterable[S],
    cut: Callable[[S], Cut | Failure | None],
    stream: Callable[[Iterable[S | Decoded]], Iterator[tuple[S | Decoded, Row | Failure]]],
    suppression: Suppression | None,
) -> Iterator[tuple[S, Row | Failure]]:
    """Each source with its row, tiles of all photos in one `stream`, so that threads share those of a single photo.

    `cut`: the tiles of a photo; None: it goes into the stream as it is. `suppression`: as of `joined`.
    """
    begun: deque[tuple[S, Cut | Failure | None]] = deque()  # of these not all is computed yet

    def parts() -> Iterator[S | Decoded]:
        for source in sources:
            tiles = cut(source)
            begun.append((source, tiles))
            if tiles is None:
                yield source
            elif isinstance(tiles, Cut):
                yield from tiles.parts

    rows: list[Row] = []
    for _, row in stream(parts()):
        while isinstance(begun[0][1], Failure):
            yield begun.popleft()  # type: ignore[misc]  # as was just seen
        source, tiles = begun[0]
        if isinstance(row, Failure) or not isinstance(tiles, Cut):
            begun.popleft()
            yield source, row
            continue
        rows.append(row)
        if len(rows) == len(tiles.tiles):
            begun.popleft()
            yield source, joined(rows, tiles.tiles, tiles.size, suppression)
            rows = []
    yield from begun  # type: ignore[misc]  # failures alone
