"""What 8 bits cost and gain: accuracy, probabilities, size and latency, every int8 target against its float file.

    python benchmarks/int8.py [RUN...] [--targets TARGET...] [--work DIR] [--result NAME]   # 8-bit files, compared
    python benchmarks/int8.py --latency [--work DIR] [--result NAME]        # measures them, a minute on an idle machine

The first command writes benchmarks/results/int8_answers.md (NAME_answers.md), the second int8.md (NAME.md). RUN is one
on any data, for example a linear probe: `mobilenets train cells.csv --recipe probe --val 0.25 --seed 1 --out
cells-v2-1`. Without one, three on solar cells are trained, which takes half an hour: MobileNetV2 as `mobilenets demo`
does (6 epochs, torchvision's weights), V3-Large (20 epochs) and V3-Small (30) from random weights at 128 pixels. What
WORK holds already is not made again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import table, write_result

from mobilenets.benchmarking.latency import measure, size_of
from mobilenets.benchmarking.worker import Task
from mobilenets.exporting.images import SampleImage, read_images
from mobilenets.exporting.int8.calibration import read_calibration
from mobilenets.exporting.targets.table import INT8_TARGETS, TARGETS, exporter, quantizer
from mobilenets.nn.io import open_network
from mobilenets.runtime.base import Engine
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.registry import open_engine
from mobilenets.system.files import write_atomic
from mobilenets.training.run import train
from mobilenets.training.run_data import open_splits
from mobilenets.training.settings import read_config
from mobilenets.verbs import demo

CHOSEN = tuple(target for target in INT8_TARGETS if target != "web")  # its model is that of onnx
FROM_RANDOM: dict[str, Any] = {
    "weights": "none",
    "recipe": "finetune",
    "size": 128,
    "crop": 1.0,
    "any_orientation": True,
}
LITTLE_CROPPED = {"lr": 0.002, "augment.crop_scale": (0.75, 1.0)}
NETWORKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # settings, changes of the recipe
    demo.MODEL: (demo.SETTINGS | {"weights": demo.WEIGHTS, "epochs": 6}, demo.CHANGES | {"freeze": 4}),
    "mobilenet_v3_large": (FROM_RANDOM | {"epochs": 20}, LITTLE_CROPPED),
    "mobilenet_v3_small": (FROM_RANDOM | {"epochs": 30}, LITTLE_CROPPED),
}
ANSWERS = "answers.json"  # beside the 8-bit file: how its answers differ
ANSWERS_HEADER = ["network", "target", "accuracy", "in 8 bits", "points", "same", "off", "largest"]
HEADER = [
    *ANSWERS_HEADER, "MB", "in 8 bits", "ratio", "ms", "in 8 bits", "times as fast",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    parser.add_argument("--targets", nargs="+", choices=CHOSEN, default=CHOSEN, help="default: all")
    parser.add_argument("--work", type=Path, default=Path("int8-work"), metavar="DIR", help="kept between starts")
    parser.add_argument("--result", default="int8", metavar="NAME", help="of the result (default %(default)s)")
    parser.add_argument("--latency", action="store_true", help="measure what was written, and write the result")
    args = parser.parse_args()
    if args.latency:
        written = sorted(args.work.glob(f"*/*-int8/{ANSWERS}"))
        if not written:
            parser.error(f"{args.work}: nothing to measure; run without --latency first")
        tell([measured(answers) for answers in written], args.result)
        return
    for run in args.runs or trained(args.work):
        compare(run, args.targets, args.work / run.name)
    tell_answers(
        [json.loads(answers.read_text("utf-8")) for answers in args.work.glob(f"*/*-int8/{ANSWERS}")], args.result
    )


def trained(work: Path) -> Iterator[Path]:
    work.mkdir(parents=True, exist_ok=True)
    data = demo.write_csv(work / "cells.csv")
    for name, (settings, changes) in NETWORKS.items():
        folder = work / "runs" / name
        if not (folder / "metrics.json").exists():
            train(data, folder, changes, model=name, val=demo.VAL_FRACTION, **settings)
        yield folder


def compare(run: Path, targets: tuple[str, ...], folder: Path) -> None:
    """Write the 8-bit files of `run` into `folder`, and beside each what the whole validation part shows."""
    settings, _ = read_config(run / "config.yaml")
    splits = open_splits(run, settings)
    network = opened(run)
    preprocess = network.card.preprocess
    calibration = read_calibration(preprocess, splits.train)
    pictures = list(read_images(preprocess, splits.val, len(splits.val), "validation photographs"))
    labels = np.array([picture.label for picture in pictures])
    wanted = probabilities(network, pictures)
    for target in targets:
        file = folder / f"{target}-int8" / TARGETS[target].file
        if file.with_name(ANSWERS).exists():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        quantizer(target)(network.model, network.card, file, calibration)
        given = probabilities(open_engine(file, str(TARGETS[target].engine)), pictures)
        off = np.abs(given - wanted).max(1)
        answers = {
            "run": run.name,
            "path": str(run.absolute()),
            "network": network.card.net.name,
            "pixels": preprocess.size,
            "target": target,
            "n": len(labels),
            "before": float((wanted.argmax(1) == labels).mean()),
            "after": float((given.argmax(1) == labels).mean()),
            "same": float((given.argmax(1) == wanted.argmax(1)).mean()),
            "off": float(off.mean()),
            "largest": float(off.max()),
        }
        print(answers, flush=True)
        write_atomic(file.with_name(ANSWERS), json.dumps(answers, indent=1) + "\n")


def probabilities(engine: Engine, pictures: list[SampleImage]) -> Any:
    return np.concatenate([engine(picture.pixels[None]) for picture in pictures])


def opened(run: Path) -> TorchEngine:
    network = open_network(run)
    return TorchEngine(network.model, network.card)


def measured(answers: Path) -> dict[str, Any]:
    """`answers` with sizes and latencies of the float file, written here, and the 8-bit file, which take turns."""
    row: dict[str, Any] = json.loads(answers.read_text(encoding="utf-8"))
    target = TARGETS[row["target"]]
    files = [answers.parents[1] / name / target.file for name in (row["target"], f"{row['target']}-int8")]
    if not files[0].exists():
        files[0].parent.mkdir(parents=True, exist_ok=True)
        network = opened(Path(row["path"]))
        exporter(row["target"])(network.model, network.card, files[0])
    threads = None if target.engine == "executorch" else 1  # it takes no number
    times = measure([Task(row["network"], file, str(target.engine), threads, 1) for file in files])
    return row | {"ms": [time.median_ms for time in times], "mb": [size_of(file) / 1e6 for file in files]}


COMPARED = """\
Calibrated with 300 photographs of the training part, compared on all of the validation part.
*Same*: share of photographs that get the float network's class. *Off*: distance of a probability from the float
network's, the largest over classes, mean over photographs; *largest*: the largest over photographs too."""
PACKAGES = (
    "torch", "onnxruntime", "openvino", "nncf", "executorch", "torchao", "ai-edge-litert", "ai-edge-quantizer",
)  # fmt: skip


