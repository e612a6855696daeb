"""What a search says of itself, given to the page that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobilenets.report.search_report import Cut, SizedNet, write_search_report
from mobilenets.searching.config import SearchConfig
from mobilenets.searching.latency.table import Candidate
from mobilenets.searching.pruning.groups import channel_groups


def write_page(folder: Path, summary: dict[str, Any], base: Candidate, found: Candidate) -> None:
    """Write `search.html` into a run folder."""
    before, after = (SizedNet(each.net, each.size) for each in (base, found))
    write_search_report(folder, summary, before, after, _cuts(base, found), SearchConfig(**summary["asked"]).command())


def _cuts(base: Candidate, found: Candidate) -> list[Cut]:
    """Every group with what is left of it. None where the network is not one cut from the base network."""
    before, after = channel_groups(base.net), channel_groups(found.net)
    if list(before.by_name) != list(after.by_name):
        return []
    cuts = [Cut(group.describe(), group.size, after.by_name[key].size) for key, group in before.by_name.items()]
    return [Cut("input size, pixels", base.size, found.size), *cuts]
