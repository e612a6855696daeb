"""What the features cost: an answer with the index, indexing, a query, a class later, a ranking.

    python benchmarks/features.py

MobileNetV2 with torchvision's weights as a probe of the demo's solar cells, without one of four kinds. Answers with the
index and without it are given in turns, of decoded photos, one at a time on one thread; `embed` and `predict` go over
all 2,624 cells in turns; a query is one photo's nearest of 20,000 features, beyond decoding; `add-class` adds the kind
that was left out, as a process of its own; a ranking is that of 10,000 features, typical ones first and least sure ones
first. Features for a query and a ranking are those of the cells with a little noise.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `predict` does

import numpy as np
from common import table, write_result

import mobilenets as mn
from mobilenets.features.neighbours import nearest, roots, unit
from mobilenets.training.label_next import typical, unsure
from mobilenets.verbs.demo import MODEL, WEIGHTS, write_csv

ROUNDS, LEFT_OUT = 5, "poly defective"


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def kinds_of(folder: Path) -> tuple[Path, Path]:
    """Three kinds of cells as a list, the fourth as a folder of links."""
    known, added = folder / "known.csv", folder / "added"
    added.mkdir()
    with write_csv(folder / "cells.csv").open(encoding="utf-8") as file, known.open("w", encoding="utf-8") as out:
        rows, kept = csv.DictReader(file), csv.writer(out)
        kept.writerow(["path", "label"])
        for row in rows:
            kind = f"{row['stratum']} {row['label']}"
            if kind == LEFT_OUT:
                (added / Path(row["path"]).name).symlink_to(row["path"])
            else:
                kept.writerow([row["path"], kind])
    return known, added


def answers(run: Path, photos: list[str]) -> tuple[float, float]:
    """Milliseconds of an answer with the index and without it."""
    with_index, without = (mn.load(run, threads=1) for _ in range(2))
    without.index = None
    pictures = [with_index.decoded(path) for path in photos[:40]]
    taken: dict[bool, list[float]] = {True: [], False: []}
    for picture in pictures * ROUNDS:
        for is_known, predictor in ((True, with_index), (False, without)):
            taken[is_known].append(1000 * timed(lambda p=predictor, x=picture: list(p.rows_of([p.input(x)]))))
    return median(taken[True]), median(taken[False])


def throughput(run: Path, folder: Path, photos: list[str]) -> tuple[float, float]:
    """Images/s of `embed` and of `predict` on all photos, in turns, the engine opened already; medians."""
    embedding: list[float] = []
    predicting: list[float] = []
    for turn in range(3):
        embedding.append(timed(lambda n=turn: mn.embed(run, photos, out=folder / f"{n}.npy")))
        predictor = mn.load(run)
        predictor.index = None
        predicting.append(timed(lambda p=predictor: list(p.predict_many(photos))))
    return len(photos) / median(embedding), len(photos) / median(predicting)


def added(run: Path, photos: Path, out: Path) -> float:
    """Seconds of `add-class` as a command, from its start to its end."""
    command = [sys.executable, "-m", "mobilenets", "add-class", str(run), str(photos), "--name", LEFT_OUT]
    return timed(lambda: subprocess.run([*command, "--out", str(out)], check=True, capture_output=True))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known, new = kinds_of(folder)
        run = mn.train(known, out=folder / "run", model=MODEL, weights=WEIGHTS, recipe="probe").path
        with (folder / "cells.csv").open(encoding="utf-8") as file:
            photos = [row["path"] for row in csv.DictReader(file)]
        with_index, without = answers(run, photos)
        embedding, predicting = throughput(run, folder, photos)
        mn.embed(run, photos, out=folder / "all.npy")
        features = np.load(folder / "all.npy")
        add_s = median(added(run, new, folder / f"more-{i}") for i in range(3))
        rng = np.random.default_rng(0)

    def some(count: int) -> np.ndarray:
        drawn = features[rng.integers(len(features), size=count)]
        return unit(np.abs(drawn + rng.normal(0, features.std() / 4, drawn.shape)))

    rows = roots(some(20_000))
    query_ms = 1000 * median(timed(lambda i=i: nearest(roots(features[i : i + 1]), rows, 10)) for i in range(50))
    many = some(10_000)
    answered = rng.dirichlet([1, 1], size=len(many))
    typical_s = median(timed(lambda: typical(many, many[:0], 50)) for _ in range(3))
    unsure_s = median(timed(lambda: unsure(many, answered, 50)) for _ in range(3))
    body = table(
        ["what", "measured", "wanted"],
        [
            ["an answer with the index, without it", f"{with_index:.2f}, {without:.2f} ms", ""],
            ["the index more", f"{with_index / without - 1:+.1%}", "≤ 5 %"],
            ["`embed`, `predict`", f"{embedding:.0f}, {predicting:.0f} images/s", "as fast"],
            ["a query among 20,000, beyond decoding and the network", f"{query_ms:.1f} ms", "≤ 30 ms"],
            ["`add-class` of the fourth kind, as a command", f"{add_s:.1f} s", "≤ 10 s"],
            ["10,000 ranked, typical ones", f"{typical_s:.1f} s", "≤ 10 s"],
            ["10,000 ranked, least sure ones", f"{unsure_s:.1f} s", "≤ 10 s"],
        ],
    )
    title = "What the features cost, MobileNetV2 on 2,624 solar cells"
    write_result("features", title, "python benchmarks/features.py", body, "onnxruntime", "openvino", "scikit-learn")


if __name__ == "__main__":
    main()
