"""Whether decoding large JPEGs at reduced scale changes what a classifier says.

    python benchmarks/decode_accuracy.py RUN [--photos 300]

RUN is a run of the demo's solar cells. Photographs of its validation part are enlarged eightfold to 2400×2400
JPEGs, as a camera would deliver them, and classified twice: decoded at reduced scale, as `predict` does, and in full.
"""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path

import numpy as np
from common import table, write_result
from PIL import Image

from mobilenets.preprocess import decode
from mobilenets.runtime.classifier import load

SIDE = 2400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--photos", type=int, default=300)
    args = parser.parse_args()
    classifier = load(args.run)
    preprocess = classifier.card.preprocess
    with (args.run / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:: max(1, 656 // args.photos)][: args.photos]
    reduced, full = [], []
    for row in rows:
        large = Image.open(row["path"]).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        content = io.BytesIO()
        large.save(content, "JPEG", quality=90)
        data = content.getvalue()
        for kept, at_least in ((reduced, preprocess.resize_side), (full, None)):
            pixels = preprocess.pixels(decode.decoded(data, at_least=at_least))
            kept.append(classifier.probabilities(pixels[None])[0])
    a, b = np.stack(reduced), np.stack(full)
    truth = np.array([classifier.classes.index(row["label"]) for row in rows])
    figures: list[list[object]] = [
        ["accuracy, reduced decode", f"{(a.argmax(1) == truth).mean():.4f}"],
        ["accuracy, full decode", f"{(b.argmax(1) == truth).mean():.4f}"],
        ["same answer", f"{(a.argmax(1) == b.argmax(1)).mean():.4f}"],
        ["largest difference of a probability", f"{np.abs(a - b).max():.4f}"],
        ["mean difference of a probability", f"{np.abs(a - b).mean():.5f}"],
    ]
    write_result(
        "decode_accuracy",
        "Accuracy with reduced decoding",
        f"python benchmarks/decode_accuracy.py RUN --photos {args.photos}",
        table([f"{len(rows)} photographs of {SIDE}x{SIDE}", ""], figures) + "\n\n" + str(__doc__).split("\n\n", 2)[2],
        "pillow",
        "onnxruntime",
    )


if __name__ == "__main__":
    main()
