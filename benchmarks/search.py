"""A search against plain ways to the same measured latency.

    python benchmarks/search.py enter --keep DIR --seed 0 --share 0.5 --who netadapt   # goes on where it was stopped
    python benchmarks/search.py report --keep DIR

MobileNetV2 on the demo's solar cells (`mobilenets demo`'s settings, 12 epochs) is brought to a share of its latency,
in onnxruntime on one thread: by NetAdapt; by the same steps with three proposals picked at random and tuned as long
(`random`); by one factor for all channels (`width`), for the side of the picture (`size`), or for both (`both` alike,
`mostly-width` and `mostly-size` one more than the other: the grid of widths and sizes along that latency).
Each takes the largest network of its kind that measures within the budget, keeps the channels that the search would
keep, has what was cut made up for as the search has, and trains by the same recipe with the same seed as teacher. Those
that have no search train longer by as many batches as NetAdapt's search did: to see all sizes, and after each accepted
cut. NetAdapt's way to a quarter goes on from its half.

A seed is one of split, training and search. Accuracies are those of the last epoch on the validation part, so that
nothing is picked by it.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import shutil
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from common import spread, table, write_result

from mobilenets.arch.build import make_divisible
from mobilenets.arch.cost import SIZE_STEP, total
from mobilenets.nn.io import read_network, write_network
from mobilenets.nn.model import MobileNet
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.config import SearchConfig
from mobilenets.searching.context import SearchContext
from mobilenets.searching.evaluation import losses, score
from mobilenets.searching.final_finetune import final_trainer
from mobilenets.searching.latency.model import NUM_FITTED, LatencyModel
from mobilenets.searching.latency.table import Conditions, LatencyTable
from mobilenets.searching.netadapt.netadapt import NUM_IMPORTANCE_BATCHES, NetAdapt, Pick, pick_best
from mobilenets.searching.netadapt.plan import NUM_FINALISTS
from mobilenets.searching.netadapt.proposals import Proposal, random_candidates
from mobilenets.searching.pruning.groups import channel_cuts, channel_groups, with_channels
from mobilenets.searching.pruning.reconstruct import collect_stats, prune
from mobilenets.searching.state import SearchState
from mobilenets.system.files import write_atomic
from mobilenets.system.progress import Progress
from mobilenets.training.checkpoint import LAST
from mobilenets.training.interrupt import Interrupt
from mobilenets.training.run import train
from mobilenets.verbs.demo import CHANGES, MODEL, SETTINGS, VAL_FRACTION, WEIGHTS, write_csv

SEED_EPOCHS, EPOCHS, TUNED = 12, 7, 16  # of the seed, of every network at the end, batches per finalist
TITLES = {
    "netadapt": "NetAdapt",
    "random": "random proposals, tuned alike",
    "width": "uniform width",
    "mostly-width": "mostly width",
    "both": "width and size",
    "mostly-size": "mostly size",
    "size": "smaller pictures",
    "seed": "the seed, trained on with itself as teacher",
}
# The grid of widths and sizes along one latency: the part of the saving that narrower channels give.
NARROWER = {"width": 1.0, "mostly-width": 0.75, "both": 0.5, "mostly-size": 0.25, "size": 0.0}


@dataclass(frozen=True)
class Entry:
    """One entrant after its training: side in pixels, multiply-adds; accuracies and log loss on the validation part."""

    who: str
    share: float
    seed: int
    size: int
    macs: int
    epochs: int
    untrained: float
    accuracy: float
    best: float
    log_loss: float
    seed_accuracy: float
    seed_log_loss: float


class Race:
    """One split seed: the trained run, and where its entrants keep what they have done."""

    def __init__(self, keep: Path, seed: int, share: float, latencies: LatencyTable) -> None:
        self.keep, self.seed, self.share, self.latencies = keep, seed, share, latencies
        self.data = keep / "cells.csv"
        if not self.data.exists():
            keep.mkdir(parents=True, exist_ok=True)
            write_csv(self.data)
        run = keep / f"run-{seed}"
        if not (run / "metrics.json").exists():
            shutil.rmtree(run, ignore_errors=True)
            train(self.data, run, CHANGES | {"freeze": 4}, model=MODEL, weights=WEIGHTS, val=VAL_FRACTION, seed=seed,
                  epochs=SEED_EPOCHS, **SETTINGS)  # fmt: skip
        self.ctx = SearchContext(run, self.data, seed)
        (self.seed_ms,) = latencies.networks_ms([self.ctx.base_candidate])
        self.budget_ms = share * self.seed_ms

    def folder(self, who: str, share: float | None = None) -> Path:
        """Where an entrant keeps what it has done."""
        return self.keep / f"{who}-{self.share if share is None else share:g}-{self.seed}"

    def enter(self, who: str) -> None:
        """Bring the seed within the budget, train what came of it and keep `entry.json`."""
        folder = self.folder(who)
        if (folder / "entry.json").exists():
            return
        folder.mkdir(exist_ok=True)
        start = folder / "start.safetensors"
        if not start.exists():
            model, size = self._start(who, folder)
            write_network(start, model, self.ctx.card_of(model, size))
        found = read_network(start)
        model, size = found.model, found.card.preprocess.size
        epochs = EPOCHS + (0 if who in ("netadapt", "random") else self._path_epochs())
        untrained = score(self.ctx, model, size, self.ctx.splits.val).accuracy
        trainer = final_trainer(self.ctx, model, size, epochs)
        if (folder / LAST).exists():
            trainer.resume(folder / LAST)
        with Interrupt() as interrupt:
            if not trainer.fit(lambda model, figures: None, folder, interrupt):
                raise SystemExit(130)
        history = trainer.state.history
        of_seed = score(self.ctx, self.ctx.base, self.ctx.base_candidate.size, self.ctx.splits.val)
        entry = Entry(
            who, self.share, self.seed, size, total(model.net, size)[1], epochs, untrained,
            history[-1]["val_accuracy"], max(row["val_accuracy"] for row in history), history[-1]["val_loss"],
            of_seed.accuracy, of_seed.log_loss,
        )  # fmt: skip
        write_atomic(folder / "entry.json", json.dumps(asdict(entry), indent=1) + "\n")
        print(entry, flush=True)

    def _start(self, who: str, folder: Path) -> tuple[MobileNet, int]:
        """The untrained network of an entrant, and the side of its input."""
        if who == "seed":
            return copy.deepcopy(self.ctx.base), self.ctx.base_candidate.size
        if who == "netadapt":
            return self._stepped(folder, pick_best)
        if who == "random":
            return self._stepped(folder, picked_at_random(self.seed))
        candidate = scaled(self.ctx.base_candidate, who, self.budget_ms, self.latencies)
        return narrowed(self.ctx, candidate), candidate.size

    def _stepped(self, folder: Path, pick: Pick) -> tuple[MobileNet, int]:
        """NetAdapt's steps down to the budget, from where a larger share has ended."""
        config = SearchConfig(
            str(self.data), str(self.ctx.run), self.budget_ms, seed=self.seed, tune=TUNED, epochs=EPOCHS
        )
        before = self.folder("netadapt", 2 * self.share) / "checkpoint"
        if pick is pick_best and before.exists() and not (folder / "checkpoint").exists():
            shutil.copytree(before, folder / "checkpoint", ignore=shutil.ignore_patterns(LAST.name))
        if (folder / "checkpoint" / "search.json").exists():
            state = replace(SearchState.read(folder), config=config)
        else:
            state = SearchState(folder, config, base={"latency_ms": self.seed_ms})
            base = score(self.ctx, self.ctx.base, self.ctx.base_candidate.size, self.ctx.splits.holdout)
            state.base["holdout"] = base.expected_accuracy
        latency = LatencyModel.fit(self.latencies, random_candidates(self.ctx.base_candidate, NUM_FITTED, 0))
        with Interrupt() as interrupt:
            if not NetAdapt(self.ctx, latency, state, pick).run(interrupt, float("inf")):
                raise SystemExit(130)
        found = state.network()
        assert found is not None
        return found

    def _path_epochs(self) -> int:
        """Epochs that come nearest to the batches for which NetAdapt saw all sizes and its accepted cuts were tuned."""
        if not (self.folder("netadapt") / "entry.json").exists():
            raise SystemExit("enter netadapt first: the others train longer, for what it has tuned")
        state = SearchState.read(self.folder("netadapt"))
        batches = len(self.ctx.splits.train) // self.ctx.recipe.batch_size
        return round((len(state.steps) * TUNED + state.plan["all_sizes"]) / batches)


