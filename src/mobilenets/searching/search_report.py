"""`search.html`: the path a search took, what it cut where, and how well latency was predicted."""

from __future__ import annotations

import shlex
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from mobilenets.arch.cost import costs, total
from mobilenets.report.charts import line_chart
from mobilenets.report.html import name, percent, table
from mobilenets.searching.config import Ask
from mobilenets.searching.latency.table import Candidate
from mobilenets.searching.pruning.groups import layout, told
from mobilenets.system.files import write_atomic


def write_page(folder: Path, summary: dict[str, Any], seed: Candidate, found: Candidate) -> None:
    """Write `search.html` into a run folder; nothing in it is loaded from anywhere."""
    style = files("mobilenets.report").joinpath("report.css").read_text(encoding="utf-8")
    head = (
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Search: {escape(folder.name)}</title>\n<style>{style}</style>"
    )
    body = [
        f"<h1>Search: {name(folder.name)}</h1>",
        _headline(summary, seed, found),
        _charts(summary) if summary["steps"] else "",
        _cuts(seed, found),
        _steps(summary["steps"]),
        _finalists(summary["steps"]),
        _table(found),
        _next(folder, summary["asked"]),
    ]
    page = f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n<main>\n'
    write_atomic(folder / "search.html", page + "\n".join(filter(None, body)) + "\n</main>\n</body>\n</html>\n")


def _headline(summary: dict[str, Any], seed: Candidate, found: Candidate) -> str:
    rows = [
        ("latency, measured", f"{summary['seed_latency_ms']:.2f} ms", f"{summary['latency_ms']:.2f} ms"),
        ("validation accuracy", percent(summary["seed_accuracy"]), percent(summary["accuracy"])),
        ("input", f"{seed.size} px", f"{found.size} px"),
        ("million multiply-adds", f"{summary['seed_mmacs']:.0f}", f"{summary['mmacs']:.0f}"),
        ("parameters", *(f"{total(c.net, c.size)[0]:,}" for c in (seed, found))),
    ]
    off = summary["latency_model"]
    return (
        f'<p class="headline"><span class="one">{summary["seed_latency_ms"]:.2f} → {summary["latency_ms"]:.2f} ms,'
        f'</span> <span class="one">{percent(summary["seed_accuracy"])} → {percent(summary["accuracy"])}</span></p>\n'
        f"<p>Asked for {summary['budget_ms']:g} ms in {escape(summary['engine'])} on {summary['threads']} "
        f"{'thread' if summary['threads'] == 1 else 'threads'}, one picture at a time. Found by "
        f"{escape(summary['method'])}, which began with the network of {name(summary['seed_run'])}. Predicted "
        f"{summary['predicted_ms']:.2f} ms; on {off['n']} networks that the prediction was not fitted to it is "
        f"{percent(off['mape'])} off on average.</p>\n"
        + table(("", "before", "after"), [(a, b, f"<b>{c}</b>") for a, b, c in rows], 2)
    )


def _charts(summary: dict[str, Any]) -> str:
    """Accuracy against latency, of the steps or of all networks that were judged; predictions against measurements."""
    steps, judged = summary["steps"], summary.get("judged")
    shown, key = (judged, "predicted_ms") if judged else (steps, "latency_ms")
    path = [(s[key], 100 * s["accuracy"]) for s in shown]
    titles = [f"{_what(s)}: {s[key]:.2f} ms, {percent(s['accuracy'])}" for s in shown]
    low, high = min(y for _, y in path), max(y for _, y in path)
    budget = [(summary["budget_ms"], low), (summary["budget_ms"], high)]
    pairs = [(s["predicted_ms"], s["latency_ms"]) for s in steps]
    ends = [(v, v) for v in (min(map(min, pairs)), max(map(max, pairs)))]
    said = [f"{p:.2f} ms predicted, {m:.2f} measured" for p, m in pairs]
    left = (
        f"all {len(shown)} networks that were judged, with weights from the supernet"
        if judged
        else "accuracy on held-out training pictures after each step's short training"
    )
    heading, across = ("The front", "predicted ms") if judged else ("The path", "measured ms")
    return (
        f"<h2>{heading}</h2>\n"
        f'<p class="quiet">Left: {left}; the dashed line is the budget. '
        "Right: on the dashed line prediction and measurement are equal.</p>\n"
        f'<div class="charts">{line_chart(path, titles, across, "held-out accuracy, %", budget, joined=not judged)}'
        f"{line_chart(pairs, said, 'predicted ms', 'measured ms', ends, joined=False)}</div>"
    )


