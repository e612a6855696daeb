"""What is unknown: photographs of another kind, and classes that were left out, told from those of a run's own kind.

    python benchmarks/unknown.py --trashnet FOLDER [--seeds 5] [--minutes 3]

Solar cells (`elpv-dataset`): a run learns functional and defective cells of one kind, mono- or polycrystalline, and is
asked about held-out ones of it and all of the other kind; so are all of the cells against trashnet
(github.com/garythung/trashnet, class folders). On trashnet each class is left out in turn. A quarter of the known
photographs is held out from the runs, which draw their own validation from the rest. Beside it what a softmax would
tell, what the index costs, and how many of the ten nearest cells are of the query's own kind.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from common import spread, table, write_result

import mobilenets as mn
from mobilenets.features.index import FILE

Photo = tuple[Path, str]  # and its class
PROBE = {"recipe": "probe", "size": 224, "crop": 1.0}


@dataclass(frozen=True)
class Cell:
    """A solar cell."""

    path: Path
    kind: str
    label: str

    @property
    def photo(self) -> Photo:
        """As it is learned."""
        return self.path, self.label


def cells() -> list[Cell]:
    package = find_spec("elpv_dataset")
    assert package is not None
    assert package.origin is not None, "pip install 'mobilenets[demo]'"
    folder = Path(package.origin).parent / "data"
    rows = (line.split() for line in (folder / "labels.csv").read_text(encoding="utf-8").splitlines())
    return [Cell(folder / p, kind, "defective" if float(x) >= 0.5 else "functional") for p, x, kind in rows]


def write_csv(path: Path, photos: Sequence[Photo]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *((str(p), label) for p, label in photos)])
    return path


def told(known: Sequence[Photo], other: Sequence[Path], seed: int, folder: Path, **settings: Any) -> dict[str, Any]:
    """Figures of `evaluate --unknown` of a run on three quarters of `known`, on the last quarter and all of `other`."""
    order = np.random.default_rng(seed).permutation(len(known))
    parts = np.split(order, [len(known) // 4])
    test, rest = (write_csv(folder / f"{name}.csv", [known[i] for i in p]) for name, p in zip("tr", parts, strict=True))
    out = folder / "run"
    run = mn.train(rest, out=out, model="mobilenet_v2", weights="torchvision-v1", seed=seed, **settings)
    return mn.evaluate(run.path, test, unknown=[str(path) for path in other]).metrics["unknown"]


def row(name: str, figures: Sequence[dict[str, Any]]) -> list[object]:
    columns = ["auroc", "accepted", "known_accepted", "accuracy_accepted", "auroc_probability"]
    return [name, len(figures), *(spread([f[c] for f in figures]) for c in columns)]


def cost(run: Path, photos: Sequence[Path]) -> str:
    """What an answer takes with and without the index, in turns, on one thread; and the size of the index."""
    with_index, without = mn.load(run, "onnxruntime", threads=1), mn.load(run, "onnxruntime", threads=1)
    without.index = None
    pixels = [with_index.pixels(path) for path in photos[:20]]
    taken: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(10):
        for picture in pixels:
            for known, predictor in ((True, with_index), (False, without)):
                start = time.perf_counter()
                list(predictor.rows_of([picture]))
                taken[known].append(time.perf_counter() - start)
    ms = {known: 1000 * median(values) for known, values in taken.items()}
    size = (run / FILE).stat().st_size
    count = len(with_index.index)
    return (
        f"An answer takes {ms[True]:.2f} ms with the index of {count:,} photographs and {ms[False]:.2f} without "
        f"({ms[True] / ms[False] - 1:+.1%}; from pixels, one at a time, one thread); {FILE} has {size / 1e6:.1f} MB."
    )


def precision_at_10(run: Path, all_cells: Sequence[Cell]) -> float:
    """Of the ten cells most like each, how many have its label and kind; all cells looked up among all others."""
    engine = mn.load(run, "onnxruntime")
    from mobilenets.features.neighbours import nearest, roots
    from mobilenets.runtime.base import features_engine

    rows = []
    for start in range(0, len(all_cells), 16):
        pixels = np.stack([engine.pixels(cell.path) for cell in all_cells[start : start + 16]])
        rows.append(features_engine(engine._engine).with_features(pixels)[1])
    features = roots(np.concatenate(rows))
    own = np.arange(len(features))
    found = nearest(features, features, 10, own, own).rows
    kinds = np.array([cell.label + cell.kind for cell in all_cells])
    return float((kinds[found] == kinds[:, None]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trashnet", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=3, help="of each fine-tuned run; 0: none")
    args = parser.parse_args()
    trash = [(path, path.parent.name) for path in sorted(args.trashnet.glob("*/*.jpg"))]
    classes = sorted({label for _, label in trash})
    everything = cells()
    kinds = {kind: [c for c in everything if c.kind == kind] for kind in ("mono", "poly")}
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as name:
        count = 0

        def ask(known: Sequence[Photo], other: Sequence[Path], seed: int, **settings: Any) -> dict[str, Any]:
            nonlocal count
            count += 1
            folder = Path(name, str(count))
            folder.mkdir()
            return told(known, other, seed, folder, **settings)

        for one, two in (("mono", "poly"), ("poly", "mono")):
            known, other = [c.photo for c in kinds[one]], [c.path for c in kinds[two]]
            figures = [ask(known, other, seed, **PROBE) for seed in range(args.seeds)]
            rows.append(row(f"{one} → {two}, probe", figures))
            if args.minutes:
                tuned = {**PROBE, "recipe": "auto", "minutes": args.minutes}
                rows.append(row(f"{one} → {two}, auto, {args.minutes:g} minutes", [ask(known, other, 0, **tuned)]))
        all_photos = [c.photo for c in everything]
        rows.append(row("cells → trashnet, probe", [ask(all_photos, [p for p, _ in trash], 0, **PROBE)]))
        of_all = Path(name, str(count), "run")
        costs = cost(of_all, [c.path for c in everything])
        precision = precision_at_10(of_all, everything)
        left_out = []
        for label in classes:
            known, other = [p for p in trash if p[1] != label], [p for p, own in trash if own == label]
            left_out.append(ask(known, other, 0, **PROBE))
            rows.append(row(f"trashnet without {label}, probe", left_out[-1:]))
        rows.append(row("trashnet, each class left out once", left_out))
    header = ["known → unknown", "runs", "AUROC", "unknown accepted", "known accepted", "accuracy on those", "softmax"]
    body = (
        f"{table(header, rows)}\n\nMean ± standard deviation; 95 % of the known are to be accepted. Softmax: the AUROC "
        f"of the best class's probability. Mean of the classes left out: {mean(f['auroc'] for f in left_out):.4f}."
        f"\n\n{costs}\n\nOf the ten cells most like each of {len(everything):,}, {precision:.4f} are of its own kind "
        "(functional or defective, mono- or polycrystalline)."
    )
    command = f"python benchmarks/unknown.py --trashnet FOLDER --seeds {args.seeds} --minutes {args.minutes:g}"
    write_result("unknown", "What is unknown: MobileNetV2, 224 pixels", command, body, "onnxruntime", "numpy")


if __name__ == "__main__":
    main()
