"""What the short training of a search does to networks that were cut a little.

    python benchmarks/touch_up.py DATA RUN [--share 0.1]

DATA and RUN as for `mobilenets search`. Accuracy on the validation part, which no search sees, of the run's network, of
smaller pictures, and of one cut everywhere that saves a share of the latency: as it stands, with BatchNorm's statistics
estimated anew from 8 batches, and after 16 batches of training in several ways.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from common import table, write_result

from mobilenets.nn.model import MobileNet
from mobilenets.search.latency import Candidate, Conditions, LatencyModel, LatencyTable
from mobilenets.search.netadapt import TUNING_LR, WEIGHED, cut, rank
from mobilenets.search.proposals import (
    EVERYWHERE,
    INPUT,
    Proposal,
    floors,
    narrower,
    notches,
    propose,
    random_candidates,
)
from mobilenets.search.prune import importance
from mobilenets.search.tune import Some, Tuner, plain, recalibrate
from mobilenets.search.workbench import Workbench
from mobilenets.training.loop import Trainer

FITTED, BATCHES, ORDERS = 14, 16, 3


class Bench:
    """One run, and the ways to treat a network cut from it."""

    def __init__(self, run: Path, data: Path) -> None:
        self.bench = Workbench(run, data)

    def proposals(self, share: float) -> tuple[dict[str, Proposal], dict[str, torch.Tensor]]:
        """Smaller pictures and a cut everywhere, each predicted to save `share` of the latency; channel importances."""
        bench, start = self.bench, self.bench.start
        least = floors(start)
        with LatencyTable(Conditions()) as latencies:
            model = LatencyModel.fit(latencies, random_candidates(start, FITTED, 0))
            (now,), (predicted,) = latencies.networks_ms([start]), model.predict([start])
            latency = replace(model, scale=now / predicted)
            scores = importance(bench.seed, bench.losses(bench.seed, start.size, WEIGHED))
            judged = rank(bench, bench.seed, start.size, notches(start, least, latency), scores, now)
            everywhere = narrower(start, least, judged)
            found = propose(start, least, everywhere, latency, (1 - share) * now)
        return {p.space: p for p in found if p.space in (INPUT, EVERYWHERE)}, scores

    def statistics_anew(self, model: MobileNet, size: int, order: int) -> None:
        """Estimate BatchNorm's statistics from some batches of the training part."""
        train = Some(self.bench.loader(self.bench.parts.rest, size, train=True), BATCHES, BATCHES * order)
        recalibrate(model, self.bench.recipe, self.bench.place, self.bench.preprocess(size), train)

    def trained(self, model: MobileNet, size: int, order: int, rate: float, kept: bool) -> None:
        """16 batches at `rate` times the run's learning rate, with the statistics of before or of the batches."""
        bench = self.bench
        recipe = replace(plain(bench.recipe), warmup_epochs=0.0, ema=0.0, lr=rate * bench.recipe.lr)
        train = Some(bench.loader(bench.parts.rest, size, train=True), BATCHES, BATCHES * order)
        trainer: Trainer = Tuner(
            model, recipe, bench.place, bench.preprocess(size), train, train, teacher=copy.deepcopy(bench.seed),
            size=bench.start.size,
        )  # fmt: skip
        if not kept:
            trainer.frozen = []
        for _ in trainer.steps():
            pass
        if not kept:
            self.statistics_anew(model, size, order)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--share", type=float, default=0.1)
    args = parser.parse_args()
    work = Bench(args.run, args.data)
    bench, start = work.bench, work.bench.start
    proposals, scores = work.proposals(args.share)
    networks: dict[str, tuple[Candidate, Callable[[], MobileNet]]] = {
        "the run's network": (start, partial(copy.deepcopy, bench.seed))
    }
    for p in proposals.values():
        networks[f"{p.told()}: {p.before} to {p.after}"] = p.candidate, partial(cut, bench.seed, p, scores)
    ways: dict[str, Callable[[MobileNet, int, int], None] | None] = {
        "as it stands": None,
        "statistics anew": work.statistics_anew,
    }
    for rate, told in ((TUNING_LR, f"{TUNING_LR:g} of the rate"), (1.0, "the whole rate")):
        for kept in (True, False):
            way = f"trained at {told}, statistics {'kept' if kept else 'anew'}"
            ways[way] = partial(work.trained, rate=rate, kept=kept)
    rows: list[list[object]] = []
    for name, (candidate, make) in networks.items():
        for way, treat in ways.items():
            accuracies = []
            for order in range(ORDERS if treat else 1):
                model = make()
                if treat:
                    treat(model, candidate.size, order)
                accuracies.append(bench.judge(model, candidate.size, bench.parts.val)["accuracy"])
            rows.append([name, way, " ".join(f"{a:.4f}" for a in accuracies)])
            print(*rows[-1], flush=True)
    body = (
        f"{bench.card.name} at {start.size} pixels, {len(bench.parts.val)} validation photographs; three figures are "
        f"of three stretches of the training part.\n\n{str(__doc__).split(chr(10) * 2, 2)[2].strip()}"
    )
    write_result("touch_up", "Short training of networks that were cut a little",
                 f"python benchmarks/touch_up.py DATA RUN --share {args.share:g}",
                 f"{body}\n\n{table(['network', 'treatment', 'validation accuracy'], rows)}", "torch")  # fmt: skip


if __name__ == "__main__":
    main()
