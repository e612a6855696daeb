"""Good photographs only: defective solar cells told by a run that has seen functional ones alone.

    python benchmarks/good_only.py [--seeds 3]

Of 1,508 functional cells (`elpv-dataset`, probability 0) 1,131 are learned from, a fifth of them held out for the
threshold; the other 377 and 715 defective ones (probability 1) are told apart. The second row of a seed has ten of the
defective ones for the choice of maps and threshold, which are not told. Beside it: pieces of two photographs of
scikit-learn, a temple and a flower, pasted as discs into cells that were held out, and where the map finds them; what
an answer takes beside the classifier's; how many photographs are on the same side of the threshold in exported files.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `predict` does

import numpy as np
from common import table, write_result
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images

import mobilenets as mn
from mobilenets.exporting.targets.onnx import write_onnx
from mobilenets.model_card import ModelCard
from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine
from mobilenets.runtime.engines.openvino import OpenVinoEngine
from mobilenets.tasks.classify.metrics import auroc
from mobilenets.weights.create import create

MODEL: dict[str, Any] = {"model": "mobilenet_v2", "weights": "torchvision-v1"}
LEARNED, GIVEN = 1_131, 10
COMPOSITES = 150
RADII = (15, 35)  # pixels, of a cell of 300


def cells() -> tuple[list[Path], list[Path]]:
    """Functional and defective solar cells that are so beyond doubt."""
    spec = find_spec("elpv_dataset")
    assert spec is not None
    assert spec.origin is not None, "pip install 'mobilenets[demo]'"
    folder = Path(spec.origin).parent / "data"
    rows = [line.split() for line in (folder / "labels.csv").read_text(encoding="utf-8").splitlines()]
    good, bad = ([folder / row[0] for row in rows if float(row[1]) == wanted] for wanted in (0.0, 1.0))
    return good, bad


def linked(folder: Path, paths: Sequence[Path]) -> Path:
    """A folder of links to these."""
    folder.mkdir(parents=True)
    for path in paths:
        (folder / path.name).symlink_to(path)
    return folder


def composite(cell: Path, rng: np.random.Generator) -> tuple[Image.Image, np.ndarray]:
    """A cell with a disc of another photograph in it, and where that is, bool (H, W)."""
    image = Image.open(cell).convert("L")
    photo = Image.fromarray(load_sample_images().images[int(rng.integers(2))]).convert("L")
    radius = int(rng.integers(*RADII))
    left, top = (int(rng.integers(0, side - 2 * radius)) for side in image.size)
    x, y = (int(rng.integers(0, side - 2 * radius)) for side in photo.size)
    disc = Image.new("L", (2 * radius, 2 * radius))
    ImageDraw.Draw(disc).ellipse((0, 0, 2 * radius - 1, 2 * radius - 1), fill=255)
    image.paste(photo.crop((x, y, x + 2 * radius, y + 2 * radius)), (left, top), disc)
    mask = Image.new("L", image.size)
    mask.paste(disc, (left, top))
    return image.convert("RGB"), np.asarray(mask) > 0


def pasted(run: Path, cells: Sequence[Path]) -> str:
    """How well cells with something pasted in are told from others, and the pixels of it by the map."""
    predictor, rng = mn.load(run, "onnxruntime"), np.random.default_rng(0)
    scores, pixels, masks = [], [], []
    for i, cell in enumerate(cells[: 2 * COMPOSITES]):
        image, mask = composite(cell, rng) if i % 2 else (Image.open(cell).convert("RGB"), None)
        answer = predictor.predict(image)
        scores.append(answer.score)
        if mask is not None:
            heat = Image.fromarray(answer.map).resize(image.size, Image.Resampling.BILINEAR)
            pixels.append(np.asarray(heat)[::4, ::4].ravel())
            masks.append(mask[::4, ::4].ravel())
    told = auroc(np.array(scores), np.arange(len(scores)) % 2)
    where = auroc(np.concatenate(pixels), np.concatenate(masks).astype(np.int64))
    return (
        f"Discs of other photographs, {2 * RADII[0]} to {2 * RADII[1]} pixels wide, in {COMPOSITES} of "
        f"{len(scores)} held-out cells: AUROC {told:.4f}; of the pixels, by the map: {where:.4f}."
    )


def cost(run: Path, folder: Path) -> str:
    """Milliseconds of processor time of an answer, in turns with the classifier of the same network, and bytes."""
    model = create("mobilenet_v2", weights="torchvision-v1", num_classes=2).eval()
    write_onnx(model, ModelCard("v2", model.net, ("a", "b"), replace(model.preprocess, crop=1.0)), folder / "v2.onnx")
    files = {"classifier": folder / "v2.onnx", "good only": run / "model.onnx"}
    size = model.preprocess.size
    pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    rows: list[list[object]] = []
    for name, opened in (("onnxruntime", OnnxRuntimeEngine), ("OpenVINO", OpenVinoEngine)):
        engines = {what: opened(file, 1) for what, file in files.items()}
        taken: dict[str, list[float]] = {what: [] for what in engines}
        for _ in range(60):
            for what, engine in engines.items():
                start = time.process_time()
                engine(pixels)
                taken[what].append(1000 * (time.process_time() - start))
        ours, theirs = (median(taken[what]) for what in ("good only", "classifier"))
        rows.append([name, f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}"])
    megabytes = [files[what].stat().st_size / 1e6 for what in ("good only", "classifier")]
    rows.append(["megabytes", f"{megabytes[0]:.1f}", f"{megabytes[1]:.1f}", f"{megabytes[0] / megabytes[1]:.2f}"])
    return table(["one thread, ms", "good only", "classifier", "ratio"], rows)


def exported(run: Path) -> str:
    """The same side of the threshold in each exported file."""
    rows: list[list[object]] = []
    for target in ("onnx", "openvino", "litert"):
        try:
            figures = mn.export(run, target).verification
        except mn.MissingExtraError:
            continue
        assert figures.max_probability_difference is not None
        rows.append([target, figures.n, figures.top1_agreement, f"{figures.max_probability_difference:.1e}"])
    return table(["exported file", "validation photographs", "on the same side", "largest difference of a score"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    good, bad = cells()
    rows: list[list[object]] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(args.seeds):
            folder = Path(temporary) / str(seed)
            rng = np.random.default_rng(seed)
            g, b = ([paths[i] for i in rng.permutation(len(paths))] for paths in (good, bad))
            data = linked(folder / "train" / "functional", g[:LEARNED]).parent
            given = linked(folder / "given", b[:GIVEN])
            linked(folder / "test" / "functional", g[LEARNED:])
            linked(folder / "test" / "defective", b[GIVEN:])
            for defects in (None, given):
                begun, used = time.monotonic(), time.process_time()
                run = mn.train(data, out=folder / f"run-{defects is not None}", defects=defects, **MODEL).path
                seconds, processor = time.monotonic() - begun, time.process_time() - used
                figures = mn.evaluate(run, folder / "test").metrics
                blocks = " and ".join(map(str, mn.load(run).card.net.patches.taps))
                rows.append(
                    [seed, GIVEN if defects else 0, blocks, f"{figures['auroc']:.4f}"]
                    + [f"{figures[name]:.3f}" for name in ("good_accepted", "defects_found", "f1")]
                    + [f"{seconds:.0f}", f"{processor:.0f}"]
                )
                if seed == 0 and defects:
                    notes = [pasted(run, g[LEARNED:]), cost(run, folder), exported(run)]
    columns = (
        "seed, defects given, blocks, AUROC, good ones that pass, defects found, F1, seconds, seconds of processor"
    )
    write_result(
        "good_only",
        "Good photographs only, MobileNetV2 at 224 pixels",
        f"python benchmarks/good_only.py --seeds {args.seeds}",
        "\n\n".join([table(columns.split(", "), rows), *notes]),
        "torch", "onnxruntime", "openvino", "ai-edge-litert",
    )  # fmt: skip


if __name__ == "__main__":
    main()
