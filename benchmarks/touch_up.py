"""What the short training of a search does to a network, shown on one that was not cut at all.

    python benchmarks/touch_up.py DATA RUN

DATA and RUN as for `mobilenets search`. Accuracy of the run's own network on the validation part, which no search sees:
as it stands, with BatchNorm's statistics estimated anew from 8 batches, and after 16 batches of training with the run's
network as teacher, in four ways.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path

from common import table, write_result

from mobilenets.nn.model import MobileNet
from mobilenets.searching.context import Workbench
from mobilenets.searching.distill import Distiller, Some, recalibrate, short
from mobilenets.searching.netadapt.netadapt import TUNING_LR

BATCHES, STRETCHES = 16, 3


def statistics_anew(bench: Workbench, model: MobileNet, stretch: Some) -> None:
    """Estimate BatchNorm's statistics from some batches of the training part."""
    recalibrate(model, bench.recipe, bench.place, bench.preprocess(bench.start.size), stretch)


def trained(bench: Workbench, model: MobileNet, stretch: Some, rate: float, kept: bool) -> None:
    """Train at `rate` times the run's learning rate, with the statistics of before or with those of the batches."""
    size, recipe, teacher = bench.start.size, short(bench.recipe, rate), copy.deepcopy(bench.seed)
    parts = recipe, bench.place, bench.preprocess(size), stretch, stretch
    tuner = Distiller(model, *parts, teacher=teacher, sizes=[size])
    if not kept:
        tuner.frozen = []
    for _ in tuner.steps():
        pass
    if not kept:
        statistics_anew(bench, model, stretch)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    args = parser.parse_args()
    bench = Workbench(args.run, args.data)
    size, val = bench.start.size, bench.parts.val
    ways: dict[str, Callable[[MobileNet, Some], None]] = {"statistics anew": partial(statistics_anew, bench)}
    for rate, told in ((TUNING_LR, f"{TUNING_LR:g} of the rate"), (1.0, "the whole rate")):
        for kept in (True, False):
            way = f"trained at {told}, statistics {'kept' if kept else 'anew'}"
            ways[way] = partial(trained, bench, rate=rate, kept=kept)
    rows: list[list[object]] = [["as it stands", f"{bench.judge(bench.seed, size, val)['accuracy']:.4f}"]]
    for way, treat in ways.items():
        found = []
        for i in range(STRETCHES):
            model = copy.deepcopy(bench.seed)
            treat(model, Some(bench.loader(bench.parts.rest, size, train=True), BATCHES, BATCHES * i))
            found.append(bench.judge(model, size, val)["accuracy"])
        rows.append([way, " ".join(f"{accuracy:.4f}" for accuracy in found)])
        print(*rows[-1], flush=True)
    body = (
        f"{bench.card.name} at {size} pixels, {len(val)} validation photographs; three figures are of three stretches "
        f"of the training part.\n\n{str(__doc__).split(chr(10) * 2, 2)[2].strip()}"
    )
    write_result("touch_up", "Short training of a network", "python benchmarks/touch_up.py DATA RUN",
                 f"{body}\n\n{table(['treatment', 'validation accuracy'], rows)}", "torch")  # fmt: skip


if __name__ == "__main__":
    main()
