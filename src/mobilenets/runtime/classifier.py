"""A trained classifier in use: pictures in, names and probabilities out."""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenets.errors import ModelFileError, UsageError, UserError
from mobilenets.model_card import ModelCard, read_card
from mobilenets.preprocess.decode import Decoded
from mobilenets.runtime.base import FLOAT, HALF, Engine, Origin, Pixels, Probabilities, available_cores
from mobilenets.runtime.registry import KINDS, PRECISIONS, SUFFIXES, open_engine

ENGINES = ("auto", *KINDS)
_NOT_HERE = {
    ".mlpackage": "Core ML runs on Apple's systems, in Apple's programs",
    ".pt2": "loading one would run expressions of the file, so only programs that trust it should",
}
Source = str | Path | bytes | BinaryIO | Image.Image | Decoded | NDArray[np.uint8]

# Per picture onnxruntime takes the same time for 1 to 4 at a time and more for 8, torch a third less for 4 than for 1;
# Python's part, which threads cannot share, is smaller for 4 than for 1.
BATCH = 4


@dataclass(frozen=True)
class Prediction:
    """What one picture shows: the best class, and all of them with their probabilities, best first."""

    path: str | None
    label: str
    probability: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Failure:
    """A picture that could not be read, and why."""

    path: str | None
    error: str


def load(path: str | Path, engine: str = "auto", threads: int | None = None, precision: str = FLOAT) -> Classifier:
    """Open a run folder, a `.onnx`, a `.safetensors` or another exported file.

    `engine`: one of `ENGINES`; "auto" takes the fastest of those installed that run this file, and of a run
    folder the `.onnx`, for which no torch is needed. `threads`: None for one per core.
    `precision`: "float32"; "half", bfloat16 or float16 arithmetic in OpenVINO, on processors that have it; or "auto",
    half where that is faster here, which is then told in a line.

    Raises:
        UserError: nothing there, not one of these files, an engine that does not run it, or half precision where
            engine or processor has none.
    """
    if engine not in ENGINES:
        raise UsageError(f"engine: {engine!r} is not one of {', '.join(ENGINES)}")
    if precision not in PRECISIONS:
        raise UsageError(f"precision: {precision!r} is not one of {', '.join(PRECISIONS)}")
    file = _model_file(Path(path), engine)
    if precision == HALF:
        if engine == "auto":
            from mobilenets.runtime.autoselect import half_engine

            engine = half_engine(file)
        return Classifier(open_engine(file, engine, threads, HALF))
    if engine == "auto" or precision == "auto":
        from mobilenets.runtime.autoselect import open_fastest

        return Classifier(open_fastest(file, threads, engine=engine, precision=precision))
    return Classifier(open_engine(file, engine, threads))


def load_for_one(path: str | Path, threads: int | None = None) -> Classifier:
    """As `load`, for a single picture: of the engines that run the file the one that starts the soonest.

    Of a `.onnx` that is onnxruntime. Starting OpenVINO takes longer than it saves in hundreds of pictures.
    """
    file = _model_file(Path(path), "auto")
    return Classifier(open_engine(file, next(n for n, kind in KINDS.items() if file.suffix in kind.suffixes), threads))


def onnx_file(path: str | Path) -> Path:
    """The `.onnx` of a run folder, or the file itself.

    Raises:
        UserError: it is none that this package wrote.
    """
    file = _model_file(Path(path), "onnxruntime")
    if file.suffix != ".onnx":
        raise ModelFileError(f"{path}: workers run .onnx; give a run folder or its model.onnx")
    read_card(file)
    return file


def _model_file(path: Path, engine: str) -> Path:
    if not path.exists():
        raise ModelFileError(f"{path}: no such file or folder; give a run folder or a file of {', '.join(SUFFIXES)}")
    if path.is_dir() and path.suffix != ".mlpackage":
        wanted = SUFFIXES if engine == "auto" else KINDS[engine].suffixes
        found = [file for suffix in wanted if (file := path / f"model{suffix}").exists()]
        if not found:
            usual = (".onnx", ".safetensors") if engine == "auto" else wanted
            names = " or ".join(f"model{suffix}" for suffix in usual)
            raise ModelFileError(f"{path}: holds no {names}; give a run folder or an exported one")
        return found[0]
    if path.suffix in _NOT_HERE:
        raise ModelFileError(f"{path}: {_NOT_HERE[path.suffix]}; use the run's .onnx or .safetensors")
    if path.suffix not in SUFFIXES:
        raise ModelFileError(f"{path}: not a model this runs; give a run folder or a file of {', '.join(SUFFIXES)}")
    return path


