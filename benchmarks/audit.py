"""What the audit finds: 50 of each fault planted in real photographs, precision and recall per kind; and its speed.

    python benchmarks/audit.py                 # faults; writes benchmarks/results/audit.md
    python benchmarks/audit.py --speed 10000   # 10,000 pictures; writes benchmarks/results/audit_speed.md

Faults: the 2,624 solar cells of `elpv-dataset` (300×300, grey, alike by nature), labelled mono- or polycrystalline,
80 % in train and 20 % in val. Every kind takes 50 photographs of its own. What the audit finds in the untouched
photographs is counted apart: precision is the planted share of what planting added.

Speed: quarters of those photographs, all different, enlarged to 200 to 1,200 pixels, JPEG.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from common import table, write_result
from PIL import Image, ImageEnhance, ImageFilter

from mobilenets.auditing.audit import audit
from mobilenets.auditing.kinds import KINDS, AuditFinding
from mobilenets.auditing.measure import measure_images
from mobilenets.auditing.quality import imbalance
from mobilenets.data.sources.read import read_named_splits
from mobilenets.training.probe.features import feature_extractor
from mobilenets.training.probe.label_errors import find_label_errors
from mobilenets.verbs.demo import write_csv

MODEL, WEIGHTS = "mobilenet_v2", "torchvision-v1"
EACH = 50
OTHER = {"mono": "poly", "poly": "mono"}
Row = dict[str, str]

NEAR: dict[str, Callable[[Image.Image, Path], None]] = {
    "JPEG at quality 30": lambda im, to: im.save(to, quality=30),
    "half the size": lambda im, to: im.resize((150, 150), Image.Resampling.BICUBIC).save(to, quality=90),
    "a third of the size, quality 75": lambda im, to: im.resize((100, 100), Image.Resampling.BICUBIC).save(to),
    "20 % brighter": lambda im, to: ImageEnhance.Brightness(im).enhance(1.2).save(to, quality=90),
    "1 % cropped on each side": lambda im, to: im.crop((3, 3, 297, 297)).save(to, quality=90),
}


def cells() -> list[Row]:
    """path, label (mono or poly) and defect of every photograph."""
    with tempfile.TemporaryDirectory() as folder, write_csv(Path(folder) / "cells.csv").open() as file:
        return [{"path": r["path"], "label": r["stratum"], "defect": r["label"]} for r in csv.DictReader(file)]


def write(rows: list[Row], to: Path) -> Path:
    with to.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "split"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return to


class Planter:
    """Takes 50 photographs at a time, replaces them or adds copies; `truth`: planted paths by kind."""

    def __init__(self, rows: list[Row], folder: Path) -> None:
        self.rows, self.folder, self.rng = [dict(r) for r in rows], folder, np.random.default_rng(0)
        self._free = iter(self.rng.permutation(len(rows)))
        self.truth: dict[str, set[str]] = {kind: set() for kind in KINDS}
        self.near_by: dict[str, set[str]] = {name: set() for name in NEAR}

    def take(self, kind: str, suffix: str, copy: bool = False) -> Iterator[tuple[int, Row, Image.Image, Path]]:
        """k, the row to change (of a copy: a new one), the photograph, and the path its version goes to."""
        for k in range(EACH):
            row = self.rows[next(self._free)]
            image = Image.open(row["path"]).convert("L")
            path = self.folder / f"{kind}-{k:02d}{suffix}"
            self.truth[kind].add(str(path))
            if copy:
                row = dict(row)
                self.rows.append(row)
            yield k, {"source": row["path"]}, image, path
            row["path"] = str(path)

    def plant(self) -> None:
        """Put 50 of every kind into the rows."""
        for k, row, _, path in self.take("unreadable", ".png"):
            whole = Path(row["source"]).read_bytes()
            path.write_bytes((whole[: len(whole) // 2], whole[:-200], b"", b"no picture" * 100)[k % 4])
        for _, row, _, path in self.take("wrong_suffix", ".jpg"):
            shutil.copy(row["source"], path)
        for k, row, image, path in self.take("exact_duplicate", ".png", copy=True):
            shutil.copy(row["source"], path) if k % 2 else image.save(path, compress_level=1)
        for k, _, image, path in self.take("near_duplicate", ".jpg", copy=True):
            name = list(NEAR)[k % len(NEAR)]
            NEAR[name](image, path)
            self.near_by[name].add(str(path))
        for k, _, image, path in self.take("duplicate_across_classes", ".png", copy=True):
            image.save(path) if k % 2 else image.resize((200, 200)).save(path)
            self.rows[-1]["label"] = OTHER[self.rows[-1]["label"]]
            self.truth["exact_duplicate" if k % 2 else "near_duplicate"].add(str(path))
        for _, _, image, path in self.take("leak", ".jpg", copy=True):
            image.save(path, quality=85)
            self.rows[-1]["split"] = "val" if self.rows[-1]["split"] == "train" else "train"
            self.truth["near_duplicate"].add(str(path))
        for k, _, image, path in self.take("tiny", ".png"):
            image.resize((20 + k, 20 + k)).save(path)
        for _, _, image, path in self.take("blank", ".jpg"):
            flat = self.rng.normal(self.rng.uniform(5, 250), 1.5, (image.height, image.width))
            Image.fromarray(flat.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        for _, _, image, path in self.take("dark", ".jpg"):
            ImageEnhance.Brightness(image).enhance(self.rng.uniform(0.08, 0.2)).save(path, quality=90)
        for _, _, image, path in self.take("blurred", ".jpg"):
            image.filter(ImageFilter.GaussianBlur(self.rng.uniform(0.01, 0.02) * image.width)).save(path, quality=90)
        for _, _, image, path in self.take("odd_aspect", ".png"):
            image.crop((0, 100, 300, 100 + int(self.rng.integers(40, 110)))).save(path)
        for _, row, _, path in self.take("likely_mislabelled", ".png"):
            shutil.copy(row["source"], path)
        for row in self.rows:
            if "likely_mislabelled" in row["path"]:
                row["label"] = OTHER[row["label"]]


def paths_of(findings: list[AuditFinding]) -> set[frozenset[str]]:
    return {frozenset(map(str, f.paths)) for f in findings}


def faults() -> None:
    rng = np.random.default_rng(0)
    rows = [{**r, "split": "val" if rng.random() < 0.2 else "train"} for r in cells()]
    extractor = feature_extractor(MODEL, WEIGHTS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = audit(write(rows, folder / "before.csv"), extractor=extractor, doubter=find_label_errors)
        planter = Planter(rows, folder)
        planter.plant()
        after = audit(write(planter.rows, folder / "after.csv"), extractor=extractor, doubter=find_label_errors)
    lines: list[list[object]] = []
    for kind, truth in planter.truth.items():
        if kind == "imbalance":
            continue
        own = {p for group in paths_of(before.findings[kind]) for p in group}
        found = paths_of(after.findings[kind])
        right = [g for g in found if g & truth]
        added = [g for g in found if g & truth or not g & own]
        caught = len(truth & {p for g in found for p in g})
        lines.append([kind, *share(caught, len(truth)), *share(len(right), len(added)), len(before.findings[kind])])
    lines.append(imbalanced())
    seen = measure_images([s for part in read_parts_of(rows).values() for s in part], extractor)
    lines += mislabelled_defects(rows, seen)
    near = {p for g in paths_of(after.findings["near_duplicate"]) for p in g}
    kinds = [[name, *share(len(near & paths), len(paths))] for name, paths in planter.near_by.items()]
    body = table(["kind", "found", "recall", "right of added", "precision", "in the untouched photographs"], lines)
    body += "\n\nNear duplicates by what was done to the copy:\n\n" + table(["copy", "found", "recall"], kinds)
    title = f"Audit: {EACH} planted faults of each kind in 2,624 solar cells, features of MobileNetV2"
    write_result("audit", title, "python benchmarks/audit.py", body, "torch", "onnxruntime", "cleanlab", "pillow")


def read_parts_of(rows: list[Row]) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        return read_named_splits(write([r | {"split": ""} for r in rows], Path(name) / "all.csv"))[1]


def share(part: int, whole: int) -> tuple[str, str]:
    return f"{part} of {whole}", f"{part / whole:.2f}" if whole else "–"


def imbalanced() -> list[object]:
    """50 classes with a tenth to three tenths of the largest one's pictures, among 50 with at least four tenths."""
    rng = np.random.default_rng(0)
    counts = [1000, *rng.integers(400, 1000, 49).tolist(), *rng.integers(100, 300, EACH).tolist()]
    found = {f.details["label"] for f in imbalance(Path(), [str(k) for k in range(100)], counts)}
    right = len(found & {str(k) for k in range(50, 100)})
    return ["imbalance", *share(right, EACH), *share(right, len(found)), "–"]


