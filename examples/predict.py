"""Classify every photo below a folder and write a CSV: path, class, probability.

    python examples/predict.py runs/photos photos/ > answers.csv

Needs no torch: `pip install .` is enough.
"""

import csv
import sys
from pathlib import Path

import mobilenets as mn


def main(model: str, folder: str) -> None:
    """Print a row for each photo, in the order of their names; what cannot be read is named on standard error."""
    classifier = mn.load(model)
    photos = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    rows = csv.writer(sys.stdout)
    rows.writerow(["path", "label", "probability"])
    for answer in classifier.predict_many(photos):  # decodes and computes on all cores, keeps the order
        if hasattr(answer, "error"):
            print(f"{answer.path}: {answer.error}", file=sys.stderr)
        else:
            rows.writerow([answer.path, answer.label or "unknown", f"{answer.probability:.4f}"])


if __name__ == "__main__":
    main(*sys.argv[1:])
