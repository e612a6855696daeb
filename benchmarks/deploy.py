"""The exported file against eager torch and against its engine's own API: one thread, in turns.

    python benchmarks/deploy.py --prepare   # writes the files to measure: minutes
    python benchmarks/deploy.py             # measures them; prints and writes benchmarks/results/deploy.md

Networks of 1000 classes with random weights, which take as long as trained ones, at 224 pixels, one picture at a
time. Of each network all rows are open at once, each in a process of its own, and take turns, so that a busy moment
hits all alike:

* "eager torch": the network as torch runs it, a normalised float tensor in, logits out.
* "ours": the file that `mobilenets export` wrote, in the engine that `mobilenets.load` gives: uint8 in,
  probabilities out.
* "raw": the same file in the engine's own API, called as its documentation shows.
* "bare": the same file cut down to the network, float planes in, logits out, in the engine's own API.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from common import table, write_result

from mobilenets.arch import build
from mobilenets.benchmarking.latency import EFFORT, Row, take_turns
from mobilenets.benchmarking.worker import Task
from mobilenets.exporting.targets.table import TARGETS, exporter
from mobilenets.model_card import ModelCard, read_card
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.base import Engine
from mobilenets.runtime.registry import open_engine
from mobilenets.system.progress import Progress

WANTED = {"mobilenet_v2": 3.8, "mobilenet_v3_large": 3.0, "mobilenet_v3_small": 3.0}  # times as fast as eager torch
ENGINES = {"onnxruntime": "onnx", "openvino": "openvino"}  # and the target whose file each runs
ROUNDS = 10


class Called:
    """A function in the shape of an engine, for the process that measures."""

    accepts_full_image = False

    def __init__(self, card: ModelCard, call: Callable[[Any], Any]) -> None:
        self.card, self._call = card, call

    def __call__(self, pixels: Any) -> Any:
        """Run once."""
        return self._call(pixels)


def open_row(path: Path, name: str, threads: int | None, precision: str) -> Engine:
    """What a row measures: "eager torch", "ours ENGINE", "raw ENGINE" or "bare ENGINE"."""
    kind, _, engine = name.partition(" ")
    if kind == "ours":
        return open_engine(path, engine, threads, precision)
    card = read_card(path.parents[1] / "onnx" / "model.onnx")
    if kind == "raw":
        return Called(card, raw(path, engine, threads))
    shape = (1, card.preprocess.channels, card.preprocess.size, card.preprocess.size)
    planes = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    call = eager(card, planes, threads) if kind == "eager" else partial(raw(path, engine, threads), planes)
    return Called(card, lambda pixels: call())


def eager(card: ModelCard, planes: Any, threads: int | None) -> Callable[[], Any]:
    torch.set_num_threads(threads or 1)
    network, images = MobileNet(card.net).eval(), torch.from_numpy(planes)

    def call() -> Any:
        with torch.inference_mode():
            return network(images)

    return call


def raw(path: Path, engine: str, threads: int | None) -> Callable[[Any], Any]:
    if engine == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda image: session.run(None, {name: image})
    import openvino

    # Left to itself OpenVINO would compute in bfloat16, another arithmetic than that of the file it is compared with.
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(str(path), "CPU", options).create_infer_request()
    return lambda image: request.infer([image])[0]


def prepare(folder: Path) -> None:
    """Write FOLDER/NETWORK/{onnx,openvino,bare}/."""
    for name in WANTED:
        torch.manual_seed(0)
        model = MobileNet(build(name, num_classes=1000)).eval()
        card = ModelCard(name, model.net, tuple(map(str, range(1000))), Preprocess())
        for target in ENGINES.values():
            exporter(target)(model, card, new_file(folder / name / target, target))
        cut(folder / name / "onnx" / "model.onnx", new_file(folder / name / "bare", "onnx"))


def new_file(folder: Path, target: str) -> Path:
    folder.mkdir(parents=True)
    return folder / TARGETS[target].file


def cut(source: Path, path: Path) -> None:
    """The network alone: from what its first convolution reads to what its softmax reads."""
    nodes = onnx.load(source).graph.node
    first = next(node for node in nodes if node.op_type == "Conv")
    (last,) = (node for node in nodes if node.op_type == "Softmax")
    onnx.utils.extract_model(source, path, [first.input[0]], [last.input[0]])


def tasks_of(folder: Path, name: str) -> list[Task]:
    place = folder / name
    tasks = [Task(name, place / "onnx" / "model.onnx", "eager torch", 1, 1)]
    for engine, target in ENGINES.items():
        file = place / target / TARGETS[target].file
        tasks += [Task(name, file, f"ours {engine}", 1, 1), Task(name, file, f"raw {engine}", 1, 1)]
        tasks.append(Task(name, place / "bare" / "model.onnx", f"bare {engine}", 1, 1))
    return tasks


def measure(folder: Path) -> dict[tuple[str, str], Row]:
    """Rows by network and name."""
    rows: dict[tuple[str, str], Row] = {}
    tasks = {name: tasks_of(folder, name) for name in WANTED}
    with Progress("measuring", sum(len(t) for t in tasks.values()) * (ROUNDS + 1), "turn") as progress:
        for name, some in tasks.items():
            measured = take_turns(some, None, replace(EFFORT, rounds=ROUNDS), progress, open=open_row)
            rows |= {(name, task.engine): row for task, row in zip(some, measured, strict=True)}
    return rows


def report(rows: dict[tuple[str, str], Row]) -> str:
    latencies: list[list[object]] = []
    ratios: list[list[object]] = []
    for name, wanted in WANTED.items():
        ms = {engine: row.median_ms for (network, engine), row in rows.items() if network == name}
        latencies += [
            [name, row.engine, f"{row.median_ms:.2f}", f"{row.p10_ms:.2f}", f"{row.p90_ms:.2f}"]
            for (network, _), row in rows.items()
            if network == name
        ]
        best = min(ENGINES, key=lambda engine: ms[f"ours {engine}"])
        ratios.append([
            name, f"{ms['eager torch'] / ms['ours onnxruntime']:.2f} ({wanted})", best,
            f"{ms[f'ours {best}'] / ms[f'raw {best}']:.3f} (1.05)",
            *(f"{ms[f'raw {engine}'] / ms[f'bare {engine}'] - 1:+.1%}" for engine in ENGINES),
        ])  # fmt: skip
    return f"""\
One thread, one picture of 224 pixels, medians over {ROUNDS} rounds in turns. In brackets what is wanted.

{
        table(
            [
                "network",
                "our file in onnxruntime, times as fast as eager torch",
                "fastest engine",
                "ours / raw use of it",
                *(f"pre- and post-processing in {e} (3 %)" for e in ENGINES),
            ],
            ratios,
        )
    }

{table(["network", "what", "median ms", "p10", "p90"], latencies)}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepare", action="store_true", help="write the files to measure")
    parser.add_argument("--files", type=Path, default=Path("deploy-files"), metavar="DIR", help="where they lie")
    args = parser.parse_args()
    if args.prepare:
        prepare(args.files)
        return
    body = report(measure(args.files))
    write_result("deploy", "Exported files against eager torch and their engines", "python benchmarks/deploy.py", body,
                 "torch", "onnxruntime", "openvino")  # fmt: skip


if __name__ == "__main__":
    main()
