"""Detectors, trained: trees from the air; things cut out and pasted on photos; what photos without any are good for.

    python benchmarks/detect.py trees [--minutes 10] [--ways own anchors torchvision] [--data deepforest/data]
    python benchmarks/detect.py composites CLASS_FOLDERS [--minutes 10] [--count 600] [--backgrounds DIR] [--by-kind]
    python benchmarks/detect.py empty CLASS_FOLDERS [--minutes 10] [--count 600] [--backgrounds DIR] [--by-kind]

Trees: `deepforest` from PyPI carries aerial photos with boxes. Trained on tiles of one photo, tested on another one of
the same region and on one of another site: as mobilenets does, likewise with torchvision's anchors, as torchvision
does, and, with `--python`, Ultralytics' smallest (`detect_peers.py`). Latency: the ONNX file with NMS inside on one
thread, the least of 100 answers. Composites: `detect_composites.py` makes them. Empty: the same with as many photos
without an object, against the same without those; false alarms of both where 70 % of the objects are found.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from common import table, write_result
from detect_composites import write_composites
from PIL import Image
from torchvision_ssdlite import RECIPE, published_anchors, torchvision

import mobilenets as mn
from mobilenets.data.sources.read import read_samples
from mobilenets.tasks import TASKS
from mobilenets.tasks.detect import metrics
from mobilenets.tasks.detect.matching import average_precision, match_class
from mobilenets.tasks.detect.targets import Box, text_of
from mobilenets.tasks.detect.tiles import boxes_in, grid
from mobilenets.training.settings import read_config

DEEPFOREST = "deepforest==2.1.0"
TRAIN, SAME_REGION, OTHER_SITE = (
    "2019_YELL_2_528000_4978000_image_crop2",
    "2019_YELL_2_541000_4977000_image_crop",
    "OSBS_029",
)
TILE = 400
IOUS = np.array([0.4, 0.5])
ULTRALYTICS = "ultralytics"
WAYS = {"own": contextlib.nullcontext, "anchors": published_anchors, "torchvision": torchvision}


def deepforest(folder: Path) -> Path:
    """The photos of the package, fetched by pip; nothing of it is installed."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), DEEPFOREST]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("deepforest-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith("deepforest/data/")])
    return folder / "deepforest" / "data"


def tiles(data: Path, name: str, folder: Path) -> Path:
    """`folder/list.csv` with the tiles of a photo and their boxes."""
    from xml.etree import ElementTree

    folder.mkdir(parents=True)
    image = Image.open(data / f"{name}.png").convert("RGB")
    size = np.array(2 * image.size)
    root = ElementTree.parse(data / f"{name}.xml").getroot()
    boxes = []
    for found in root.iter("bndbox"):
        corners = np.array([float(found.findtext(key) or 0) for key in ("xmin", "ymin", "xmax", "ymax")])
        corners[:2] -= 1
        boxes.append(Box("tree", *(corners / size).clip(0, 1).tolist()))
    with (folder / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "boxes"])
        for i, tile in enumerate(grid(*image.size, TILE)):
            box = (tile.left, tile.top, tile.left + tile.width, tile.top + tile.height)
            image.crop(box).save(folder / f"{i:03d}.png")
            rows.writerow([f"{i:03d}.png", text_of(boxes_in(tile, boxes, *image.size))])
    return folder / "list.csv"


def found_in(run: Path, data: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Found boxes (N, 100, 6) and true ones (N, M, 6) of the photos of `data`, and the classes."""
    detector = mn.load(run, "torch")
    texts, samples = read_samples(data, None, None, task=detector.task)
    rows = [row.outputs for _, row in detector.rows(sample.open() for sample in samples)]
    truth = detector.task.targets(texts).reshape(len(texts), -1, 6)[samples.labels]
    return np.stack(rows), truth, detector.classes


def precisions(found: np.ndarray, truth: np.ndarray, classes: tuple[str, ...]) -> list[float]:
    """Mean AP at IoU 0.4 and 0.5, of `found_in`."""
    each = [average_precision(match_class(*part, IOUS)) for part in metrics.by_class(found, truth, len(classes))]
    return np.nanmean(each, 0).tolist()


def least_ms(file: Path) -> float:
    """Milliseconds of an ONNX file for a grey photo, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    kinds = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}
    feeds = {
        value.name: np.full([d if isinstance(d, int) else 1 for d in value.shape], 0.5, kinds[value.type])
        for value in session.get_inputs()
    }
    seconds = []
    for _ in range(100):
        begun = time.perf_counter()
        session.run(None, feeds)
        seconds.append(time.perf_counter() - begun)
    return 1000 * min(seconds)


def ultralytics(folder: Path, parts: dict[str, Path], args: argparse.Namespace) -> list[object]:
    """The row of Ultralytics' detector."""
    out = folder / f"run-{ULTRALYTICS}"
    script = Path(__file__).with_name("detect_peers.py")
    arguments = [args.minutes, out, *(parts[name].parent for name in (TRAIN, SAME_REGION, OTHER_SITE))]
    subprocess.run([str(args.python), str(script), *map(str, arguments)], check=True)
    answer = json.loads((out / "found.json").read_text())
    done = f"{answer['steps']} of 8 photos from random weights, {answer['seconds']:.0f} s"
    task, values = TASKS["detect"], []
    for name in (SAME_REGION, OTHER_SITE):
        texts, samples = read_samples(parts[name], None, None, task=task)
        truth = task.targets(texts).reshape(len(texts), -1, 6)[samples.labels]
        found = np.full((len(samples), 100, 6), -1.0, np.float32)
        for row, sample in zip(found, samples, strict=True):
            boxes = answer["found"][str(parts[name].parent)][sample.path.name][:100]
            row[: len(boxes)] = np.array(boxes, np.float32).reshape(-1, 6)
        values += precisions(found, truth, ("tree",))
    file = Path(answer["file"])
    return [ULTRALYTICS, done, "", *(f"{value:.3f}" for value in values), *_cost(file)]


