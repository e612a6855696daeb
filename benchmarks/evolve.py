"""Evolution against random search: the same supernet, budget and number of evaluations, several seeds.

    python benchmarks/evolve.py DATA RUN [--share 0.5] [--steps 120] [--evaluations 48] [--seeds 3] [--epochs 3]

RUN is a trained run, DATA what it was trained on. Run again with the same --work, it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import astuple, dataclass
from pathlib import Path

from common import spread, table, write_result

from mobilenets.searching.config import SearchConfig
from mobilenets.searching.context import SearchContext
from mobilenets.searching.evaluation import Score, score
from mobilenets.searching.evolution.blocks import BlockSearch, as_candidate, random_candidates
from mobilenets.searching.evolution.evolve import (
    EvaluatedCandidate,
    Evaluator,
    EvolutionPlan,
    evolve,
    random_search,
)
from mobilenets.searching.evolution.space import ArchConfig
from mobilenets.searching.evolution.supernet import SandwichTrainer
from mobilenets.searching.final_finetune import final_trainer
from mobilenets.searching.latency.model import NUM_FITTED, LatencyModel, errors
from mobilenets.searching.latency.table import Conditions, LatencyTable
from mobilenets.searching.state import SearchState
from mobilenets.system.files import write_atomic
from mobilenets.training.checkpoint import LAST
from mobilenets.training.interrupt import Interrupt


@dataclass(frozen=True)
class Outcome:
    """The winner of one search: held-out accuracy that the search saw, then what it did not see."""

    method: str
    seed: int
    evaluated: int
    holdout: float
    predicted_ms: float
    measured_ms: float
    val: float
    tuned: float | None


class Comparison:
    """Both searches over one supernet."""

    def __init__(self, args: argparse.Namespace, latencies: LatencyTable) -> None:
        self.args, self.work = args, args.work
        self.ctx = SearchContext(args.run, args.data, 0)
        (self.seed_ms,) = latencies.networks_ms([self.ctx.base_candidate])
        self.config = SearchConfig(str(args.data), str(args.run), args.share * self.seed_ms, method="evolve")
        networks = random_candidates(self.ctx.base_candidate, 20, 0)
        self.latency = LatencyModel.fit(latencies, networks[:NUM_FITTED])
        self.off = errors(self.latency.predict(networks[NUM_FITTED:]), latencies.networks_ms(networks[NUM_FITTED:]))
        self.search = BlockSearch(self.ctx, self.latency, SearchState(self.work, self.config))
        self.memory = self.work / "judged.json"
        self.work.mkdir(parents=True, exist_ok=True)

    def supernet(self) -> tuple[SandwichTrainer, float]:
        """The trained supernet and the seconds its training took in this process."""
        trainer = self.search.trainer(self.args.steps)
        if (self.work / LAST).exists():
            trainer.resume(self.work / LAST)
        start = time.monotonic()
        with Interrupt() as interrupt:
            if not trainer.fit(lambda model, figures: None, self.work, interrupt):
                raise SystemExit(130)
        return trainer, time.monotonic() - start

    def outcome(self, trainer: SandwichTrainer, method: str, seed: int) -> Outcome:
        """Search once; take the best network that also measures within the budget."""
        evaluator = self.search.make_evaluator(trainer, self._known(), self._keep)
        found = self._run(evaluator, method, seed)
        for evaluated in sorted(found, key=evaluator.rank, reverse=True):
            (ms,) = self.latency.table.networks_ms([as_candidate(self.search.space, evaluated.arch)])
            if ms <= self.config.latency_ms:
                break
        model, size = self.search.network(trainer, evaluated.arch), evaluated.arch.size
        val = score(self.ctx, model, size, self.ctx.splits.val).accuracy
        tuned = None
        if self.args.epochs:
            fine = final_trainer(self.ctx, model, size, self.args.epochs)
            folder = self.work / f"{method}-{seed}"
            folder.mkdir(exist_ok=True)
            with Interrupt() as interrupt:
                if not fine.fit(lambda model, figures: None, folder, interrupt):
                    raise SystemExit(130)
            tuned = float(fine.state.history[-1]["val_accuracy"])  # the last epoch, not the best: nothing is picked
        return Outcome(method, seed, len(found), evaluated.score.accuracy, evaluated.ms, ms, val, tuned)

    def _run(self, evaluator: Evaluator, method: str, seed: int) -> list[EvaluatedCandidate]:
        if method == "evolve":
            return evolve(evaluator, EvolutionPlan.of(self.args.evaluations), seed)
        return random_search(evaluator, self.args.evaluations, seed)

    def _known(self) -> dict[ArchConfig, EvaluatedCandidate]:
        """What either search has evaluated: a network has one score, whoever asks for it."""
        rows = json.loads(self.memory.read_text()) if self.memory.exists() else []
        return {
            ArchConfig.from_genotype(genotype): EvaluatedCandidate(
                ArchConfig.from_genotype(genotype), ms, Score(*score)
            )
            for genotype, ms, score in rows
        }

    def _keep(self, evaluated: EvaluatedCandidate) -> None:
        rows = json.loads(self.memory.read_text()) if self.memory.exists() else []
        rows.append([evaluated.arch.genotype, evaluated.ms, astuple(evaluated.score)])
        write_atomic(self.memory, json.dumps(rows))


def main() -> None:
    """Compare and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="the budget, of the seed's latency")
    parser.add_argument("--steps", type=int, default=120, help="of the supernet's training")
    parser.add_argument("--evaluations", type=int, default=48, help="of each search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=0, help="of fine-tuning each winner; 0: none")
    parser.add_argument("--work", type=Path, default=Path("runs/evolve-benchmark"))
    args = parser.parse_args()
    with LatencyTable(Conditions()) as latencies:
        comparison = Comparison(args, latencies)
        trainer, seconds = comparison.supernet()
        outcomes = []
        for seed in range(args.seeds):
            for method in ("evolve", "random"):
                outcomes.append(comparison.outcome(trainer, method, seed))
                print(outcomes[-1], flush=True)
    _write(args, comparison, outcomes, seconds)


def _write(args: argparse.Namespace, comparison: Comparison, outcomes: list[Outcome], seconds: float) -> None:
    rows: list[list[object]] = [
        [
            o.method, o.seed, o.evaluated, f"{o.holdout:.4f}", f"{o.predicted_ms:.2f}", f"{o.measured_ms:.2f}",
            f"{o.val:.4f}", "–" if o.tuned is None else f"{o.tuned:.4f}",
        ]
        for o in outcomes
    ]  # fmt: skip
    for method in ("evolve", "random"):
        mine = [o for o in outcomes if o.method == method]
        tuned = [o.tuned for o in mine if o.tuned is not None]
        rows.append(
            [
                f"**{method}**", "mean", statistics.mean(o.evaluated for o in mine), spread([o.holdout for o in mine]),
                "", f"{statistics.mean(o.measured_ms for o in mine):.2f}", spread([o.val for o in mine]),
                spread(tuned) if tuned else "–",
            ]
        )  # fmt: skip
    header = ["search", "seed", "judged", "held-out", "predicted ms", "measured ms", "validation", "fine-tuned"]
    ctx, off = comparison.ctx, comparison.off
    body = (
        f"Seed {ctx.card.name}, {comparison.seed_ms:.2f} ms, validation accuracy "
        f"{ctx.card.metrics['accuracy']:.4f}; budget {comparison.config.latency_ms:.2f} ms (hard). One supernet for "
        f"all: {args.steps} steps of {ctx.recipe.batch_size} photographs. Latency predictions are "
        f"{100 * off.mape:.1f} % off on {off.n} networks they were not fitted to, Spearman {off.spearman:.3f}.\n\n"
        "held-out: accuracy on the part of the training data by whose expected accuracy the search ranks; validation: "
        "of the same network with the supernet's weights and its own BatchNorm statistics, on data no search saw; "
        f"fine-tuned: after {args.epochs} epochs with the seed as teacher, of the last epoch.\n\n"
    )
    write_result(
        "evolve", "Evolution and random search with as many evaluations",
        f"python benchmarks/evolve.py DATA RUN --share {args.share} --steps {args.steps} "
        f"--evaluations {args.evaluations} --seeds {args.seeds} --epochs {args.epochs}",
        body + table(header, rows), "torch", "onnxruntime",
    )  # fmt: skip


if __name__ == "__main__":
    main()
