"""What prediction costs: start-up, memory, throughput, and memory over many paths.

    python benchmarks/predict.py [--photos 2000] [--paths 100000]

The whole process of `mobilenets predict model.onnx photo.jpg` and of `mobilenets --help` (medians of ten starts,
peak resident memory from the kernel); images per second over a folder of photographs against the tutorial's
loop (torch, one photograph after the other: Pillow, resize 256, crop 224, float32 network) over the same files; and the
growth of resident memory over a long list of paths on standard input, after the first thousand.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import table, write_result
from PIL import Image

from mobilenets.arch import build
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.model_card import ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess

MOBILENETS = [sys.executable, "-m", "mobilenets"]
STARTS = 10
ENGINES = ("onnxruntime", "openvino")  # of the base install, and the one that may be installed beside it
COMMAND = Path(sys.executable).with_name("mobilenets")


def write_model(path: Path, name: str, size: int) -> MobileNet:
    """A five-class network with random weights, exported; speed does not depend on the values."""
    torch.manual_seed(0)
    model = MobileNet(build(name, num_classes=5)).eval()
    classes = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    export_onnx(model, ModelCard(name, model.net, classes, Preprocess(size=size)), path)
    return model


def write_photos(folder: Path, count: int, size: tuple[int, int] = (640, 480)) -> list[Path]:
    """JPEGs with the detail of a photograph, from a few different ones."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    contents = []
    for i in range(20):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
        noisy = np.asarray(coarse, np.int16) + rng.normal(0, 12, (*size[::-1], 3)).astype(np.int16)
        path = folder / f"{i:06d}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        contents.append(path.read_bytes())
    paths = [folder / f"{i:06d}.jpg" for i in range(count)]
    for i, path in enumerate(paths):
        path.write_bytes(contents[i % len(contents)])
    return paths


# A process begins with the memory of the one that forks it counted as its own peak: so a small one does.
LAUNCHER = """
import os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(time.perf_counter() - start, usage.ru_maxrss / 1024)
sys.exit(status != 0)
"""


def process(*command: str) -> tuple[float, float]:
    """Seconds and peak megabytes of a process, medians of several starts."""
    launch = [sys.executable, "-c", LAUNCHER, *command]
    outputs = [subprocess.run(launch, capture_output=True, text=True, check=True).stdout for _ in range(STARTS + 1)]
    figures = [tuple(map(float, output.split())) for output in outputs[1:]]  # the first start reads from disk
    return statistics.median(s for s, _ in figures), statistics.median(m for _, m in figures)


def tutorial_loop(model: MobileNet, paths: list[Path]) -> float:
    """Images per second of predict.py of the tutorial, its model loaded once."""
    preprocess = Preprocess()
    start = time.perf_counter()
    for path in paths:
        image = Image.open(path).convert("RGB")
        short = 256 / min(image.size)
        image = image.resize((round(image.width * short), round(image.height * short)), Image.Resampling.BILINEAR)
        left, top = (image.width - 224) // 2, (image.height - 224) // 2
        pixels = np.asarray(image.crop((left, top, left + 224, top + 224)))
        with torch.no_grad():
            torch.softmax(model(torch.from_numpy(preprocess.normalize(pixels[None]))), 1).argmax()
    return len(paths) / (time.perf_counter() - start)


def our_run(model: Path, folder: Path, count: int, engine: str) -> float:
    """Images per second of the whole process of `mobilenets predict`, start-up included."""
    start = time.perf_counter()
    command = [*MOBILENETS, "predict", str(model), str(folder), "--format", "jsonl", "--engine", engine]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return count / (time.perf_counter() - start)


def memory_growth(model: Path, paths: list[Path], count: int) -> float:
    """Megabytes that resident memory grows between the first thousand results and the last."""
    command = [*MOBILENETS, "predict", str(model), "-", "--format", "jsonl", "--engine", ENGINES[0]]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    if os.fork() == 0:  # a writer of its own: reading and writing in one process would wait for each other
        child.stdout.close()
        for i in range(count):
            child.stdin.write(f"{paths[i % len(paths)]}\n")
        child.stdin.close()
        os._exit(0)
    child.stdin.close()
    early = 0.0
    for i, _ in enumerate(child.stdout):
        if i in (999, count - 1000):  # not the very last: by then the process may be gone
            resident = int(Path(f"/proc/{child.pid}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
            early, growth = (resident, 0.0) if i == 999 else (early, resident - early)
    child.wait()
    return growth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--paths", type=int, default=100_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = write_model(folder / "model.onnx", "mobilenet_v3_large", 224)
        write_model(folder / "small.onnx", "mobilenet_v3_small", 64)
        paths = write_photos(folder / "photos", args.photos)
        help_s, _ = process(str(COMMAND), "--help")
        one_s, one_mb = process(
            str(COMMAND), "predict", str(folder / "model.onnx"), str(paths[0]), "--engine", ENGINES[0]
        )
        tutorial: list[float] = []
        ours: dict[str, list[float]] = {engine: [] for engine in ENGINES}
        for _ in range(3):
            tutorial.append(tutorial_loop(network, paths[: args.photos // 5]))
            for engine, rates in ours.items():
                rates.append(our_run(folder / "model.onnx", folder / "photos", args.photos, engine))
        before = statistics.median(tutorial)
        after = {engine: statistics.median(rates) for engine, rates in ours.items()}
        grown = memory_growth(folder / "small.onnx", paths[:200], args.paths)
    rows: list[list[object]] = [
        ["`mobilenets --help`", f"{help_s:.3f} s", "≤ 0.12 s"],
        ["`predict model.onnx photo.jpg`, whole process", f"{one_s:.3f} s, {one_mb:.0f} MB", "≤ 0.35 s, ≤ 130 MB"],
        [f"{args.photos:,} photographs, the tutorial's loop", f"{before:.1f} images/s", ""],
        *(
            [f"{args.photos:,} photographs, `predict`, {engine}", f"{rate:.1f} images/s = {rate / before:.1f}×", "≥ 4×"]
            for engine, rate in after.items()
        ),
        [f"memory growth over {args.paths:,} paths after the first 1,000", f"{grown:.1f} MB", "≤ 20 MB"],
    ]
    command = f"python benchmarks/predict.py --photos {args.photos} --paths {args.paths}"
    body = (
        table(["what", "measured", "wanted"], rows) + "\n\nMobileNetV3-Large at 224 pixels, five classes; photographs "
    )
    body += "of 640×480; memory growth with MobileNetV3-Small at 64.\n\n" + str(__doc__).split("\n\n", 2)[2].strip()
    write_result("predict", "Prediction", command, body, "onnxruntime", "openvino", "pillow", "torch")


if __name__ == "__main__":
    main()
