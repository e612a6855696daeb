"""A trained model in use: pictures in, the answers of its task out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenets.errors import ModelFileError, UserError
from mobilenets.features.index import FeatureIndex
from mobilenets.features.known import ACCEPT, is_accepted
from mobilenets.model_card import ModelCard
from mobilenets.preprocess.decode import Decoded
from mobilenets.runtime.base import Engine, Features, Origin, Pixels, features_engine
from mobilenets.runtime.forking import watch
from mobilenets.runtime.registry import open_engine
from mobilenets.runtime.row import Failure as Failure
from mobilenets.runtime.row import Row as Row
from mobilenets.runtime.sizes import image_of, is_larger
from mobilenets.runtime.streaming import each, stream
from mobilenets.runtime.threads import measured_threads, prepare
from mobilenets.runtime.tiled import Cut, Input, joined, rows_in_tiles, tile_side
from mobilenets.tasks import task_of
from mobilenets.tasks.task import A, Outputs, Task

R = TypeVar("R")
Source = str | Path | bytes | BinaryIO | Image.Image | Decoded | NDArray[np.uint8]
OnDecoded = Callable[[Source, Decoded], object] | None

# Per picture onnxruntime takes as long for 1 to 4 at a time and longer for 8, torch a third less for 4 than for 1.
BATCH = 4


class Predictor(Generic[A]):
    """A model with its card and task: `predict` one photo, `predict_many` any number of them.

    Threads may share one. A copy, also one pickled for another process, opens the file again, in the same engine; so
    does a forked process at its first photo (what OpenVINO had of a `.onnx`, in onnxruntime). Such a process ends by
    `os._exit`, as those of multiprocessing do: else onnxruntime waits for threads that were not forked.

    Parameters
    ----------
    engine
        What computes; `load` opens one.
    index
        The features of the training photos, by which it also tells what is unknown.
    accept
        With an index: the fraction of known photos that is taken for known, above 0 and up to 1.

    Attributes
    ----------
    tile
        Find objects in overlapping tiles of so many pixels of larger photos; None: in whole ones. At first as trained.

    Examples
    --------
    >>> import mobilenets as mn
    >>> predictor = mn.load("runs/photos")
    >>> predictor.task.name, predictor.outputs(predictor.pixels("rose.jpg")[None]).shape
    ('classify', (1, 3))
    >>> [answer.path for answer in predictor.predict_many(["rose.jpg", "photos/tulip/000.jpg"])]
    ['rose.jpg', 'photos/tulip/000.jpg']
    """

    def __init__(self, engine: Engine, index: FeatureIndex | None = None, accept: float = ACCEPT) -> None:
        self._opened, self._forked = measured_threads(engine), False
        self.index, self.accept, self.keeps_features = index, accept, False  # features in rows, also without an index
        self.tile = tile_side(engine.card)
        self.task: Task[A] = task_of(engine.card)
        watch(self)

    def __getstate__(self) -> dict[str, Any]:
        """The file and the card that is expected in it; of a network in memory, that."""
        origin = self._opened.origin
        opened = {"engine": self._opened} if origin is None else {"origin": origin, "card": self.card}
        return {**opened, "index": self.index, "accept": self.accept, "tile": self.tile}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the file.

        Raises
        ------
        UserError
            It is not there, or holds another model by now.
        """
        engine = state.get("engine")
        if engine is None:
            origin: Origin = state["origin"]
            opened = open_engine(origin.path, origin.name, origin.threads, origin.precision)
            engine = _as_expected(opened, state["card"], origin)
        Predictor.__init__(self, engine, state["index"], state["accept"])
        self.tile = state["tile"]

    def left_to_parent(self) -> tuple[object, ...]:
        """As `forking.Forked` has it: the engine is opened again when it is used."""
        self._forked = True
        return self._opened, self.__dict__.pop("_concurrent", None)

    @property
    def _engine(self) -> Engine:
        if self._forked:
            origin, card = self._opened.origin, self._opened.card
            engine = self._opened.after_fork()
            if origin is not None:
                engine.origin = origin
                _as_expected(engine, card, origin)
            self._opened, self._forked = engine, False
        return self._opened

    @property
    def card(self) -> ModelCard:
        """Network, task, preprocess, metrics, provenance."""
        return self._engine.card

    @property
    def classes(self) -> tuple[str, ...]:
        """Names among the answers, in the order of the outputs; none where answers are no names."""
        return self.card.classes

    def prepare(self) -> None:
        """Open now what many calls will want: the engine on other numbers of threads, to find the fastest."""
        prepare(self._engine)

    def outputs(self, pixels: Pixels) -> Outputs:
        """uint8 `pixels` (N, size, size, C), 0..255, as `pixels` gives them → float32 (N, W), a row for each."""
        return self._engine(pixels)

    def rows_of(self, inputs: list[Input]) -> Iterator[Row]:
        """A row for each of `inputs`, as `input` gives them, run together where they are of one size."""
        return self._rows(self._engine, max(BATCH, len(inputs)), inputs)

    def input(self, source: Source, max_pixels: int | None = None) -> Input:
        """What the engine takes of one photo, in tiles where it is cut; `source` and `max_pixels` as of `pixels`."""
        return self._input(Cut.of(self._read(source, is_larger(source, self.tile), max_pixels), self.tile))

    def pixels(self, source: Source, max_pixels: int | None = None) -> Pixels:
        """A photo as a whole: uint8 (size, size, C), or all of it (H, W, 3) if the engine accepts full images.

        `source` and errors are those of `predict`; `max_pixels`: decode at most so many (None: 120 million).
        """
        return self._pixels(self.decoded(source, max_pixels))

    def decoded(self, source: Source, max_pixels: int | None = None) -> Decoded:
        """The photo that `pixels` are made of, of the same `source` and with the same `max_pixels`."""
        return self._read(source, False, max_pixels)

    def _read(self, source: Source, all_pixels: bool, max_pixels: int | None = None) -> Decoded:
        if isinstance(source, Decoded):
            return source
        if isinstance(source, np.ndarray):
            source = image_of(source)
        min_size = 0 if all_pixels or self._engine.accepts_full_image else None
        return self.card.preprocess.read(source, min_side=min_size, max_pixels=max_pixels)

    def predict(self, source: Source) -> A:
        """Answer one photo.

        Parameters
        ----------
        source
            A path, the bytes of a file, an open file, a PIL image, what `card.preprocess.read` made of one, or an array
            uint8 (H, W, 3) or (H, W), 0..255.

        Returns
        -------
        Answer
            That of the task: a `Prediction`, where answers are classes.

        Raises
        ------
        UnreadableImage
            The file cannot be decoded; a `DataError`.
        UsageError
            An array of another shape or dtype.
        """
        return self.answer(source, next(self.rows_of([self.input(source)])))

    def predict_many(
        self, sources: Iterable[Source], batch: int = BATCH, workers: int | None = None
    ) -> Iterator[A | Failure]:
        """Answer a stream of photos, in its order, in constant memory.

        Parameters
        ----------
        sources
            As those of `predict`.
        batch
            Photos that are run together.
        workers
            Threads that each decode and run; None: one per core.

        Yields
        ------
        Answer or Failure
            As `predict`; a photo that cannot be read is a `Failure` in its place.
        """
        for source, row in self.rows(sources, batch, workers):
            yield row if isinstance(row, Failure) else self.answer(source, row)

    def rows(
        self, sources: Iterable[Source], batch: int = BATCH, workers: int | None = None, on_decoded: OnDecoded = None
    ) -> Iterator[tuple[Source, Row | Failure]]:
        """As `predict_many`, with its `sources`, `batch` and `workers`: each source with its row.

        `on_decoded` gets each source that is not cut into tiles and what was decoded of it, in the threads that decode.
        """
        compute = partial(self._rows, self._concurrent, batch)
        read = partial(stream, compute, partial(self._uncut, on_decoded=on_decoded), batch=batch, workers=workers)
        return read(sources) if self.tile is None else rows_in_tiles(sources, self._cut, read, self.task.suppression)

    def features(
        self, sources: Iterable[Source], batch: int = BATCH, workers: int | None = None
    ) -> Iterator[tuple[Source, Features | Failure]]:
        """As `predict_many` (`sources`, `batch`, `workers`), each source with its features: float32 (D,) of length 1.

        Raises
        ------
        ModelFileError
            The model gives none.
        """
        features_engine(self._engine)

        def compute(inputs: list[Input]) -> Iterator[Features]:
            return each(_features, self._concurrent, [pixels for one in inputs for pixels in one.parts])

        return stream(compute, self._uncut, sources, batch, workers)

    @cached_property
    def _concurrent(self) -> Engine:
        return self._engine.concurrent()

    def _uncut(self, source: Source, on_decoded: OnDecoded = None) -> Input | Failure:
        try:
            decoded = self._read(source, False)
            if on_decoded is not None:
                on_decoded(source, decoded)
            return self._input(Cut.of(decoded, None))
        except UserError as error:
            return Failure(_name(source), str(error))

    def _cut(self, source: Source) -> Cut | Failure | None:
        """The tiles of a photo; None of one that is not cut."""
        try:
            return Cut.of(self._read(source, True), self.tile) if is_larger(source, self.tile) else None
        except UserError as error:
            return Failure(_name(source), str(error))

    def _pixels(self, decoded: Decoded) -> Pixels:
        return np.asarray(decoded.image) if self._engine.accepts_full_image else self.card.preprocess.pixels(decoded)

    def _input(self, cut: Cut) -> Input:
        parts = map(self._pixels, cut.parts)
        return Input(iter([next(parts)]) if len(cut.tiles) == 1 else parts, cut.tiles, cut.size)

    def _rows(self, engine: Engine, batch: int, inputs: list[Input]) -> Iterator[Row]:
        parts = chain.from_iterable(one.parts for one in inputs)
        groups = iter(lambda: list(islice(parts, batch)), [])
        rows = chain.from_iterable(each(self._together, engine, group) for group in groups)
        join = partial(joined, suppression=self.task.suppression)
        return (join(list(islice(rows, len(one.tiles))), one.tiles, one.size) for one in inputs)

    def _together(self, engine: Engine, pixels: Pixels) -> Iterator[Row]:
        if self.index is None and not self.keeps_features:
            return map(Row, engine(pixels))
        outputs, seen = features_engine(engine).with_features(pixels)
        alike = repeat(None) if self.index is None else self.index.likeness(seen)
        return map(Row, outputs, alike, seen.features)

    def answer(self, source: Source | None, row: Row) -> A:
        """What the `row` of the photo `source` says."""
        answer = self.task.answer(_name(source), row.outputs, self.card.classes)
        if row.size is not None:
            answer = self.task.with_size(answer, row.size)
        if row.likeness is None:
            return answer
        known = row.likeness.known
        return self.task.with_known(answer, known, row.likeness.nearest, is_accepted(known, self.accept))


def _as_expected(engine: Engine, card: ModelCard, origin: Origin) -> Engine:
    if engine.card != card:
        raise ModelFileError(f"{origin.path}: holds another model than it did when it was opened first; load it anew")
    return engine


def _features(engine: Engine, pixels: Pixels) -> Iterable[Features]:
    return features_engine(engine).with_features(pixels)[1].features


def _name(source: Source | None) -> str | None:
    return str(source) if isinstance(source, (str, Path)) else None
