"""`search.html`: the path a search took, what it cut where, and how well latency was predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenets.arch import Net
from mobilenets.arch.cost import costs, total
from mobilenets.report.charts import Chart, line_chart
from mobilenets.report.page import percent, render
from mobilenets.system.files import write_atomic


@dataclass(frozen=True)
class Cut:
    """What a search made smaller, or left: channels of a group, or the input's side."""

    what: str
    before: int
    after: int


@dataclass(frozen=True)
class SizedNet:
    """A network at an input size in pixels."""

    net: Net
    size: int


def write_search_report(
    folder: Path, summary: dict[str, Any], before: SizedNet, after: SizedNet, cuts: Sequence[Cut], command: str
) -> None:
    """Write `search.html` into a run folder; nothing in it is loaded from anywhere.

    Parameters
    ----------
    folder
        The run folder of the network that was found.
    summary
        The content of its `search.json`.
    before, after
        The network the search began with, and the one it found.
    cuts
        What became smaller by how much; none where the second network is not one cut from the first.
    command
        What does the same search again.
    """
    steps, evaluated = summary["steps"], summary.get("judged")
    page = render(
        "search.html.j2",
        folder=folder,
        summary=summary,
        before=before,
        after=after,
        params=[total(each.net, each.size)[0] for each in (before, after)],
        evaluated=evaluated,
        charts=_charts(summary, steps, evaluated) if steps else [],
        cuts=cuts,
        steps=[step for step in steps if "before" in step],
        finalists=[step for step in steps if "before" not in step],
        rows=costs(after.net, after.size),
        command=command,
    )
    write_atomic(folder / "search.html", page)


def _charts(
    summary: dict[str, Any], steps: list[dict[str, Any]], evaluated: list[dict[str, Any]] | None
) -> list[Chart]:
    """Accuracy against latency, of the steps or of all networks evaluated; predictions against measurements."""
    shown, key = (evaluated, "predicted_ms") if evaluated else (steps, "latency_ms")
    path = [(step[key], 100 * step["accuracy"]) for step in shown]
    titles = [f"{_what(step)}: {step[key]:.2f} ms, {percent(step['accuracy'])}" for step in shown]
    low, high = min(y for _, y in path), max(y for _, y in path)
    budget = [(summary["budget_ms"], low), (summary["budget_ms"], high)]
    pairs = [(step["predicted_ms"], step["latency_ms"]) for step in steps]
    ends = [(v, v) for v in (min(map(min, pairs)), max(map(max, pairs)))]
    captions = [f"{predicted:.2f} ms predicted, {measured:.2f} measured" for predicted, measured in pairs]
    across = "predicted ms" if evaluated else "measured ms"
    return [
        line_chart(path, titles, across, "held-out accuracy, %", budget, joined=not evaluated),
        line_chart(pairs, captions, "predicted ms", "measured ms", ends, joined=False),
    ]


def _what(step: dict[str, Any]) -> str:
    """A step, or a network that was evaluated, in words."""
    return f"{step['what']} {step['before']} to {step['after']}" if "before" in step else str(step["what"])
