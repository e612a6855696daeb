"""A trained model on disk, opened: a run folder or a file becomes a `Classifier`, or what answers another task."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import Any

from mobilenets.errors import ModelFileError, UsageError
from mobilenets.model_card import CLASSIFY, read_card
from mobilenets.runtime.base import FLOAT, HALF, Engine, features_engine, has_features
from mobilenets.runtime.classifier import Classifier
from mobilenets.runtime.index_file import find_index, need_index
from mobilenets.runtime.predictor import Predictor
from mobilenets.runtime.registry import KINDS, PRECISIONS, SUFFIXES, open_engine
from mobilenets.tasks import task_of

log = logging.getLogger(__name__)

ENGINES = ("auto", *KINDS)
_NOT_HERE = {
    ".mlpackage": "Core ML runs on Apple's systems, in Apple's programs",
    ".pt2": "loading one would run expressions of the file, so only programs that trust it should",
}


def predictor_of(engine: Engine, accept: float | None = None) -> Predictor[Any]:
    """What answers with `engine`: a `Classifier`, where answers are classes; `accept` is that of `load`.

    Raises
    ------
    UserError
        An index beside the engine's file that is damaged or of another network, or none for `accept`.
    """
    if accept is not None and not 0 < accept <= 1:
        raise UsageError(f"--accept: {accept:g} is no fraction of the known photos; use one above 0 and up to 1")
    if accept is not None and task_of(engine.card).has_boxes:
        raise UsageError(f"--accept: {engine.card.name} finds boxes, and knows no photos to be like; leave it out")
    kind: type[Predictor[Any]] = Classifier if engine.card.task == CLASSIFY else Predictor
    path = engine.origin.path if engine.origin is not None else Path(engine.card.name)
    if accept is not None:
        return kind(features_engine(engine), need_index(path, engine.card), accept)
    index = find_index(path, engine.card)
    if index is not None and not has_features(engine):
        log.warning("%s: gives no features, so nothing is told to be unknown", path)
        index = None
    return kind(engine, index)


def load(
    path: str | Path,
    engine: str = "auto",
    threads: int | None = None,
    precision: str = FLOAT,
    accept: float | None = None,
) -> Predictor[Any]:
    """Open a run folder or a file to predict with; no torch is needed for a run folder.

    Parameters
    ----------
    path
        A run folder, a `.onnx`, a `.safetensors` or another exported file.
    engine
        "onnxruntime", "openvino", "torch", "executorch", "litert" or "ncnn"; "auto": the fastest that is installed and
        runs this file, and of a run folder the `.onnx`.
    threads
        Of the engine, 1 or more; None: one per core.
    precision
        "float32"; "half", bfloat16 or float16 arithmetic in OpenVINO, on processors that have it; or "auto", half where
        that is faster here, which is then logged.
    accept
        Of known photos the fraction that is taken for known, above 0 and up to 1 (None: 0.95), where an index of the
        training photos lies beside the file; the label of others is None.

    Returns
    -------
    Classifier or Predictor
        A `Classifier`, where answers are classes.

    Raises
    ------
    ModelFileError
        Nothing there, not one of these files, a damaged one, or `accept` for a model without an index.
    UsageError
        An engine that does not run this file, or half precision where engine or processor has none.
    MissingExtraError
        The engine is not installed.

    Examples
    --------
    >>> import mobilenets as mn
    >>> classifier = mn.load("runs/photos")
    >>> answer = classifier.predict("rose.jpg")
    >>> len(answer.top), round(sum(probability for _, probability in answer.top), 3)
    (3, 1.0)
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
        return predictor_of(open_engine(file, engine, threads, HALF), accept)
    if engine == "auto" or precision == "auto":
        from mobilenets.runtime.autoselect import open_fastest

        return predictor_of(open_fastest(file, threads, engine=engine, precision=precision), accept)
    return predictor_of(open_engine(file, engine, threads), accept)


def load_for_one(path: str | Path, threads: int | None = None, accept: float | None = None) -> Predictor[Any]:
    """As `load`, for a single picture: of the engines that run the file the one that starts the soonest.

    Of a `.onnx` that is onnxruntime. Starting OpenVINO takes longer than it saves in hundreds of pictures.
    """
    file = _model_file(Path(path), "auto")
    name = next(name for name, kind in KINDS.items() if file.suffix in kind.suffixes)
    return predictor_of(open_engine(file, name, threads), accept)


def onnx_file(path: str | Path) -> Path:
    """The `.onnx` of a run folder, or the file itself.

    Raises
    ------
    UserError
        It is none that this package wrote.
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
            is_stopped = (path / "config.yaml").exists() and (path / "checkpoint").is_dir()
            resume = f"go on with its training: mobilenets train --resume --out {shlex.quote(str(path))}"
            remedy = resume if is_stopped else "give a run folder or an exported one"
            raise ModelFileError(f"{path}: holds no {names}; {remedy}")
        return found[0]
    if path.suffix in _NOT_HERE:
        raise ModelFileError(f"{path}: {_NOT_HERE[path.suffix]}; use the run's .onnx or .safetensors")
    if path.suffix not in SUFFIXES:
        raise ModelFileError(f"{path}: not a model this runs; give a run folder or a file of {', '.join(SUFFIXES)}")
    return path
