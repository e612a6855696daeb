"""A trained model on disk, opened: a run folder or a file becomes a `Classifier`, or what answers another task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobilenets.errors import ModelFileError, UsageError
from mobilenets.model_card import CLASSIFY, read_card
from mobilenets.runtime.base import FLOAT, HALF, Engine
from mobilenets.runtime.classifier import Classifier
from mobilenets.runtime.predictor import Predictor
from mobilenets.runtime.registry import KINDS, PRECISIONS, SUFFIXES, open_engine

ENGINES = ("auto", *KINDS)
_NOT_HERE = {
    ".mlpackage": "Core ML runs on Apple's systems, in Apple's programs",
    ".pt2": "loading one would run expressions of the file, so only programs that trust it should",
}


def predictor_of(engine: Engine) -> Predictor[Any]:
    """What answers with `engine`: a `Classifier`, where answers are classes."""
    return Classifier(engine) if engine.card.task == CLASSIFY else Predictor(engine)


def load(path: str | Path, engine: str = "auto", threads: int | None = None, precision: str = FLOAT) -> Predictor[Any]:
    """Open a run folder, a `.onnx`, a `.safetensors` or another exported file; a `Classifier`, if answers are classes.

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
        return predictor_of(open_engine(file, engine, threads, HALF))
    if engine == "auto" or precision == "auto":
        from mobilenets.runtime.autoselect import open_fastest

        return predictor_of(open_fastest(file, threads, engine=engine, precision=precision))
    return predictor_of(open_engine(file, engine, threads))


def load_for_one(path: str | Path, threads: int | None = None) -> Predictor[Any]:
    """As `load`, for a single picture: of the engines that run the file the one that starts the soonest.

    Of a `.onnx` that is onnxruntime. Starting OpenVINO takes longer than it saves in hundreds of pictures.
    """
    file = _model_file(Path(path), "auto")
    return predictor_of(
        open_engine(file, next(n for n, kind in KINDS.items() if file.suffix in kind.suffixes), threads)
    )


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