class Classifier:
    """A model with its card: `predict` one picture, `predict_many` any number of them.

    Threads may share one. A copy, also one that is pickled for another process, opens the file again, in the same
    engine; so does a forked process at its first picture (what OpenVINO had of a `.onnx`, in onnxruntime). Such a
    process ends by `os._exit`, as those of multiprocessing do: on the usual way out onnxruntime waits for threads that
    were not forked.
    """

    def __init__(self, engine: Engine) -> None:
        self._opened, self._forked = engine, False
        _ALIVE.add(self)

    def __getstate__(self) -> dict[str, Any]:
        """The file and the card that is expected in it; of a network in memory, that."""
        origin = self._opened.origin
        return {"engine": self._opened} if origin is None else {"origin": origin, "card": self.card}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the file.

        Raises:
            UserError: it is not there, or holds another model by now.
        """
        engine = state.get("engine")
        if engine is None:
            origin: Origin = state["origin"]
            engine = _as_expected(
                open_engine(origin.path, origin.name, origin.threads, origin.precision), state["card"], origin
            )
        Classifier.__init__(self, engine)

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
        """Network, classes, preprocess, metrics, provenance."""
        return self._engine.card

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the outputs."""
        return self.card.classes

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """uint8 (N, size, size, C) from `card.preprocess.pixels` → float32 (N, K), rows summing to 1."""
        return self._engine(pixels)

    def probabilities_each(self, pictures: list[Pixels]) -> Iterator[Probabilities]:
        """A row (K,) for each of `pictures` as `pixels` gives them, run together where they are of one size."""
        return _each(self._engine, pictures)

    def pixels(self, source: Source, max_pixels: int | None = None) -> Pixels:
        """What the engine takes of one picture: uint8 (size, size, C), or all of it (H, W, 3) if it is `whole`.

        Raises:
            UnreadableImage: the file cannot be decoded, or more than `max_pixels` would have to be decoded.
        """
        picture = self.decoded(source, max_pixels)
        return np.asarray(picture.image) if self._engine.whole else self.card.preprocess.pixels(picture)

    def decoded(self, source: Source, max_pixels: int | None = None) -> Decoded:
        """The picture that `pixels` are made of.

        Raises:
            UnreadableImage: the file cannot be decoded, or claims more than `max_pixels`.
        """
        if isinstance(source, Decoded):
            return source
        if isinstance(source, np.ndarray):
            if source.dtype != np.uint8 or source.ndim not in (2, 3) or source.shape[2:] not in ((), (3,)):
                raise UsageError(f"array of {source.dtype} {source.shape}: give uint8 of shape (H, W, 3) or (H, W)")
            source = Image.fromarray(source)
        at_least = 0 if self._engine.whole else None
        return self.card.preprocess.read(source, at_least=at_least, max_pixels=max_pixels)

    def predict(self, source: Source) -> Prediction:
        """Classify one picture: a path, the bytes of a file, a PIL image, what `card.preprocess.read` made of one,
        or a uint8 array (H, W, 3).

        Raises:
            UnreadableImage: the file cannot be decoded.
        """
        return self.prediction(source, self.probabilities(self.pixels(source)[None])[0])

    def predict_many(
        self, sources: Iterable[Source], batch: int = BATCH, workers: int | None = None
    ) -> Iterator[Prediction | Failure]:
        """Classify a stream of pictures, in its order, in constant memory.

        `workers` threads (default: one per core) each decode `batch` pictures and run them; a picture that cannot be
        read becomes a `Failure` in its place.
        """
        for source, row in self.rows(sources, batch, workers):
            yield row if isinstance(row, Failure) else self.prediction(source, row)

    def rows(
        self, sources: Iterable[Source], batch: int = BATCH, workers: int | None = None
    ) -> Iterator[tuple[Source, Probabilities | Failure]]:
        """As `predict_many`: each source with its probabilities (K,) in the order of `classes`."""
        from concurrent.futures import Future, ThreadPoolExecutor

        workers = workers or available_cores()
        engine = self._concurrent
        remaining = iter(sources)
        pending: deque[Future[list[tuple[Source, Probabilities | Failure]]]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            try:
                while group := list(islice(remaining, batch)):
                    pending.append(pool.submit(self._run, engine, group))
                    if len(pending) >= 2 * workers:
                        yield from pending.popleft().result()
                while pending:
                    yield from pending.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _concurrent(self) -> Engine:
        return self._engine.concurrent()

    def _run(self, engine: Engine, sources: list[Source]) -> list[tuple[Source, Probabilities | Failure]]:
        decoded = [self._decoded(source) for source in sources]
        rows = _each(engine, [pixels for pixels in decoded if not isinstance(pixels, Failure)])
        return [
            (source, pixels if isinstance(pixels, Failure) else next(rows))
            for source, pixels in zip(sources, decoded, strict=True)
        ]

    def _decoded(self, source: Source) -> Pixels | Failure:
        try:
            return self.pixels(source)
        except UserError as error:
            return Failure(_name(source), str(error))

    def prediction(self, source: Source, row: Probabilities) -> Prediction:
        """Probabilities (K,) of one picture, by name."""
        top = tuple((self.classes[k], float(row[k])) for k in np.argsort(-row, kind="stable"))
        return Prediction(_name(source), *top[0], top)


def _as_expected(engine: Engine, card: ModelCard, origin: Origin) -> Engine:
    if engine.card != card:
        raise ModelFileError(f"{origin.path}: holds another model than it did when it was opened first; load it anew")
    return engine


# Everything that was opened and is in use; and in a forked process what it must not touch any more, nor take down:
# waiting for threads that are not there would never end.
_ALIVE: weakref.WeakSet[Classifier] = weakref.WeakSet()
_LEFT: list[object] = []


def _leave_to_parent() -> None:
    for classifier in list(_ALIVE):
        _LEFT.extend((classifier._opened, classifier.__dict__.pop("_concurrent", None)))
        classifier._forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


def _each(engine: Engine, pictures: list[Pixels]) -> Iterator[Probabilities]:
    """A row (K,) for each picture, run together where they are of one size."""
    if engine.whole:  # of sizes of their own
        return (engine(picture[None])[0] for picture in pictures)
    return iter(engine(np.stack(pictures)) if pictures else ())


def _name(source: Source) -> str | None:
    return str(source) if isinstance(source, (str, Path)) else None