def _what(step: dict[str, Any]) -> str:
    """A step, or a network that was judged, in words."""
    return f"{step['what']} {step['before']} to {step['after']}" if "before" in step else str(step["what"])


def _finalists(steps: list[dict[str, Any]]) -> str:
    """The networks that a block search measured whole, best first; the last is the one it took."""
    rows = [
        (
            escape(step["what"]),
            f"{step['predicted_ms']:.2f}",
            f"{step['latency_ms']:.2f}",
            percent(step["accuracy"]),
            f"{step['log_loss']:.3f}",
        )
        for step in steps
        if "before" not in step
    ]
    header = (
        "network (per stage: blocks, kernel, expansion, width)", "predicted ms", "measured ms", "held-out accuracy",
        "log loss",
    )  # fmt: skip
    text = '<p class="quiet">The most accurate first, each measured whole; the last is the one taken.</p>\n'
    return f"<h2>Finalists</h2>\n{text}{table(header, rows)}" if rows else ""


def _cuts(seed: Candidate, found: Candidate) -> str:
    """A bar per space: the share that is left. Only where the network is one cut from the seed."""
    before, after = layout(seed.net), layout(found.net)
    if list(before.spaces) != list(after.spaces):
        return ""
    pairs = [("input size, pixels", seed.size, found.size)]
    pairs += [(told(s), s.size, after.spaces[key].size) for key, s in before.spaces.items()]
    bars = "".join(
        f'<li{"" if left == whole else " class=us"}><span>{escape(what)}</span><span class="track">'
        f'<i style="width:{100 * left / whole:.0f}%"></i></span><b>{left}/{whole}</b></li>'
        for what, whole, left in pairs
    )
    return f'<h2>What was cut where</h2>\n<ul class="against cuts">{bars}</ul>'


def _steps(steps: list[dict[str, Any]]) -> str:
    rows = [
        (
            str(i),
            f'<span class="one">{escape(step["what"])}</span>',
            str(step["before"]),
            str(step["after"]),
            f"{step['predicted_ms']:.2f}",
            f"{step['latency_ms']:.2f}",
            percent(step["accuracy"]),
            f"{step['log_loss']:.3f}",
            "<br>".join(
                f'<span class="one">{escape(t["what"])} {percent(t["accuracy"])}</span>' for t in step["tuned"]
            ),
        )
        for i, step in enumerate(steps, 1)
        if "before" in step
    ]
    header = (
        "step", "cut", "from", "to", "predicted ms", "measured ms", "held-out accuracy", "log loss",
        "tuned in this step",
    )  # fmt: skip
    return f"<h2>Step by step</h2>\n{table(header, rows)}" if rows else ""


def _table(found: Candidate) -> str:
    rows = [
        (
            escape(row.name),
            f"{row.size}×{row.size}×{row.channels}",
            str(getattr(row.row, "kernel", "–")),
            str(getattr(row.row, "exp", "–")),
            str(row.out),
            str(getattr(row.row, "se", 0) or "–"),
            escape(getattr(row.row, "act", "–")),
            str(getattr(row.row, "stride", "–")),
            f"{row.params:,}",
            f"{row.macs / 1e6:.2f}",
        )
        for row in costs(found.net, found.size)
    ]
    header = ("row", "input", "kernel", "exp", "out", "SE", "activation", "stride", "parameters", "MMACs")
    return f"<h2>The network</h2>\n{table(header, rows, 9)}"


def _next(folder: Path, asked: dict[str, Any]) -> str:
    run = shlex.quote(str(folder))
    commands = (
        "# write it for another runtime, which is then compared with it\n"
        f"mobilenets export {run} --to TARGET\n"
        "# train it on\n"
        f"mobilenets train --config {shlex.quote(str(folder / 'config.yaml'))} --out NEW_FOLDER\n"
        "# the same search again\n"
        f"{Ask(**asked).command()}"
    )
    report = '<p>What it gets right and wrong is in its <a href="report.html">report</a>.</p>'
    return f"<h2>What to run next</h2>\n<pre>{escape(commands)}</pre>\n{report}"