def _cost(file: Path) -> list[str]:
    return [f"{least_ms(file):.1f}", f"{file.stat().st_size / 1e6:.1f}"]


def train(data: Path, out: Path, minutes: float, **options: Any) -> tuple[Any, str]:
    """The run, and what was done in which time."""
    begun = time.monotonic()
    run = mn.train(data, out=out, minutes=minutes, weights="torchvision-v1", model="mobilenet_v2", **options)
    recipe = read_config(run.path / "config.yaml")[1]
    done = f"{recipe.head_steps} + {recipe.steps} of {recipe.batch_size} photos, {time.monotonic() - begun:.0f} s"
    return run, done


def trees(folder: Path, args: argparse.Namespace) -> str:
    """AP of trees, by each way to train."""
    data = args.data or deepforest(folder)
    parts = {name: tiles(data, name, folder / name) for name in (TRAIN, SAME_REGION, OTHER_SITE)}
    rows: list[list[object]] = []
    for way in args.ways:
        if way == ULTRALYTICS:
            rows.append(ultralytics(folder, parts, args))
            continue
        with WAYS[way]():
            recipe = {"recipe": "finetune", "changes": RECIPE} if way == "torchvision" else {}
            run, done = train(parts[TRAIN], folder / f"run-{way}", args.minutes, any_orientation=True, **recipe)
        here, there = (precisions(*found_in(run.path, parts[name])) for name in (SAME_REGION, OTHER_SITE))
        figures = [f"{value:.3f}" for value in (run.metrics["mAP50"], *here, *there)]
        rows.append([way, done, *figures, *_cost(run.path / "model.onnx")])
    header = [
        "way",
        "steps of the head + of all",
        "validation AP50",
        "region AP40",
        "region AP50",
        "other site AP40",
        "other site AP50",
        "ms",
        "MB",
    ]
    return table(header, rows)


def composites(folder: Path, args: argparse.Namespace) -> str:
    """mAP50 and mAP on other composites."""
    made = write_composites(folder / "data", args.objects, args.backgrounds, args.count, 0, args.by_kind)
    run, done = train(made.train, folder / "run", args.minutes)
    figures = mn.evaluate(run.path, made.test, engine="torch").metrics
    return table(
        ["photos", "classes", "steps of the head + of all", "mAP50", "mAP", "false alarms a photo"],
        [
            [args.count, len(figures["classes"]), done]
            + [f"{figures[name]:.3f}" for name in ("mAP50", "mAP", "false_alarms")]
        ],
    )


def empty(folder: Path, args: argparse.Namespace) -> str:
    """False alarms with and without photos that show nothing."""
    rows: list[list[object]] = []
    test: Path | None = None
    for count in (0, args.count // 2):
        made = write_composites(
            folder / f"data{count}", args.objects, args.backgrounds, args.count, count, args.by_kind
        )
        run, done = train(made.train, folder / f"run{count}", args.minutes)
        test = test or made.test
        found, truth, classes = found_in(run.path, test)
        alarms = metrics.false_alarms_at(found, truth, len(classes), 0.7)
        figures = mn.evaluate(run.path, test, engine="torch").metrics
        rows.append([args.count, count, done, *(f"{x:.3f}" for x in (figures["mAP50"], figures["mAP"], alarms))])
    header = ["photos with objects", "without", "steps of the head + of all", "mAP50", "mAP"]
    return table([*header, "false alarms a photo at recall 0.7"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["trees", "composites", "empty"])
    parser.add_argument("objects", nargs="?", type=Path, help="class folders of photos of one object on a plain ground")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--count", type=int, default=600, help="composites")
    parser.add_argument("--by-kind", action="store_true", help="the folders are the classes, not eight single things")
    parser.add_argument("--backgrounds", type=Path, help="folder of photos (default: those of scikit-learn)")
    parser.add_argument("--data", type=Path, help="deepforest/data, where it is there already")
    parser.add_argument("--ways", nargs="+", choices=[*WAYS, ULTRALYTICS], default=list(WAYS))
    parser.add_argument("--python", type=Path, help="of an environment with Ultralytics")
    args = parser.parse_args()
    if args.what != "trees" and args.objects is None:
        parser.error(f"{args.what}: say where the class folders are")
    if ULTRALYTICS in args.ways and args.python is None:
        parser.error(f"{ULTRALYTICS}: say with --python where it is installed")
    with tempfile.TemporaryDirectory() as folder:
        body = {"trees": trees, "composites": composites, "empty": empty}[args.what](Path(folder), args)
    command = f"python benchmarks/detect.py {args.what} --minutes {args.minutes:g}"
    write_result(f"detect_{args.what}", f"Detectors: {args.what}", command, body, "torch", "mobilenets")


if __name__ == "__main__":
    main()
