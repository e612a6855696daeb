"""`mobilenets evaluate`: how right a model is on photographs with known classes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets import choices
from mobilenets.cli.options import ENGINE, MAX_PIXELS, PRECISION, TILE, call, one_of
from mobilenets.system.terminal import table

if TYPE_CHECKING:
    from mobilenets.report.unseen import Figures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="run folder, exported file, .safetensors or published name")
    parser.add_argument(
        "data", type=Path, metavar="DATA", help="class folders, train/ and val/, .csv, .tar, .parquet, boxes"
    )
    parser.add_argument(
        "--split", **one_of(choices.Split), help="which split, of data that has them (default: test, else val)"
    )
    parser.add_argument(
        "--unknown",
        action="append",
        metavar="OTHER",
        help="photos of another kind (file, folder or glob; may be repeated): how well they are told from DATA",
    )
    parser.add_argument("--engine", **ENGINE)
    parser.add_argument("--precision", **PRECISION)
    parser.add_argument("--max-pixels", **MAX_PIXELS)
    parser.add_argument(
        "--tile", **TILE, help="find objects in tiles of so many pixels; 0: in whole photos (default: as trained)"
    )
    parser.add_argument("--json", action="store_true", help="print metrics as JSON")


def run(args: argparse.Namespace) -> int:
    """Evaluate; 1 when some photographs could not be read, or the run was trained on all of them."""
    from mobilenets.cli.writers import accept_any_text
    from mobilenets.verbs.evaluate import evaluate

    result = call(evaluate, args)
    accept_any_text()
    if args.json:
        print(json.dumps(result.to_dict(), ensure_ascii=False, indent=2))
    else:
        lines = _table(result.metrics) if result.apart is None else _apart(args.model, result.apart)
        if "unknown" in result.metrics:
            lines += ["", *_unknown(result.metrics["unknown"])]
        print("\n".join(lines))
    return 1 if result.failures or result.all_trained else 0


def _unknown(figures: dict[str, Any]) -> list[str]:
    """How well photographs of another kind were told."""
    right = figures["accuracy_accepted"]
    rows = [
        ("photos of another kind", str(figures["n"])),
        ("taken for known", f"{figures['accepted']:.4f}"),
        ("known ones taken for known", f"{figures['known_accepted']:.4f}"),
        ("accuracy on those", "-" if right is None else f"{right:.4f}"),
        ("AUROC", f"{figures['auroc']:.4f}   (by the probability alone {figures['auroc_probability']:.4f})"),
    ]
    return table(rows, "l")


def _apart(model: str, figures: Figures) -> list[str]:
    """The table for people, of what the run was not trained on, and what is to be known of the others."""
    trained, validated = figures.trained, figures.validated
    if figures.unseen is None:
        assert trained is not None  # there was a photograph
        heading = f"Trained on all of them: how well {model} remembers, not how well it does on new photos."
        return [heading, "", *_table(trained)]
    lines = _table(figures.unseen)
    if trained is not None:
        lines[0] += f"   (not trained on; {trained['n']} others were)"
    lines.append("")
    if validated is not None:
        which = "They" if validated["n"] == figures.unseen["n"] else f"{validated['n']} of them"
        lines.append(f"{which} validated the run, and so chose what was kept: expect a little less of new ones.")
    lines.append(
        f"trained on         {trained['n']}, {figures.quality} {trained[figures.quality]:.4f}, not counted above"
        if trained is not None
        else "trained on         0"
    )
    return lines


def _table(metrics: dict[str, Any]) -> list[str]:
    if "confusion" not in metrics:  # of a task whose answers do not exclude each other
        return _figures(metrics)
    low, high = metrics["accuracy_ci95"]
    figures = [
        ("photos", str(metrics["n"])),
        ("accuracy", f"{metrics['accuracy']:.4f}   (95 % interval {low:.4f} to {high:.4f})"),
        ("balanced accuracy", f"{metrics['balanced_accuracy']:.4f}"),
        ("macro F1", f"{metrics['macro_f1']:.4f}"),
    ]
    for name, key in (("top-5", "top5"), ("AUROC", "auroc")):
        if metrics.get(key) is not None:
            figures.append((name, f"{metrics[key]:.4f}"))
    figures += [("log loss", f"{metrics['log_loss']:.4f}"), ("calibration error", f"{metrics['ece']:.4f}")]
    classes = [("class", "precision", "recall", "F1", f"{'n':>6}")]
    for name, row in metrics["per_class"].items():
        if row["n"]:
            classes.append((name, *(f"{row[key]:.4f}" for key in ("precision", "recall", "f1")), str(row["n"])))
    return [
        *table(figures, "l"),
        "",
        *table(classes, "lr"),
        "",
        *_confusions(metrics["classes"], metrics["confusion"]),
    ]


def _confusions(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> list[str]:
    """The ten most frequent ones of a matrix, rows: truth, columns: answers."""
    pairs = [
        (count, names[truth], names[answer])
        for truth, counts in enumerate(matrix)
        for answer, count in enumerate(counts)
        if truth != answer and count
    ]
    confusions = [f"{count:6d}  {truth} → {answer}" for count, truth, answer in sorted(pairs, reverse=True)[:10]]
    return ["most frequent confusions (truth → answer)", *(confusions or ["     none"])]


def _figures(metrics: dict[str, Any]) -> list[str]:
    """Every figure by its name, with its interval; then those of each class, where there are some."""
    rows = []
    for name, value in metrics.items():
        if isinstance(value, (int, float)):
            low, high = metrics.get(f"{name}_ci95") or (None, None)
            interval = "" if low is None else f"   (95 % interval {low:.4f} to {high:.4f})"
            rows.append((name, f"{value:.4g}{interval}"))
    lines = table(rows, "l")
    per_class = {name: figures for name, figures in metrics.get("per_class", {}).items() if figures["n"]}
    if per_class:
        columns = [key for key, value in next(iter(per_class.values())).items() if not isinstance(value, list)]
        cells = [(name, *(_cell(figures[key]) for key in columns)) for name, figures in per_class.items()]
        lines += ["", *table([("class", *columns), *cells], "lr")]
    if "confusion_with_background" in metrics:
        names = [*metrics["classes"], "background"]
        lines += ["", *_confusions(names, metrics["confusion_with_background"])]
    return lines


def _cell(value: float | int | None) -> str:
    return "–" if value is None else str(value) if isinstance(value, int) else f"{value:.4f}"
