"""Every export target on MobileNet V1 to V3, verified in its own runtime on real photographs.

    python benchmarks/targets.py --network mobilenet_v1   # one after another, in any order
    python benchmarks/targets.py                          # those that are left

The photographs are the demo's solar cells. A network without a run (`--run NETWORK=FOLDER`) is trained for a short
time first. Every export is a file in WORK/rows/ as soon as it is verified, so that a stopped script goes on where it
was, and two can share the work; benchmarks/results/targets.md is written from all of them at the end.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import table, write_result

from mobilenets.arch import NAMES
from mobilenets.data.sample import Sample
from mobilenets.data.sources.read import read_splits
from mobilenets.exporting.int8.calibration import read_calibration
from mobilenets.exporting.job import export
from mobilenets.exporting.targets.table import INT8_TARGETS, TARGETS, Export, exporter, quantizer
from mobilenets.exporting.verify import FLOAT, INT8
from mobilenets.nn.io import open_network
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.system.files import write_atomic
from mobilenets.training.run import train
from mobilenets.verbs.demo import VAL_FRACTION, write_csv

# V4 is left out: it is built of layers that the others have too.
NETWORKS = tuple(name for name in NAMES if not name.startswith("mobilenet_v4"))
CHOSEN = tuple(target for target in TARGETS if target != "web")  # its model is that of onnx
SHORT: dict[str, Any] = {"weights": "none", "recipe": "scratch", "any_orientation": True, "crop": 1.0, "size": 128}
Rows = dict[str, dict[str, Any]]  # "NETWORK TARGET PRECISION" → verify.json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, action="append", help="only this one; repeat for more")
    parser.add_argument("--run", action="append", default=[], metavar="NETWORK=FOLDER", help="a trained run of it")
    parser.add_argument("--work", type=Path, default=Path("targets-work"), metavar="DIR", help="kept between starts")
    parser.add_argument("--precision", choices=(FLOAT, INT8), action="append", help="only this one")
    parser.add_argument("--epochs", type=int, default=3, help="of a network that has no run")
    parser.add_argument("--pictures", type=int, default=164, help="validation photographs to compare on")
    args = parser.parse_args()
    (args.work / "rows").mkdir(parents=True, exist_ok=True)
    runs = dict(item.split("=", 1) for item in args.run)
    for name in args.network or NETWORKS:
        network = open_network(run_of(name, runs.get(name), args.work, args.epochs))
        for precision in args.precision or (FLOAT, INT8):
            for target in CHOSEN if precision == FLOAT else (t for t in INT8_TARGETS if t in CHOSEN):
                verify_one(network, name, target, precision, args.work, args.pictures)
    write(read_rows(args.work))


def data_of(work: Path) -> Path:
    return work / "cells.csv" if (work / "cells.csv").exists() else write_csv(work / "cells.csv")


def run_of(name: str, given: str | None, work: Path, epochs: int) -> Path:
    if given is not None:
        return Path(given)
    folder = work / name
    if not (folder / "metrics.json").exists():
        train(data_of(work), folder, model=name, epochs=epochs, val=VAL_FRACTION, seed=0, **SHORT)
    return folder


def verify_one(network: TorchEngine, name: str, target: str, precision: str, work: Path, pictures: int) -> None:
    key = f"{name} {target} {precision}"
    if key in read_rows(work):
        return
    splits = read_splits(data_of(work), val=VAL_FRACTION, seed=0)
    write_file = exporter(target) if precision == FLOAT else quantizing(network, target, splits.train)
    chosen = splits.val[:: max(1, len(splits.val) // pictures)]
    with tempfile.TemporaryDirectory() as scratch:
        _, result = export(network, target, write_file, Path(scratch, "out"), chosen, precision)
        row = json.loads(Path(scratch, "out", "verify.json").read_text(encoding="utf-8"))
    row |= {"agrees": result.agrees, "pixels": network.card.preprocess.size}
    write_atomic(work / "rows" / f"{key}.json", json.dumps(row, indent=1) + "\n")


def quantizing(network: TorchEngine, target: str, samples: Sequence[Sample]) -> Export:
    quantize, calibration = quantizer(target), read_calibration(network.card.preprocess, samples)
    return lambda model, card, path: quantize(model, card, path, calibration)


def read_rows(work: Path) -> Rows:
    files = (work / "rows").glob("*.json")
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def write(rows: Rows) -> None:
    lines: list[list[object]] = []
    for name in NETWORKS:
        for precision in (FLOAT, INT8):
            for target in CHOSEN:
                row = rows.get(f"{name} {target} {precision}")
                if row is not None:
                    lines.append([name, row["pixels"], target, precision, *cells(row)])
    columns = [
        "network", "pixels", "target", "precision", "photographs", "same class", "largest difference of a probability",
        "accuracy before", "after", "MB", "agrees",
    ]  # fmt: skip
    body = f"""\
{len(lines)} exports, each run in its own runtime beside the network it came from, on photographs of solar cells.
Networks of which a run was at hand (`--run`) are that run's, the others were trained from nothing for a few epochs: the
accuracy is that of a network whose answers are compared, not of the family. "agrees": at least 99.9 % in the same class
and no probability more than 0.001 off, which is asked of float files. What is fast is in deploy.md and int8.md.

{table(columns, lines)}"""
    write_result("targets", "Export targets, verified", "python benchmarks/targets.py", body, "torch", "onnxruntime",
                 "openvino", "executorch", "ai-edge-litert", "ncnn", "coremltools")  # fmt: skip


def cells(row: dict[str, Any]) -> list[object]:
    megabytes = f"{row['bytes'] / 1e6:.1f}"
    if not row["ran"]:
        return ["", "not run here", "", "", "", megabytes, ""]
    return [
        row["n"], f"{row['top1_agreement']:.4f}", f"{row['max_probability_difference']:.1e}",
        f"{row['accuracy_before']:.4f}", f"{row['accuracy_after']:.4f}", megabytes,
        ("yes" if row["agrees"] else "NO") if row["precision"] == FLOAT else "",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
