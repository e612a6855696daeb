"""What layers can make up for when channels they read are cut, before any training.

    python benchmarks/reconstruct.py DATA RUN

DATA and RUN as for `mobilenets search`. The run's network is narrowed at once, all of its widths by the same factor
(in the last column its pictures too), to parts of its multiply-adds: only sliced, or with the layers that read the
channels which are gone making up for them by least squares, with more and less ridge. Expected accuracy (the mean
probability of the right class) and accuracy on the validation part, which no search sees.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from common import table, write_result
from search import uniform

from mobilenets.nn.model import MobileNet
from mobilenets.searching.context import Workbench
from mobilenets.searching.latency.table import Candidate
from mobilenets.searching.netadapt.netadapt import WEIGHED
from mobilenets.searching.pruning.groups import fewer
from mobilenets.searching.pruning.reconstruct import RIDGE, Weighed, cut, weigh

RIDGES = (0.003, 0.03, 0.1, 0.3, 1.0)
CUTS = {"width, 0.85": ("width", 0.85), "width, 0.7": ("width", 0.7), "width and size, 0.25": ("both", 0.25)}


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    args = parser.parse_args()
    bench = Workbench(args.run, args.data)
    seed = bench.seed
    weighed = weigh(seed, bench.losses(seed, bench.start.size, WEIGHED))
    sliced = Weighed(weighed.scores, {})
    candidates = {told: uniform(bench.start, *how) for told, how in CUTS.items()}

    def narrowed(candidate: Candidate, knowing: Weighed, ridge: float = RIDGE) -> MobileNet:
        return cut(seed, fewer(seed.net, candidate.net), knowing, ridge).eval()

    def row(told: str, knowing: Weighed, ridge: float = RIDGE) -> list[object]:
        cells: list[object] = [told]
        for candidate in candidates.values():
            figures = bench.judge(narrowed(candidate, knowing, ridge), candidate.size, bench.parts.val)
            cells.append(f"{figures['expected_accuracy']:.3f} {figures['accuracy']:.3f}")
        print(*cells, flush=True)
        return cells

    rows = [row("sliced", sliced), *(row(f"least squares, ridge {ridge:g}", weighed, ridge) for ridge in RIDGES)]
    body = (
        f"{bench.card.name} at {bench.start.size} pixels; {len(bench.parts.val)} validation photographs.\n\n"
        f"{str(__doc__).split(chr(10) * 2, 2)[2].strip()}\n\n{table(['weights', *CUTS], rows)}"
    )
    write_result("reconstruct", "Cutting channels", "python benchmarks/reconstruct.py DATA RUN", body, "torch")


if __name__ == "__main__":
    main()
