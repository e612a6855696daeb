"""Ultralytics' smallest detector in so many minutes, in an environment of its own: `detect.py trees` starts this.

    python -m venv PEERS; PEERS/bin/pip install torch torchvision ultralytics onnx onnxruntime onnxslim
    python benchmarks/detect.py trees --ways ultralytics --python PEERS/bin/python

The arguments: the minutes, a folder to write into, a folder of tiles to train on and others to look at, each with a
`list.csv` of `path,boxes`. Its weights of COCO cannot be fetched here, so it begins with random ones. Writes
`found.json`: by folder and tile a list of boxes `[left, top, right, bottom, score, class]`, 0 to 1, beside the
`steps`, the `seconds` and the ONNX file. Nothing of this package is imported.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path

from ultralytics import YOLO

START = time.monotonic()
NETWORK, SIDE, BATCH = "yolo11n.yaml", 320, 8
VAL_EVERY = 5  # every fifth tile, as `train` holds back a fifth


def written(tiles: Path, folder: Path) -> Path:
    """The tiles as YOLO has them: `folder/data.yaml`."""
    with (tiles / "list.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        part = "val" if number % VAL_EVERY == 0 else "train"
        image, label = (folder / kind / part / row["path"] for kind in ("images", "labels"))
        for path in (image, label):
            path.parent.mkdir(parents=True, exist_ok=True)
        image.symlink_to((tiles / row["path"]).resolve())
        lines = []
        for _, left, top, right, bottom, *_ in json.loads(row["boxes"]):
            lines.append(f"0 {(left + right) / 2} {(top + bottom) / 2} {right - left} {bottom - top}")
        label.with_suffix(".txt").write_text("\n".join(lines))
    path = folder / "data.yaml"
    path.write_text(json.dumps({"path": str(folder), "train": "images/train", "val": "images/val", "names": ["tree"]}))
    return path


def boxes_of(model: YOLO, path: Path) -> list[list[float]]:
    """What it finds on a tile, the surest first."""
    found = model.predict(str(path), imgsz=SIDE, conf=0.01, max_det=100, verbose=False)[0].boxes
    return [[*map(float, b), float(s), int(c)] for b, s, c in zip(found.xyxyn, found.conf, found.cls, strict=True)]


def main() -> None:
    minutes, out, train, *tests = sys.argv[1:]
    folder = Path(out)
    data = written(Path(train), folder / "data")
    steps = 0

    def count(trainer: object) -> None:
        nonlocal steps
        steps += 1

    model = YOLO(NETWORK)
    model.add_callback("on_train_batch_end", count)
    hours = (60 * float(minutes) - (time.monotonic() - START)) / 3600
    # any orientation, as the others are told
    model.train(data=str(data), time=hours, imgsz=SIDE, batch=BATCH, device="cpu", workers=2, plots=False,
                project=str(folder), name="run", fliplr=0.5, flipud=0.5)  # fmt: skip
    seconds = time.monotonic() - START
    best = YOLO(str(folder / "run" / "weights" / "best.pt"))
    found = {}
    for test in tests:
        with (Path(test) / "list.csv").open(encoding="utf-8") as file:
            names = [row["path"] for row in csv.DictReader(file)]
        found[test] = {name: boxes_of(best, Path(test, name)) for name in names}
    file = best.export(format="onnx", imgsz=SIDE, nms=True)
    (folder / "found.json").write_text(json.dumps({"found": found, "steps": steps, "seconds": seconds, "file": file}))


if __name__ == "__main__":
    main()
