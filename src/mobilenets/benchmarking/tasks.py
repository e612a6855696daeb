"""What `bench MODEL` measures: every file of the model in every installed engine that runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from mobilenets.arch import DETECTORS, NAMES, Net, build
from mobilenets.benchmarking.worker import Task
from mobilenets.errors import MissingExtraError, ModelFileError, UsageError
from mobilenets.model_card import CLASSIFY, DETECT, ModelCard
from mobilenets.runtime.base import FLOAT, HALF
from mobilenets.runtime.registry import KINDS, SUFFIXES, find_half


def tasks_of(
    model: str,
    engines: Sequence[str],
    threads: int | None,
    batch: int,
    scratch: Path,
    precision: str = FLOAT,
) -> list[Task]:
    """The tasks of MODEL; of a run folder also those of its exports.

    A published name is measured with random weights, which does not change its speed; its files are written
    into `scratch`. `engines`: only these; none: all that are installed. `precision`: "float32", "half", or "auto":
    both, where an engine has half precision here.

    Raises
    ------
    UserError
        No such model or engine, or nothing that runs it, or not so, is installed.
    """
    for name in engines:
        if name not in KINDS:
            raise UsageError(f"--engine {name}: no such engine; choose of {', '.join(KINDS)}")
    wanted = list(engines) or [name for name, kind in KINDS.items() if find_spec(kind.module)]
    path = Path(model)
    if not path.exists() and model in NAMES + DETECTORS:
        files = _random_files(model, scratch)
    elif path.is_dir():
        files = [f for s in SUFFIXES for f in [*path.glob(f"model{s}"), *sorted(path.glob(f"exports/*/model{s}"))]]
    else:
        files = [path]
    tasks = [
        Task(model, file, engine, threads, batch, how)
        for file in files
        for engine in wanted
        if file.suffix in KINDS[engine].suffixes
        for how in _precisions(engine, precision)
    ]
    if not path.exists() and model not in NAMES + DETECTORS:
        raise ModelFileError(f"{model}: no such file, folder or published name; 'mobilenets models' lists the names")
    if not tasks:
        how = " in half precision; leave --precision out" if precision == HALF else ""
        raise ModelFileError(f"{model}: nothing there that {' or '.join(wanted)} can run{how}")
    return tasks


def _precisions(engine: str, precision: str) -> list[str]:
    if precision == "auto":
        return [FLOAT, HALF] if find_half(engine) else [FLOAT]
    return [precision] if precision == FLOAT or KINDS[engine].open_half else []


def _random_files(name: str, scratch: Path) -> list[Path]:
    """`name` at its published size with random weights: as `.onnx` and as `.safetensors`."""
    folder = scratch / name
    folder.mkdir()
    return write_random(build(name), None, [folder / "model.onnx", folder / "model.safetensors"])


def write_random(net: Net, size: int | None, files: Sequence[Path]) -> list[Path]:
    """Write `net` with random weights, for pictures of `size` pixels (None: what is usual), into each of `files`.

    Raises
    ------
    UserError
        `torch`, or what writes one of the files, is not installed.
    """
    try:
        from mobilenets.exporting.targets.onnx import write_onnx
        from mobilenets.nn.io import write_network
        from mobilenets.nn.network import make_network
    except ModuleNotFoundError as missing:
        raise MissingExtraError(
            f"{net.name}: building it needs {missing.name}; run: pip install 'mobilenets[train]'"
        ) from None

    network = make_network(net).eval()
    is_detector = net.name in DETECTORS  # one of its outputs is the background
    classes = tuple(map(str, range(net.num_classes - is_detector)))
    preprocess = replace(network.preprocess, size=size or network.preprocess.size)
    card = ModelCard(net.name, net, classes, preprocess, task=DETECT if is_detector else CLASSIFY)
    for file in files:
        if file.suffix == ".onnx":
            write_onnx(network, card, file)
        else:
            write_network(file, network, card)
    return list(files)