def picked_at_random(seed: int) -> Pick:
    rng = random.Random(seed)

    def pick(ranked: list[tuple[Proposal, float]]) -> list[Proposal]:
        return rng.sample([proposal for proposal, _ in ranked], min(NUM_FINALISTS, len(ranked)))

    return pick


def scaled(seed: Candidate, what: str, limit_ms: float, latencies: LatencyTable) -> Candidate:
    """The largest network of a uniform family whose measured latency is at most `limit_ms`."""
    low, high, best = 0.1, 1.0, None
    with Progress(f"{what} to {limit_ms:.2f} ms", None) as progress:
        for _ in range(8):
            middle = (low + high) / 2
            candidate = uniform(seed, what, middle)
            (ms,) = latencies.networks_ms([candidate])
            progress.advance(1, share=middle, ms=ms)
            if ms <= limit_ms:
                low, best = middle, candidate
            else:
                high = middle
    assert best is not None
    return best


def uniform(seed: Candidate, what: str, share: float) -> Candidate:
    """Channels, side, or both scaled so that all of it costs about `share` of the seed's work, quadratic in each."""
    width, side = share ** (NARROWER[what] / 2), share ** ((1 - NARROWER[what]) / 2)
    net = seed.net
    for group, channels in channel_groups(seed.net).sizes.items():
        if width < 1:
            net = with_channels(net, {group: make_divisible(channels * width)}) or net
    return Candidate(net, max(32, round(seed.size * side / SIZE_STEP) * SIZE_STEP))