def mislabelled_defects(rows: list[Row], seen: object) -> list[list[object]]:
    """Flipped labels where classes are hard to tell: defective or functional, of which the probe gets 85 % right."""
    defect = {r["path"]: r["defect"] == "defective" for r in rows}
    y = np.array([defect[str(photo.path)] for photo in seen.images], np.int64)  # type: ignore[attr-defined]
    alone = np.arange(len(y))
    before = {d.index for d in find_label_errors(seen.features, y, alone)}  # type: ignore[attr-defined]
    free = np.setdiff1d(alone, sorted(before))
    planted = set(np.random.default_rng(1).choice(free, EACH, replace=False).tolist())
    y[sorted(planted)] ^= 1
    found = {d.index for d in find_label_errors(seen.features, y, alone)}  # type: ignore[attr-defined]
    added = (found - before) | (found & planted)
    caught = len(found & planted)
    name = "likely_mislabelled (defective or functional)"
    return [[name, *share(caught, EACH), *share(caught, len(added)), len(before)]]


def speed(n: int, folder: Path) -> None:
    data = folder / "all.csv"
    if not data.exists():
        draw(n, folder)
    times: list[list[object]] = []
    for what in ("all, features and labels too", "files and duplicates, no network"):
        start = time.monotonic()
        extractor = feature_extractor(MODEL, WEIGHTS) if what.startswith("all") else None
        audit(data, extractor=extractor, doubter=find_label_errors if extractor else None)
        took = time.monotonic() - start
        times.append([what, f"{took:.0f} s", f"{n / took:.0f}"])
        print(f"{what}: {took:.1f} s", flush=True)
    body = table(["audit", "time", "pictures/s"], times)
    title = f"Audit of {n:,} pictures of 200 to 1,200 pixels, features of MobileNetV2"
    write_result("audit_speed", title, f"python benchmarks/audit.py --speed {n}", body, "torch", "onnxruntime")


def draw(n: int, folder: Path) -> None:
    """The pictures to look at, and `all.csv` once they are complete."""
    rng, rows = np.random.default_rng(0), cells()
    listed = []
    for k in range(n):
        row, quarter = rows[k // 4 % len(rows)], k % 4
        x, y = 150 * (quarter % 2), 150 * (quarter // 2)
        long = int(rng.integers(200, 1200))
        size = (long, int(long * rng.uniform(0.6, 1)))
        path = folder / f"{k:05d}.jpg"
        with Image.open(row["path"]) as image:
            image.convert("RGB").crop((x, y, x + 150, y + 150)).resize(size, Image.Resampling.BICUBIC).save(path)
        listed.append({"path": path.name, "label": row["label"], "split": ""})
    write(listed, folder / "all.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", type=int, metavar="N", help="measure the time for N pictures instead")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where those pictures are kept for the next time")
    args = parser.parse_args()
    if not args.speed:
        faults()
    elif args.folder:
        args.folder.mkdir(exist_ok=True)
        speed(args.speed, args.folder)
    else:
        with tempfile.TemporaryDirectory() as name:
            speed(args.speed, Path(name))


if __name__ == "__main__":
    main()
