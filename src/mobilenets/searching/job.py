"""A search from a trained run to the run folder of the network that fits."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mobilenets.arch.cost import total
from mobilenets.auditing.audit import audit_splits
from mobilenets.data.manifest import FILE, base_of
from mobilenets.data.value_range import RangeDecision
from mobilenets.errors import UsageError
from mobilenets.model_card import read_card
from mobilenets.report.run_pages import report_run
from mobilenets.searching.config import EVOLVE, NETADAPT, SearchConfig
from mobilenets.searching.context import SearchContext
from mobilenets.searching.evolution import blocks
from mobilenets.searching.final_finetune import distiller, keeper, planned_epochs, write_settings
from mobilenets.searching.latency.table import NETWORK_EFFORT, Candidate, Conditions, LatencyModel, LatencyTable, errors
from mobilenets.searching.latency.timer import Timer
from mobilenets.searching.netadapt import proposals
from mobilenets.searching.netadapt.netadapt import NetAdapt
from mobilenets.searching.search_report import write_page
from mobilenets.searching.state import SearchState
from mobilenets.system.files import write_atomic
from mobilenets.system.timing import Estimate
from mobilenets.training.checkpoint import LAST
from mobilenets.training.interrupt import Interrupt
from mobilenets.training.run import new_folder
from mobilenets.training.run_data import copy_list
from mobilenets.training.run_folder import complete, finish
from mobilenets.weights.kept import KEPT, TEST

log = logging.getLogger(__name__)

FITTED, CHECKED = 14, 6  # random networks behind the latency model's line, and others that tell its error


@dataclass(frozen=True)
class Result:
    """What a search came to: its folder, None where there was nothing to do; the content of `search.json`."""

    path: Path | None
    summary: dict[str, Any]
    interrupted: bool = False


@dataclass(frozen=True)
class Method:
    """A way to search.

    `smallest` is the fastest network that it reaches from a candidate, `random` so many from everywhere it goes (also
    given a seed). `run` takes the ctx, the latency model, the state, an interrupt and a deadline, and leaves the
    network it found as the state's last step; False when interrupted.
    """

    smallest: Callable[[Candidate], Candidate]
    random: Callable[[Candidate, int, int], list[Candidate]]
    run: Callable[[SearchContext, LatencyModel, SearchState, Interrupt, float], bool]


def _netadapt(
    ctx: SearchContext, latency: LatencyModel, state: SearchState, interrupt: Interrupt, deadline: float
) -> bool:
    return NetAdapt(ctx, latency, state).run(interrupt, deadline)


def _evolve(
    ctx: SearchContext, latency: LatencyModel, state: SearchState, interrupt: Interrupt, deadline: float
) -> bool:
    return blocks.BlockSearch(ctx, latency, state).run(interrupt, deadline)


def search(config: SearchConfig, out: Path | None = None, timer: Timer | None = None) -> Result:
    """Search for what `config` says and write the run folder `out` (default: `runs/NAME-OF-RUN-LATENCY`).

    `timer`: what measures latencies, by default the engine on this machine.

    Raises:
        UserError: no such run or data, an engine that cannot measure, a budget out of reach, an existing `out`.
    """
    conditions = Conditions(config.engine, config.threads)
    name = f"{Path(config.run).resolve().name}-{config.latency_ms:g}ms".replace(".", "_")
    folder = new_folder(out, Path(name))
    ctx = SearchContext(Path(config.run), Path(config.data), config.seed)
    with LatencyTable(conditions, timer=timer) as table:
        if (factor := table.settle()) is not None:
            told = f"latencies known so far were measured beside other work; all of them times {factor:.2f}"
            log.warning("search: %s", told)
        seed, least = _ends(
            table, ctx.base_candidate, METHODS[config.method].smallest(ctx.base_candidate), config.latency_ms / 1000
        )
        if not _is_work(config, seed, least):
            return Result(None, {"seed_latency_ms": seed.ms, "budget_ms": config.latency_ms})
        state = SearchState(folder, config, base={"latency_ms": seed.ms}, cwd=str(Path.cwd()))
        return _Session(ctx, table, state).run()


def _ends(table: LatencyTable, start: Candidate, smallest: Candidate, budget_s: float) -> tuple[Estimate, Estimate]:
    """What the seed and the smallest network take; measured once more, in turns, where that does not settle it."""
    seed, least = table.networks([start, smallest])
    if not (seed.decides(budget_s) and least.decides(budget_s) and least.seconds < seed.seconds):
        seed, least = table.networks([start, smallest], again=True)
    return seed, least


def _is_work(config: SearchConfig, seed: Estimate, least: Estimate) -> bool:
    """Whether there is something to search for; what could not be measured well enough to be sure is told.

    Raises:
        UserError: the budget is out of reach beyond doubt. A smallest network that seems slower than the seed it was
            cut from is no ground for that.
    """
    budget_s = config.latency_ms / 1000
    if budget_s >= seed.seconds:
        if not seed.decides(budget_s):
            _tell_doubt(seed, budget_s, "the run takes", "taken to be within it")
        return False
    if not seed.decides(budget_s):
        _tell_doubt(seed, budget_s, "the run takes", "searching all the same")
    elif budget_s < least.seconds:
        if least.decides(budget_s) and least.seconds < seed.seconds:
            raise UsageError(
                f"--latency {config.latency_ms:g}ms: out of reach of {config.run}, which takes {seed.ms:.3g} ms; "
                f"the smallest possible is {least.ms:.3g} ms"
            )
        _tell_doubt(least, budget_s, "the smallest network takes", "searching all the same")
    return True


def _tell_doubt(estimate: Estimate, budget_s: float, what: str, chosen: str) -> None:
    doubt = estimate.doubt(budget_s, NETWORK_EFFORT)
    log.warning("search: %s: %s %s; %s", doubt, what, estimate.describe(), chosen)


def resume(folder: Path, data: Path | None = None, timer: Timer | None = None) -> Result:
    """Go on with an interrupted search; `data`: where its photographs are now, if they were moved; `timer`: as before.

    Raises:
        UserError: nothing to go on with, or it is complete.
    """
    state = SearchState.read(folder)
    if (folder / "search.json").exists():
        raise UsageError(f"{folder}: this search is complete; search into a new folder with another --out")
    if data is not None:
        state.config = replace(state.config, data=str(data))
    config = state.config
    if data is None and not Path(config.data).exists() and not base_of(Path(config.data)).exists():
        raise UsageError(f"{config.data}: the photographs were there and are not any more; say where with --data NEW")
    ctx = SearchContext(Path(config.run), Path(config.data), config.seed, folder)
    with LatencyTable(Conditions(config.engine, config.threads), timer=timer) as table:
        return _Session(ctx, table, state).run()


class _Session:
    """The parts of one search, in order: latency model, the method's steps, training with distillation, finish."""

    def __init__(self, ctx: SearchContext, table: LatencyTable, state: SearchState) -> None:
        self.ctx, self.table, self.state, self.config = ctx, table, state, state.config
        self.parts = ctx.parts  # what is wrong with the photographs is told before anything is written
        self.folder = state.folder
        self.deadline = time.monotonic() + 60 * self.config.minutes

    def run(self) -> Result:
        """Do what is left."""
        self.state.save()  # from here on there is something to go on with
        if not (self.folder / FILE).exists():
            copy_list(self.ctx.run, self.folder, self.ctx.listed, self.ctx.settings)
        try:
            summary = self._run()
        except KeyboardInterrupt:  # between steps `Interrupt` is asked; all else keeps what it has and starts anew
            summary = None
        return Result(self.folder, summary or {}, interrupted=summary is None)

    def _run(self) -> dict[str, Any] | None:
        """What the search says of itself; None when interrupted."""
        latency = self._latency()
        self._judge_seed()
        with Interrupt() as interrupt:
            if not self.state.searched:
                if not METHODS[self.config.method].run(self.ctx, latency, self.state, interrupt, self.deadline):
                    return None
                self.state.searched = True
                self.state.save()
            if not self._train(interrupt):
                return None
        return self._finish(latency)

    def _latency(self) -> LatencyModel:
        """The latency model, fitted to random networks between the seed and the smallest."""
        candidates = METHODS[self.config.method].random(self.ctx.base_candidate, FITTED + CHECKED, self.config.seed)
        latency = LatencyModel.fit(self.table, candidates[:FITTED])
        others = candidates[FITTED:]
        off = errors(latency.predict(others), self.table.networks_ms(others))
        line = {"slope": latency.slope, "intercept": latency.intercept, "per_million": latency.per_million}
        self.state.fit = {**line, **asdict(off)}
        return latency

    def _judge_seed(self) -> None:
        state, ctx, size = self.state, self.ctx, self.ctx.base_candidate.size
        if "accuracy" not in state.base:
            state.base |= ctx.evaluate(ctx.base, size, self.parts.val)
            state.base["holdout"] = ctx.evaluate(ctx.base, size, self.parts.holdout)["expected_accuracy"]
            state.save()
        log.info(
            "search: from %.3g to %.3g ms; predictions are %.1f %% off on %d other networks",
            state.base["latency_ms"],
            self.config.latency_ms,
            100 * state.fit["mape"],
            CHECKED,
        )

    def _train(self, interrupt: Interrupt) -> bool:
        """Fine-tune what was found, distilling from the seed; False when interrupted."""
        state, ctx = self.state, self.ctx
        found = state.network()
        assert found is not None  # a method that was not interrupted leaves a network
        if state.epochs is None:
            left = self.deadline - time.monotonic()
            state.epochs = self.config.epochs or planned_epochs(ctx, *found, left)
            state.save()
        trainer = distiller(ctx, *found, state.epochs)
        if (self.folder / LAST).exists():
            trainer.resume(self.folder / LAST)
        return trainer.fit(keeper(ctx, found[1], self.folder), self.folder, interrupt)

    def _finish(self, latency: LatencyModel) -> dict[str, Any]:
        """Every file of the run folder, and what the search says of itself."""
        state, ctx = self.state, self.ctx
        assert state.epochs is not None  # planned before the training
        card = read_card(self.folder / "model.safetensors")
        size = card.preprocess.size
        write_settings(ctx, self.folder, size, state.epochs)
        split_by = ctx.settings
        decision = RangeDecision(card.preprocess.range)
        audit = audit_splits(
            Path(self.config.data), ctx.listed, val=split_by.val, seed=split_by.seed, decision=decision
        )
        val, test = (ctx.loader(part, size) for part in (self.parts.val, ctx.listed.test))
        finished = finish(self.folder, val, test)
        report_run(self.folder, finished.images, audit)
        complete(self.folder, finished.card)
        card = finished.card
        found = Candidate(card.net, card.preprocess.size)
        (predicted,) = latency.predict([found])
        (measured,) = self.table.networks([found])
        budget_s = self.config.latency_ms / 1000
        if not measured.decides(budget_s) and measured.spread > NETWORK_EFFORT.spread:
            _tell_doubt(measured, budget_s, "what was found takes", "kept all the same")
        summary = {
            "method": self.config.method,
            "engine": self.config.engine,
            "threads": self.config.threads,
            "seed_run": self.config.run,
            "seed_latency_ms": state.base["latency_ms"],
            "budget_ms": self.config.latency_ms,
            "latency_ms": measured.ms,
            "latency_interval_ms": [1000 * measured.low, 1000 * measured.high],
            "predicted_ms": predicted,
            "seed_accuracy": state.base["accuracy"],
            "accuracy": card.metrics["accuracy"],
            **{name: card.metrics[name] for name in (KEPT, TEST) if name in card.metrics},
            "seed_mmacs": total(ctx.base_candidate.net, ctx.base_candidate.size)[1] / 1e6,
            "mmacs": total(found.net, found.size)[1] / 1e6,
            "latency_model": state.fit,
            "asked": asdict(self.config),
            "plan": state.plan,
            "epochs": state.epochs,
            "steps": state.steps,
            **({"judged": state.evaluated} if state.evaluated else {}),
        }
        write_page(self.folder, summary, ctx.base_candidate, found)
        write_atomic(self.folder / "search.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
        return summary


METHODS = {
    NETADAPT: Method(proposals.smallest, proposals.random_candidates, _netadapt),
    EVOLVE: Method(blocks.smallest, blocks.random_candidates, _evolve),
}