def narrowed(ctx: SearchContext, candidate: Candidate) -> MobileNet:
    """The seed cut as the search cuts."""
    model = copy.deepcopy(ctx.base)
    if cuts := channel_cuts(model.net, candidate.net):
        model = prune(
            model, cuts, collect_stats(model, losses(ctx, model, ctx.base_candidate.size, 2 * NUM_IMPORTANCE_BATCHES))
        )
    return model


def report(keep: Path, latencies: LatencyTable) -> None:
    """The table of everything that was trained, every network measured once more beside the seeds."""
    entries = [Entry(**json.loads(path.read_text())) for path in sorted(keep.glob("*/entry.json"))]
    nets = [read_network(keep / f"{e.who}-{e.share:g}-{e.seed}" / "start.safetensors").model.net for e in entries]
    seed = SearchContext(keep / f"run-{entries[0].seed}", keep / "cells.csv").base_candidate
    candidates = [seed, *(Candidate(net, e.size) for net, e in zip(nets, entries, strict=True))]
    seed_ms, *measured = (estimate.ms for estimate in latencies.networks(candidates, again=True))
    ms = dict(zip(entries, measured, strict=True))
    rows: list[list[object]] = []
    for share in sorted({e.share for e in entries}, reverse=True):
        for who, title in TITLES.items():
            mine = [e for e in entries if (e.who, e.share) == (who, share)]
            if mine:
                rows.append([f"{share:g}×", title, *cells(mine, ms)])
    header = [
        "budget", "network", "seeds", "ms measured", "pixels", "MMACs", "epochs", "accuracy before", "accuracy",
        "against the seed, points", "best epoch", "log loss",
    ]  # fmt: skip
    seeds = {e.seed: e for e in entries}.values()
    text = (
        f"The seeds: {MODEL} at {seed.size} pixels, {SEED_EPOCHS} epochs, {seed_ms:.2f} ms, accuracy "
        f"{spread([e.seed_accuracy for e in seeds])} (best epoch), log loss "
        f"{statistics.mean(e.seed_log_loss for e in seeds):.3f}. {TUNED} batches per finalist, "
        f"{NUM_FINALISTS} finalists per step. ± is the standard deviation over seeds; that of one accuracy, over "
        "other photographs, is about 1.3 points."
    )
    body = f"{text}\n\n{table(header, rows)}\n\n" + str(__doc__).split("\n\n", 2)[2].strip()
    write_result("search", "A search against uniform networks of equal latency",
                 "python benchmarks/search.py report --keep DIR", body, "torch", "onnxruntime")  # fmt: skip


def cells(mine: list[Entry], ms: dict[Entry, float]) -> list[object]:
    """What the table says of one way to one budget, over its seeds."""
    numbers: list[Callable[[Entry], float]] = [lambda e: e.size, lambda e: e.macs / 1e6, lambda e: e.epochs]
    return [
        " ".join(str(e.seed) for e in mine),
        f"{statistics.mean(ms[e] for e in mine):.2f}",
        *(f"{statistics.mean(number(e) for e in mine):.0f}" for number in numbers),
        f"{statistics.mean(e.untrained for e in mine):.4f}",
        spread([e.accuracy for e in mine]),
        spread([100 * (e.accuracy - e.seed_accuracy) for e in mine], 1),
        f"{statistics.mean(e.best for e in mine):.4f}",
        f"{statistics.mean(e.log_loss for e in mine):.3f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("enter", "report"))
    parser.add_argument("--keep", type=Path, required=True, help="where networks and figures are kept between calls")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.5, help="of the seed's latency")
    parser.add_argument("--who", choices=TITLES, nargs="+", default=["netadapt"])
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    with LatencyTable(Conditions()) as latencies:
        if args.part == "report":
            report(args.keep, latencies)
        else:
            race = Race(args.keep, args.seed, args.share, latencies)
            for who in args.who:
                race.enter(who)


if __name__ == "__main__":
    main()