def tell_answers(rows: list[dict[str, Any]], name: str) -> None:
    body = f"{COMPARED}\n\n{table(ANSWERS_HEADER, [answers_cells(row) for row in in_order(rows)])}"
    write_result(f"{name}_answers", "8-bit integers: answers", "python benchmarks/int8.py", body, *PACKAGES)


def tell(rows: list[dict[str, Any]], name: str) -> None:
    body = f"""\
{COMPARED} *ms*: one photograph, one thread (ExecuTorch chooses its threads itself), the float file and the 8-bit file
in turns, each in its own process.

{table(HEADER, [cells(row) for row in in_order(rows)])}"""
    write_result(name, "8-bit integers", "python benchmarks/int8.py --latency", body, *PACKAGES)


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["network"], row["run"], CHOSEN.index(row["target"])))


def answers_cells(row: dict[str, Any]) -> list[object]:
    return [
        f"{row['run']}: {row['network']}, {row['pixels']} px, {row['n']} photos", row["target"],
        f"{row['before']:.4f}", f"{row['after']:.4f}",
        f"{100 * (row['after'] - row['before']):+.1f}", f"{row['same']:.3f}", f"{row['off']:.4f}",
        f"{row['largest']:.3f}",
    ]  # fmt: skip


def cells(row: dict[str, Any]) -> list[object]:
    (before, after), (large, small) = row["ms"], row["mb"]
    return [
        *answers_cells(row),
        f"{large:.2f}", f"{small:.2f}", f"{small / large:.3f}",
        f"{before:.2f}", f"{after:.2f}", f"{before / after:.2f}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
