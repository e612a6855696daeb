"""The order of a search: from a trained run to the run folder of the network that fits.

    measure    what the run's network takes, and the smallest one in reach     budget.py
    predict    a model of latency, from what was measured                       latency/
    search     the method's steps, to a network within the budget               methods.py
    train      what was found, taught by the network it came from               final_finetune.py
    write      the run folder, `search.json` and `search.html`                   final_finetune.py, summary.py

Everything that was paid for is in the state as soon as it is known, so that an interrupted search goes on from there.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mobilenets.data.manifest import FILE as PHOTO_LIST
from mobilenets.data.manifest import base_of
from mobilenets.errors import UsageError
from mobilenets.searching.budget import measure_reach, needs_search
from mobilenets.searching.config import SearchConfig
from mobilenets.searching.context import SearchContext
from mobilenets.searching.evaluation import score
from mobilenets.searching.final_finetune import train_found, write_run
from mobilenets.searching.latency.model import NUM_CHECKED, NUM_FITTED, LatencyModel, fit_and_check
from mobilenets.searching.latency.table import Conditions, LatencyTable
from mobilenets.searching.latency.timer import Timer
from mobilenets.searching.methods import METHODS
from mobilenets.searching.result import SearchResult
from mobilenets.searching.state import SearchState
from mobilenets.searching.summary import FILE as SUMMARY
from mobilenets.searching.summary import write_summary
from mobilenets.training.interrupt import Interrupt
from mobilenets.training.run import new_folder
from mobilenets.training.run_data import copy_list

log = logging.getLogger(__name__)


def search(config: SearchConfig, out: Path | None = None, timer: Timer | None = None) -> SearchResult:
    """Search for what `config` says and write the run folder `out` (default: `runs/NAME-OF-RUN-LATENCY`).

    `timer`: what measures latencies, by default the engine on this machine.

    Raises
    ------
    UserError
        No such run or data, an engine that cannot measure, a budget out of reach, an existing `out`.
    """
    conditions = Conditions(config.engine, config.threads)
    name = f"{Path(config.run).resolve().name}-{config.latency_ms:g}ms".replace(".", "_")
    folder = new_folder(out, Path(name))
    ctx = SearchContext(Path(config.run), Path(config.data), config.seed)
    with LatencyTable(conditions, timer=timer) as table:
        if (factor := table.settle()) is not None:
            log.warning(
                "search: latencies known so far were measured beside other work; all of them times %.2f", factor
            )
        smallest = METHODS[config.method].smallest(ctx.base_candidate)
        reach = measure_reach(table, ctx.base_candidate, smallest, config.latency_ms / 1000)
        if not needs_search(config, reach):
            return SearchResult(None, {"seed_latency_ms": reach.base.ms, "budget_ms": config.latency_ms})
        state = SearchState(folder, config, base={"latency_ms": reach.base.ms}, cwd=str(Path.cwd()))
        return _run(ctx, table, state)


def resume(folder: Path, data: Path | None = None, timer: Timer | None = None) -> SearchResult:
    """Go on with an interrupted search; `data`: where its photographs are now, if they were moved; `timer`: as before.

    Raises
    ------
    UserError
        Nothing to go on with, or it is complete.
    """
    state = SearchState.read(folder)
    if (folder / SUMMARY).exists():
        raise UsageError(f"{folder}: this search is complete; search into a new folder with another --out")
    if data is not None:
        state.config = replace(state.config, data=str(data))
    config = state.config
    if data is None and not Path(config.data).exists() and not base_of(Path(config.data)).exists():
        raise UsageError(f"{config.data}: the photos were there and are not any more; say where with --data NEW")
    ctx = SearchContext(Path(config.run), Path(config.data), config.seed, folder)
    with LatencyTable(Conditions(config.engine, config.threads), timer=timer) as table:
        return _run(ctx, table, state)


def _run(ctx: SearchContext, table: LatencyTable, state: SearchState) -> SearchResult:
    """Do what is left of a search."""
    _ = ctx.splits  # what is wrong with the photographs is said before anything is written
    deadline = time.monotonic() + 60 * state.config.minutes
    state.save()  # from here on there is something to go on with
    if not (state.folder / PHOTO_LIST).exists():
        copy_list(ctx.run, state.folder, ctx.listed, ctx.settings)
    try:
        summary = _find_network(ctx, table, state, deadline)
    except KeyboardInterrupt:  # between steps `Interrupt` is asked; all else keeps what it has and starts anew
        summary = None
    return SearchResult(state.folder, summary or {}, interrupted=summary is None)


def _find_network(
    ctx: SearchContext, table: LatencyTable, state: SearchState, deadline: float
) -> dict[str, Any] | None:
    """What the search says of itself in the end; None when interrupted."""
    latency = _latency_model(ctx, table, state)
    _score_base(ctx, state)
    with Interrupt() as interrupt:
        if not state.searched:
            if not METHODS[state.config.method].start(ctx, latency, state).run(interrupt, deadline):
                return None
            state.searched = True
            state.save()
        if not train_found(ctx, state, interrupt, deadline):
            return None
    return write_summary(ctx, latency, state, write_run(ctx, state))


def _latency_model(ctx: SearchContext, table: LatencyTable, state: SearchState) -> LatencyModel:
    """The latency model of this search, fitted to random networks from everywhere that its method goes."""
    config = state.config
    candidates = METHODS[config.method].random_candidates(ctx.base_candidate, NUM_FITTED + NUM_CHECKED, config.seed)
    latency, errors = fit_and_check(table, candidates)
    line = {"slope": latency.slope, "intercept": latency.intercept, "per_million": latency.per_million}
    state.fit = {**line, **asdict(errors)}
    return latency


def _score_base(ctx: SearchContext, state: SearchState) -> None:
    """How right the network is that the search begins with, unless the state knows."""
    size = ctx.base_candidate.size
    if "accuracy" not in state.base:
        state.base |= asdict(score(ctx, ctx.base, size, ctx.splits.val))
        state.base["holdout"] = score(ctx, ctx.base, size, ctx.splits.holdout).expected_accuracy
        state.save()
    log.info(
        "search: from %.3g to %.3g ms; predictions are %.1f %% off on %d other networks",
        state.base["latency_ms"],
        state.config.latency_ms,
        100 * state.fit["mape"],
        NUM_CHECKED,
    )
