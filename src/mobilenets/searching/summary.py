"""What a search came to: `search.json` for programs and `search.html` for people, of the same figures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mobilenets.arch.cost import total
from mobilenets.model_card import ModelCard
from mobilenets.report.search_report import Cut, SizedNet, write_search_report
from mobilenets.searching.budget import warn_unsure
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.config import SearchConfig
from mobilenets.searching.context import SearchContext
from mobilenets.searching.latency.model import LatencyModel
from mobilenets.searching.latency.table import NETWORK_EFFORT
from mobilenets.searching.pruning.groups import channel_groups
from mobilenets.searching.state import SearchState
from mobilenets.system.files import write_atomic
from mobilenets.weights.kept import KEPT, TEST

FILE = "search.json"


def write_summary(ctx: SearchContext, latency: LatencyModel, state: SearchState, card: ModelCard) -> dict[str, Any]:
    """Measure the network of `card`, which was found, and write both files; the content of the first is returned.

    Keys that say `seed` are of the base network, and `judged` of networks that were evaluated: so the first searches
    wrote them.
    """
    config, base, found = state.config, ctx.base_candidate, Candidate(card.net, card.preprocess.size)
    (predicted,) = latency.predict([found])
    (measured,) = latency.table.networks([found])
    budget_s = config.latency_ms / 1000
    if not measured.decides(budget_s) and measured.spread > NETWORK_EFFORT.spread:
        warn_unsure(measured, budget_s, "what was found takes", "kept all the same")
    summary = {
        "method": config.method,
        "engine": config.engine,
        "threads": config.threads,
        "seed_run": config.run,
        "seed_latency_ms": state.base["latency_ms"],
        "budget_ms": config.latency_ms,
        "latency_ms": measured.ms,
        "latency_interval_ms": [1000 * measured.low, 1000 * measured.high],
        "predicted_ms": predicted,
        "seed_accuracy": state.base["accuracy"],
        "accuracy": card.metrics["accuracy"],
        **{name: card.metrics[name] for name in (KEPT, TEST) if name in card.metrics},
        "seed_mmacs": total(base.net, base.size)[1] / 1e6,
        "mmacs": total(found.net, found.size)[1] / 1e6,
        "latency_model": state.fit,
        "asked": asdict(config),
        "plan": state.plan,
        "epochs": state.epochs,
        "steps": state.steps,
        **({"judged": state.evaluated} if state.evaluated else {}),
    }
    _write_page(state.folder, summary, base, found)
    # The last file of a search: a folder that has it is complete.
    write_atomic(state.folder / FILE, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    return summary


def _write_page(folder: Path, summary: dict[str, Any], base: Candidate, found: Candidate) -> None:
    before, after = (SizedNet(each.net, each.size) for each in (base, found))
    write_search_report(folder, summary, before, after, _cuts(base, found), SearchConfig(**summary["asked"]).command())


def _cuts(base: Candidate, found: Candidate) -> list[Cut]:
    """Every group with what is left of it. None where the network is not one cut from the base network."""
    before, after = channel_groups(base.net), channel_groups(found.net)
    if list(before.by_name) != list(after.by_name):
        return []
    cuts = [Cut(group.describe(), group.size, after.by_name[key].size) for key, group in before.by_name.items()]
    return [Cut("input size, pixels", base.size, found.size), *cuts]
