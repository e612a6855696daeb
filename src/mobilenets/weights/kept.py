"""Which weights a run has kept, what chose them, and how that is said wherever its figures are shown."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT = "kept"  # in a card's metrics and in metrics.json: "probe", "start" or {"epoch": n}
PROBE = "probe"
START = "start"  # likewise: the network of the run that this one began with
START_FILE = "start.json"  # its figures on the validation photographs, and the name of that run
TEST = "test"  # likewise: the figures of the test part, where the data has one
TESTED = ("accuracy", "accuracy_ci95", "balanced_accuracy", "macro_f1", "log_loss", "ece", "n")  # of it


@dataclass(frozen=True)
class Kept:
    """Which weights a run folder holds, and what else there was to choose from.

    `epoch`: that of fine-tuning they are from, 0: the linear probe before it (or what else `beginning` says), None: an
    older run does not say.
    `epochs`: how many there were; `best` of these (validation accuracy first, then log loss; 0 where there is none)
    and its validation accuracy; `probe`: the probe's `val_accuracy` and `val_loss`, None where there was no probe.
    """

    epoch: int | None
    epochs: int
    best: int
    best_accuracy: float
    probe: dict[str, float] | None
    beginning: str = "linear probe"

    @property
    def is_probe(self) -> bool:
        """Whether the model is the linear probe, or what else the training began with."""
        return self.epoch == 0

    @property
    def is_chosen(self) -> bool:
        """Whether the validation photographs have chosen among several: their figures then flatter a little."""
        return self.epochs + (self.probe is not None) > 1

    @property
    def name(self) -> str:
        """The weights in two words, for a picture; empty where they are not known."""
        return self.beginning if self.is_probe else f"epoch {self.epoch}" if self.epoch else ""

    def describe(self) -> str:
        """The weights in words; empty where they are not known."""
        if self.epoch is None:
            return ""
        if not self.is_probe:
            return f"epoch {self.epoch} of {self.epochs}" + (", which validated best" if self.is_chosen else "")
        if not self.epochs and self.beginning != "linear probe":
            return f"the {self.beginning}, as it came"
        if not self.epochs:
            return "the linear probe (a new last layer on the features as they came)"
        best = f"{self.best_accuracy:.3f}"
        none = "the one epoch" if self.epochs == 1 else f"the best of {self.epochs} epochs"
        return f"the {self.beginning}: {none} of fine-tuning validated no better (epoch {self.best}: {best})"


def weights_of(metrics: dict[str, Any]) -> int | None:
    """The epoch that figures of a card or of metrics.json are of; 0: the probe, None: they do not say."""
    kept = metrics.get(KEPT)
    if kept in (PROBE, START):
        return 0
    return int(kept["epoch"]) if isinstance(kept, dict) and "epoch" in kept else None


def read_kept(folder: Path, metrics: dict[str, Any]) -> Kept:
    """What the run folder says of its weights; `metrics`: the content of its metrics.json."""
    history, probe = read_history(folder / "history.csv"), read_probe(folder)
    start, beginning = folder / START_FILE, "linear probe"
    if start.exists() and metrics.get(KEPT) != PROBE:
        content = json.loads(start.read_text(encoding="utf-8"))
        probe = {name: content[name] for name in ("val_accuracy", "val_loss")}
        beginning = f"network of {content['run']}"
    best = best_epoch(history) if history else None
    return Kept(
        weights_of(metrics),
        len(history.get("epoch", ())),
        0 if best is None else int(history["epoch"][best]),
        0.0 if best is None else history["val_accuracy"][best],
        probe,
        beginning,
    )


def best_epoch(history: dict[str, list[float]]) -> int:
    """The row that validates best: highest accuracy, then lowest log loss, the first of equal ones."""
    accuracy, loss = history["val_accuracy"], history["val_loss"]
    return max(range(len(accuracy)), key=lambda i: (accuracy[i], -loss[i]))


def read_history(path: Path) -> dict[str, list[float]]:
    """The columns of history.csv; empty without an epoch: a probe trains no network."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return {column: [float(row[column]) for row in rows] for column in names} if rows else {}


def read_probe(folder: Path) -> dict[str, float] | None:
    """The figures of the linear probe that the training started from; None where there was none."""
    path = folder / "probe.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def closing_lines(folder: Path, metrics: dict[str, Any]) -> list[str]:
    """What is said when a run ends: the weights it kept, and their accuracy with what that is worth."""
    kept = read_kept(folder, metrics)
    lines = [f"kept     {kept.describe()}"] if kept.describe() else []
    if TEST in metrics:
        lines.append(f"test accuracy {_accuracy(metrics[TEST])}, on photographs that chose nothing")
    caveat = ""
    if kept.is_chosen:
        caveat = "; these photographs also chose what is kept"
        caveat += "" if TEST in metrics else ": expect a little less of new ones"
    lines.append(f"validation accuracy {_accuracy(metrics)}{caveat}")
    return lines


def _accuracy(metrics: dict[str, Any]) -> str:
    low, high = metrics["accuracy_ci95"]
    return f"{metrics['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}, n {metrics['n']})"
