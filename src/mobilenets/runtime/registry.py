"""Which engine runs which file, and how one is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mobilenets.errors import MissingExtraError, ModelFileError, UsageError
from mobilenets.runtime.base import FLOAT, HALF, Engine, Origin, check_threads
from mobilenets.system.quiet import no_output


def _onnxruntime(path: Path, threads: int | None) -> Engine:
    from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(path, threads)


def _openvino(path: Path, threads: int | None) -> Engine:
    from mobilenets.runtime.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(path, threads)


def _openvino_half(path: Path, threads: int | None) -> Engine:
    from mobilenets.runtime.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(path, threads, precision=HALF)


def _torch(path: Path, threads: int | None) -> Engine:
    from mobilenets.runtime.engines.torch import TorchEngine

    return TorchEngine.read(path, threads)


def _executorch(path: Path, threads: int | None) -> Engine:
    from mobilenets.runtime.engines.executorch import ExecuTorchEngine

    return ExecuTorchEngine(path, threads)


def _litert(path: Path, threads: int | None) -> Engine:
    from mobilenets.runtime.engines.litert import LiteRtEngine

    return LiteRtEngine(path, threads)


def _ncnn(path: Path, threads: int | None) -> Engine:
    from mobilenets.runtime.engines.ncnn import NcnnEngine

    return NcnnEngine(path, threads)


@dataclass(frozen=True)
class Kind:
    """What an engine runs, the module it needs and the extra that brings it ("": the base install).

    `open_half`: opens a file to be computed in half precision; None: this engine is not asked to. `takes_threads`:
    their number can be told; else it chooses them itself.
    """

    open: Callable[[Path, int | None], Engine]
    suffixes: tuple[str, ...]
    module: str
    extra: str
    open_half: Callable[[Path, int | None], Engine] | None = None
    takes_threads: bool = True


KINDS = {
    "onnxruntime": Kind(_onnxruntime, (".onnx",), "onnxruntime", ""),
    "openvino": Kind(_openvino, (".onnx", ".xml"), "openvino", "openvino", _openvino_half),
    "torch": Kind(_torch, (".safetensors",), "torch", "train"),
    "executorch": Kind(_executorch, (".pte",), "executorch", "executorch", takes_threads=False),
    "litert": Kind(_litert, (".tflite",), "ai_edge_litert", "litert"),
    "ncnn": Kind(_ncnn, (".param",), "ncnn", "ncnn"),
}
SUFFIXES = tuple(dict.fromkeys(suffix for kind in KINDS.values() for suffix in kind.suffixes))


PRECISIONS = (FLOAT, HALF, "auto")


def find_half(name: str) -> str | None:
    """What half precision is in the engine `name` here: "bfloat16" or "float16"; None: there is none."""
    if KINDS[name].open_half is None or find_spec(KINDS[name].module) is None:
        return None
    with no_output():
        from mobilenets.runtime.engines.openvino import find_half  # the only one with `open_half`

        return find_half()


def open_engine(path: Path, name: str, threads: int | None = None, precision: str = FLOAT) -> Engine:
    """`path` in the engine `name`, computing in `precision` ("float32", "half"), without what its library prints.

    Raises
    ------
    UserError
        The engine is not installed, it does not run this file or not so, the file is damaged, or too many threads.
    """
    check_threads("--threads", threads)
    kind = KINDS[name]
    open_ = kind.open_half if precision == HALF else kind.open
    if open_ is None:
        able = " or ".join(engine for engine, other in KINDS.items() if other.open_half)
        raise UsageError(f"{path}: {name} has no half precision here; use --engine {able}, or leave --precision out")
    if path.suffix not in kind.suffixes:
        raise UsageError(f"{path}: {name} runs {' and '.join(kind.suffixes)}; leave --engine out")
    try:
        with no_output():
            engine = open_(path, threads)
    except ModuleNotFoundError as missing:
        raise MissingExtraError(
            f"{path}: running it needs {missing.name}; run: pip install 'mobilenets[{kind.extra}]'"
        ) from None
    except UnicodeDecodeError as error:  # a name or the card, on its way out of an engine in C++
        raise ModelFileError(f"{path}: the text in it cannot be read: it is damaged; export it again") from error
    engine.origin = Origin(path.absolute(), name, threads, precision)
    return engine
