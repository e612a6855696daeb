"""What a search says of itself, given to the page that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobilenets.report.search_report import Cut, SizedNet, write_search_report
from mobilenets.searching.config import Ask
from mobilenets.searching.latency.table import Candidate
from mobilenets.searching.pruning.groups import layout, told


def write_page(folder: Path, summary: dict[str, Any], seed: Candidate, found: Candidate) -> None:
    """Write `search.html` into a run folder."""
    before, after = (SizedNet(each.net, each.size) for each in (seed, found))
    write_search_report(folder, summary, before, after, _cuts(seed, found), Ask(**summary["asked"]).command())


def _cuts(seed: Candidate, found: Candidate) -> list[Cut]:
    """Every space with what is left of it. None where the network is not one cut from the seed."""
    before, after = layout(seed.net), layout(found.net)
    if list(before.spaces) != list(after.spaces):
        return []
    cuts = [Cut(told(space), space.size, after.spaces[key].size) for key, space in before.spaces.items()]
    return [Cut("input size, pixels", seed.size, found.size), *cuts]
