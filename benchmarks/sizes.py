"""What a trained network loses at smaller sizes of the picture, as it stands.

    python benchmarks/sizes.py DATA RUN

DATA and RUN as for `mobilenets search`. Expected accuracy is the mean probability of the right class. The held-out part
is a fifth of what the run was trained on, by which a search judges; the validation part is seen by no training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from common import table, write_result

from mobilenets.searching.context import Workbench

STEP = 8


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    args = parser.parse_args()
    bench = Workbench(args.run, args.data)
    own = bench.start.size
    rows: list[list[object]] = []
    for size in range(own, own // 2 - 1, -STEP):
        val = bench.judge(bench.seed, size, bench.parts.val)
        held = bench.judge(bench.seed, size, bench.parts.holdout)
        rows.append([size, f"{val['accuracy']:.4f}", *(f"{part['expected_accuracy']:.4f}" for part in (val, held))])
        print(*rows[-1], flush=True)
    header = ["pixels", "validation accuracy", "expected, validation", "expected, held out"]
    body = (
        f"{bench.card.name}, trained at {own} pixels; {len(bench.parts.val)} validation photographs.\n\n"
        f"{str(__doc__).split(chr(10) * 2, 2)[2].strip()}\n\n{table(header, rows)}"
    )
    write_result("sizes", "A network at smaller sizes", "python benchmarks/sizes.py DATA RUN", body, "torch")


if __name__ == "__main__":
    main()
