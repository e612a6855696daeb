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
LINEAR, HEAD = "linear probe", "head on the frozen backbone"  # what a training with pretrained weights begins with
TEST = "test"  # likewise: the figures of the test part, where the data has one


@dataclass(frozen=True)
class Kept:
    """Which weights a run folder holds, and what else there was to choose from.

    `epoch`: that of fine-tuning they are from, 0: the linear probe before it (or what else `beginning` says), None: an
    older run does not say.
    `epochs`: how many there were; `best` of these (validation accuracy, or what the task has for it, first, then loss;
    0 where there is none) and its `best_quality`; `probe`: the probe's `val_accuracy` and `val_loss`, None where there
    was no probe. `added`: the class that `beginning` was given, None of other runs.
    """

    epoch: int | None
    epochs: int
    best: int
    best_quality: float
    probe: dict[str, float] | None
    beginning: str = LINEAR
    added: str | None = None

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
        if self.added is not None and not self.epochs:
            return f"the {self.beginning}, to which the class {self.added} was added"
        if not self.epochs and self.beginning == HEAD:
            return f"the {HEAD}"
        if not self.epochs and self.beginning != LINEAR:
            return f"the {self.beginning}, as it came"
        if not self.epochs:
            return "the linear probe (a new last layer on the features as they came)"
        best = f"{self.best_quality:.3f}"
        none = "the one epoch" if self.epochs == 1 else f"the best of {self.epochs} epochs"
        return f"the {self.beginning}: {none} of fine-tuning validated no better (epoch {self.best}: {best})"


def weights_of(metrics: dict[str, Any]) -> int | None:
    """The epoch that figures of a card or of metrics.json are of; 0: the probe, None: they do not say."""
    kept = metrics.get(KEPT)
    if kept in (PROBE, START):
        return 0
    return int(kept["epoch"]) if isinstance(kept, dict) and "epoch" in kept else None


def is_fine_tuned(folder: Path, metrics: dict[str, Any]) -> bool:
    """Whether features of the network in a run folder are of its own photographs, not of those of published weights.

    `metrics`: its card's.
    """
    kept = metrics.get(KEPT)
    if isinstance(kept, dict):
        return True
    start = folder / START_FILE
    if start.exists():
        return bool(json.loads(start.read_text("utf-8")).get("fine_tuned"))
    return kept is None and (folder / "history.csv").exists()


def read_kept(folder: Path, metrics: dict[str, Any]) -> Kept:
    """What the run folder says of its weights; `metrics`: the content of its metrics.json."""
    history, probe = read_history(folder / "history.csv"), read_probe(folder)
    start, beginning, added = folder / START_FILE, HEAD if probe and "head_steps" in probe else LINEAR, None
    if start.exists() and metrics.get(KEPT) != PROBE:
        content = json.loads(start.read_text(encoding="utf-8"))
        probe = {name: value for name, value in content.items() if name.startswith("val_")}
        beginning, added = f"network of {content['run']}", content.get("added")
    best = best_epoch(history) if history else None
    return Kept(
        weights_of(metrics),
        len(history.get("epoch", ())),
        0 if best is None else int(history["epoch"][best]),
        0.0 if best is None else history[f"val_{quality_of(history)}"][best],
        probe,
        beginning,
        added,
    )


def best_epoch(history: dict[str, list[float]]) -> int:
    """The row that validates best: highest quality, then lowest loss, the first of equal ones."""
    quality, loss = history[f"val_{quality_of(history)}"], history["val_loss"]
    return max(range(len(quality)), key=lambda i: (quality[i], -loss[i]))


def quality_of(history: dict[str, list[float]]) -> str:
    """What the training chose by, beside the loss: "accuracy" of classes."""
    return next(name.removeprefix("val_") for name in history if name.startswith("val_") and name != "val_loss")


def read_history(path: Path) -> dict[str, list[float]]:
    """The columns of history.csv; empty without an epoch: a probe trains no network."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return {}
    names = [name for name in rows[0] if name == "epoch" or name.startswith(("train_", "val_"))]
    return {name: [float(row[name]) for row in rows] for name in names}


def read_probe(folder: Path) -> dict[str, float] | None:
    """The figures of what the training started from, with `head_steps` of a head; None where there was none."""
    path = folder / "probe.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def closing_lines(
    folder: Path, metrics: dict[str, Any], quality: str = "accuracy", tile: int | None = None
) -> list[str]:
    """What is said when a run ends: the weights it kept, and their accuracy (`quality`) with what that is worth.

    `tile`: the side of the tiles that it was trained on, by which its weights were compared.
    """
    kept = read_kept(folder, metrics)
    compared = f"; compared by tiles of {tile} pixels" if tile is not None and kept.is_chosen else ""
    lines = [f"kept     {kept.describe()}{compared}"] if kept.describe() else []
    if TEST in metrics:
        lines.append(f"test {quality} {_figure(metrics[TEST], quality)}, on photos that chose nothing")
    caveat = ""
    if kept.is_chosen:
        caveat = "; these photos also chose what is kept"
        caveat += "" if TEST in metrics else ": expect a little less of new ones"
    lines.append(f"validation {quality} {_figure(metrics, quality)}{caveat}")
    return lines


def _figure(metrics: dict[str, Any], quality: str) -> str:
    interval = ""
    if (bounds := metrics.get(f"{quality}_ci95")) is not None:
        low, high = bounds
        interval = f"95 % interval {low:.3f} to {high:.3f}, "
    return f"{metrics[quality]:.3f} ({interval}n {metrics['n']})"
