"""Train on a folder of class folders, print the figures that matter and the photos to look at first.

    python examples/train_own_photos.py photos/ runs/photos

Needs `pip install ".[train]"`. `minutes` is the time of the whole training.
"""

import csv
import sys
from pathlib import Path
from typing import Any

import mobilenets as mn


def main(data: str, out: str, **options: Any) -> None:
    """Train and say how right it is and where it is wrong."""
    run = mn.train(data, out=out, **(options or {"minutes": 5}))
    low, high = run.metrics["accuracy_ci95"]
    print(f"accuracy {run.metrics['accuracy']:.3f}, with 95 % certainty between {low:.3f} and {high:.3f}")
    print(f"every class counting the same: {run.metrics['balanced_accuracy']:.3f}")

    with (Path(run.path) / "predictions.csv").open(encoding="utf-8", newline="") as file:
        wrong = [row for row in csv.DictReader(file) if row["label"] != row["predicted"]]
    wrong.sort(key=lambda row: -float(row[row["predicted"]]))  # the surest mistakes first
    for row in wrong[:10]:
        print(f"look at {row['path']}: called {row['predicted']}, labelled {row['label']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
